"""Runs a verb's function in a transaction, with no gate in front: for tests of what verbs do, not of who may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from muniment.identity.credentials import bootstrap, open_bootstrap
from muniment.identity.passwords import Cost
from muniment.identity.ports import ProjectOpened
from muniment.identity.service import LastUses, PasswordHasher, SignInDelays
from muniment.kernel.identifiers import new_id
from muniment.kernel.ports import Clock, Entropy, Session, Store
from muniment.kernel.principal import Authentication, Principal, PrincipalKind
from muniment.kernel.verb import Effect, Verb
from muniment.testing.fakes import FakeClock, SeededEntropy
from muniment.wire import identity as wire

QUICK = Cost(memory_kib=64, passes=1)
"""A hash that costs almost nothing."""


class OpenedProjects:
    """Remembers which projects were opened."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def opened(self, session: Session, project: str) -> None:
        self.names.append(project)


class DeskCall:
    """A ``Call`` without a grant."""

    def __init__(self, desk: Desk, session: Session, authentication: Authentication, resource: Any = None) -> None:
        self._desk, self.session, self.authentication, self.resource = desk, session, authentication, resource
        self.notes: dict[str, Any] = {}

    @property
    def principal(self) -> Principal:
        return self.authentication.principal

    @property
    def now(self) -> Any:
        return self._desk.clock.now()

    def new_id(self) -> str:
        return new_id(self._desk.clock, self._desk.entropy)

    def use(self, port: type[Any]) -> Any:
        service = self._desk.services.get(port)
        return service if service is not None else self.session.use(port)

    def note(self, **facts: Any) -> None:
        self.notes.update(facts)
        self._desk.noted.append(facts)


class Desk:
    """Where verbs are asked for."""

    def __init__(self, store: Store, clock: FakeClock | None = None) -> None:
        self.store, self.clock, self.entropy = store, clock or FakeClock(), SeededEntropy(7)
        self.opened, self.uses, self.noted = OpenedProjects(), LastUses(), list[dict[str, Any]]()
        self.services: dict[type[Any], Any] = {
            Clock: self.clock,
            Entropy: self.entropy,
            LastUses: self.uses,
            PasswordHasher: PasswordHasher(self.entropy, QUICK),
            ProjectOpened: self.opened,
            SignInDelays: SignInDelays(),
        }

    def ask(self, verb: Verb, request: Any, by: str = "root", **how: Any) -> Any:
        """What a verb answers to this person."""
        principal = Principal(how.pop("kind", PrincipalKind.USER), by)
        facts = {"method": "token", "at": self.clock.now(), "ip": "10.0.0.1", "credential": "c"} | how
        return self.ask_as(Authentication(principal, **facts), verb, request)

    def ask_as(self, authentication: Authentication, verb: Verb, request: Any) -> Any:
        """What a verb answers to whoever was recognised."""
        transaction: Callable[[], Any] = self.store.read if verb.effect is Effect.READ else self.store.write
        with transaction() as session:
            return verb.run(DeskCall(self, session, authentication), request)


def make_administrators(desk: Desk) -> wire.Administrators:
    """Let root and rita be the first administrators."""
    with desk.store.write() as session:
        secret = open_bootstrap(session, desk.clock, desk.entropy)
    request = wire.Bootstrap(secret=secret, administrators=["root", "rita"])
    return desk.ask(bootstrap, request, by="anonymous", kind=PrincipalKind.SYSTEM)
