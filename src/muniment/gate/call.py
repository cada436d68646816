"""What a running verb holds in its hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar, cast

from muniment.errors import Invalid
from muniment.gate.grant import Grant
from muniment.kernel.identifiers import new_id
from muniment.kernel.ports import Clock, Entropy, Session
from muniment.kernel.principal import Authentication, Principal
from muniment.kernel.verb import Content, Resource

T = TypeVar("T")
Note = str | int | bool | list[str]


@dataclass(frozen=True, slots=True)
class GateCall:
    """The ``Call`` of one request: needs a grant, lives as long as its transaction."""

    grant: Grant
    authentication: Authentication
    resource: Resource
    now: datetime
    session: Session
    services: Mapping[type[Any], Any]
    clock: Clock
    entropy: Entropy
    content: Content | None
    notes: dict[str, Note] = field(default_factory=dict)

    @property
    def principal(self) -> Principal:
        """Who asks."""
        return self.authentication.principal

    @property
    def project(self) -> str:
        """The project the request is about."""
        if self.resource.project is None:
            raise Invalid("MUNI-G102", "this request concerns no project", action=self.grant.action)
        return self.resource.project

    @property
    def body(self) -> Content:
        """What the bytes that came with the request are."""
        if self.content is None:
            raise Invalid("MUNI-G103", "this request came without the bytes it needs", action=self.grant.action)
        return self.content

    def new_id(self) -> str:
        """A fresh identifier."""
        return new_id(self.clock, self.entropy)

    def use(self, port: type[T]) -> T:
        """A platform service, or a repository of this call's transaction."""
        if port is Session:
            return cast("T", self.session)
        service = self.services.get(port)
        return cast("T", service) if service is not None else self.session.use(port)

    def note(self, **facts: Note) -> None:
        """Add facts to the ledger entry of this request."""
        self.notes.update(facts)

    def note_more(self, **facts: str) -> None:
        """Add one value to each of these facts, which are lists."""
        for name, value in facts.items():
            noted = self.notes.setdefault(name, [])
            assert isinstance(noted, list)
            noted.append(value)

    def noted(self, name: str) -> bool:
        """Whether the ledger entry of this request has a fact of this name."""
        return name in self.notes

    def over(self, session: Session, now: datetime) -> GateCall:
        """The same request over another view of the store, at another moment."""
        return replace(self, session=session, now=now)

    def within(self, project: str) -> GateCall:
        """The same request, looking at another project."""
        return replace(self, resource=Resource("Project", project, project))
