"""``Gate.invoke``: authenticate, parse, authorise, act, record, commit; in this order, for everyone."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Final, Protocol

import msgspec

from muniment.errors import Conflict, Denied, Invalid, MunimentError, NotFound, Unavailable
from muniment.gate.call import GateCall
from muniment.gate.grant import Grant, grant_from, grant_internal, grant_public
from muniment.gate.table import VerbTable
from muniment.gate.trace import ANONYMOUS, Trace, name
from muniment.kernel.digest import Digest
from muniment.kernel.patience import pause_s
from muniment.kernel.ports import Clock, Entropy, Session, Store
from muniment.kernel.principal import Authentication, Principal, PrincipalKind
from muniment.kernel.resources import PLATFORM
from muniment.kernel.verb import Content, Download, Effect, Later, Resource, Verb
from muniment.ledger.service import Ledger
from muniment.policy.ports import Authorizer, Facts
from muniment.vault.model import Sealed
from muniment.vault.service import Vault

_log = logging.getLogger("muniment.gate")

_ATTEMPTS: Final = 12
"""How often a request that loses races is tried: with the pauses between, for at most 0.7 s."""

_LONGEST_REFERENCE: Final = 300
_ABSENT: Final[Mapping[str, Any]] = {"String": "", "Long": 0, "Bool": False}


@dataclass(frozen=True, slots=True)
class Written:
    """A request that came in its one written form, so that writing and reading it once more would change nothing.

    Whoever makes one has decoded ``request`` from ``content`` and found that it is encoded to these very bytes.
    """

    request: msgspec.Struct
    content: bytes


Reading = Callable[[type[msgspec.Struct]], msgspec.Struct | Written]
"""How a request that is still text becomes one of the verb's type; the gate reads it once it knows who asks.

Raises msgspec's errors or Invalid when it does not fit.
"""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request brought to say who it is from."""

    token: str | None
    ip: str = "127.0.0.1"
    tls: bool = False
    """Whether it came over TLS."""


class Authenticate(Protocol):
    """Recognises the principal behind a token."""

    def __call__(self, session: Session, token: str, ip: str) -> Authentication:
        """Who this is; raises Unauthenticated."""


Admit = Callable[[Session], tuple[msgspec.Struct, Grant]]
"""Everything that comes before the act, in the transaction of the act: who, what, may they."""


class Gate:
    """The only way to invoke a verb."""

    def __init__(
        self,
        table: VerbTable,
        store: Store,
        ledger: Ledger,
        vault: Vault,
        authenticate: Authenticate,
        authorizer: Authorizer,
        services: Mapping[type[Any], Any],
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self.table = table
        self._store, self._ledger, self._vault = store, ledger, vault
        self._authenticate, self._authorizer = authenticate, authorizer
        self._services = services
        self._clock, self._entropy = clock, entropy

    def invoke(
        self, action: str, request: msgspec.Struct | Reading, credential: Credential, body: BinaryIO | None = None
    ) -> Any:
        """Do what a request asks, if policy allows it, and record it.

        Args:
            action: action of the verb.
            request: the request, or how to read it.
            credential: who asks, from where.
            body: the bytes that come along, for verbs that take some.

        Raises:
            Unauthenticated, Denied, NotFound, Conflict, Invalid: the request was refused; nothing changed.
            Unavailable: an engine did not answer, or the ledger could not be written; nothing changed.
            IntegrityError: stored bytes do not verify.
        """
        verb = self.table.find(action)
        if verb.internal:
            raise NotFound("MUNI-G201", f"there is no verb {action[:80]!r}", action=action[:200])
        trace = Trace(verb)

        def admit(session: Session) -> tuple[msgspec.Struct, Grant]:
            trace.begin()
            trace.authentication = self._recognise(session, verb, credential)
            parsed = _parse(verb, request, trace)
            self._locate(session, trace, parsed, credential)
            return parsed, self._decide(session, trace, credential)

        if not verb.takes_body:
            return self._run(trace, admit, None)
        with _Recorded(self, trace), self._store.read() as session:
            admit(session)
        with _Recorded(self, trace):
            if body is None:
                raise Invalid("MUNI-G103", "this request came without the bytes it needs", action=action)
            content = self._vault.seal(trace.project or PLATFORM, body)
        try:
            return self._run(trace, admit, content)
        except Exception:
            with suppress(MunimentError):  # what stays is found by fsck; the refusal is what the asker must see
                self._vault.discard(content)
            raise

    def invoke_internal(self, action: str, request: msgspec.Struct, part: str, content: Sealed | None = None) -> Any:
        """Do what a part of the platform itself asks, and record it; the only way to run an internal verb.

        Args:
            action: the verb.
            request: what is asked of it.
            part: the part of the platform that asks.
            content: a body, sealed already; it is registered in the same transaction.
        """
        verb = self.table.find(action)
        trace = Trace(verb)

        def admit(session: Session) -> tuple[msgspec.Struct, Grant]:
            principal = Principal(PrincipalKind.SYSTEM, part)
            trace.authentication = Authentication(principal, "system", self._clock.now(), "127.0.0.1", part)
            parsed = _parse(verb, request, trace)
            trace.resource = verb.on.locate(session, trace.project or None, trace.asked)
            trace.grant = grant_internal(str(principal), action, name(trace.resource))
            return parsed, trace.grant

        return self._run(trace, admit, content)

    def record_refusal(self, trace: Trace, error: Exception) -> MunimentError:
        """Put a refusal into the ledger and give back what the asker gets to see."""
        if isinstance(error, MunimentError):
            shown = error
        else:
            _log.error("unexpected failure in %s", trace.verb.action, exc_info=error)
            shown = MunimentError("MUNI-G500", "the platform failed unexpectedly", kind=type(error).__name__)
        event = trace.refused(shown, self._clock, self._entropy)
        try:
            self._ledger.record(event)
        except MunimentError as unwritable:
            return unwritable
        shown.facts["entry"] = event.id
        shown.facts.pop("ledger", None)
        return shown

    def _run(self, trace: Trace, admit: Admit, content: Sealed | None) -> Any:
        with _Recorded(self, trace):
            for attempt in range(_ATTEMPTS - 1):
                try:
                    return self._act(trace, admit, content)
                except Unavailable as lost:
                    if not lost.facts.get("retry"):
                        raise
                threading.Event().wait(pause_s(self._entropy, attempt))
            return self._act(trace, admit, content)

    def _act(self, trace: Trace, admit: Admit, content: Sealed | None) -> Any:
        return self._read(trace, admit) if trace.verb.effect is Effect.READ else self._write(trace, admit, content)

    def _read(self, trace: Trace, admit: Admit) -> Any:
        with self._store.read() as session:
            parsed, grant = admit(session)
            call = self._call(session, trace, grant, None)
            reply = trace.verb.run(call, parsed)
        if isinstance(reply, Later):
            reply = reply.make()
        trace.notes = call.notes
        self._ledger.record(trace.done(self._clock, self._entropy))
        return replace(reply, chunks=self._watched(trace, reply)) if isinstance(reply, Download) else reply

    def _write(self, trace: Trace, admit: Admit, content: Sealed | None) -> Any:
        with self._store.write() as session:
            parsed, grant = admit(session)
            if content is not None:
                self._vault.register(session, trace.project or PLATFORM, content)
            call = self._call(session, trace, grant, content)
            reply = trace.verb.run(call, parsed)
            trace.notes = call.notes
            self._ledger.append(session, trace.done(self._clock, self._entropy))
        return reply

    def _call(self, session: Session, trace: Trace, grant: Grant, content: Sealed | None) -> GateCall:
        assert trace.authentication is not None
        assert trace.resource is not None
        return GateCall(
            grant=grant,
            authentication=trace.authentication,
            resource=trace.resource,
            now=self._clock.now(),
            session=session,
            services=self._services,
            clock=self._clock,
            entropy=self._entropy,
            content=None if content is None else Content(content.digest, content.size),
        )

    def _watched(self, trace: Trace, reply: Download) -> Iterator[bytes]:
        """The bytes of a reply; what fails to verify on the way out is recorded too."""
        with _Recorded(self, trace):
            yield from reply.chunks

    def _recognise(self, session: Session, verb: Verb, credential: Credential) -> Authentication:
        if verb.public and credential.token is None:
            return Authentication(ANONYMOUS, "none", self._clock.now(), credential.ip, "none")
        return self._authenticate(session, credential.token or "", credential.ip)

    def _locate(self, session: Session, trace: Trace, parsed: msgspec.Struct, credential: Credential) -> None:
        """Find what the request is about; who may not ask about it learns nothing of whether it exists."""
        kind = trace.verb.on
        try:
            trace.resource = kind.locate(session, trace.project or None, trace.asked)
            if kind.dated is not None:
                trace.resource = kind.dated(session, trace.resource, self._clock.now())
        except (NotFound, Invalid, Conflict):
            absent = {field: _ABSENT.get(type_, []) for field, type_ in kind.attributes.items()}
            trace.resource = Resource(kind.name, trace.asked or trace.project, trace.project or None, absent)
            self._decide(session, trace, credential)
            raise

    def _decide(self, session: Session, trace: Trace, credential: Credential) -> Grant:
        authentication, resource, verb = trace.authentication, trace.resource, trace.verb
        assert authentication is not None
        assert resource is not None
        principal = str(authentication.principal)
        if verb.public:
            trace.grant = grant_public(principal, verb.action, name(resource))
            return trace.grant
        decision = self._authorizer.decide(session, authentication, verb, resource, Facts(tls=credential.tls))
        trace.decision = decision
        grant = grant_from(decision, principal, verb.action, name(resource))
        if grant is None:
            asked = f"{resource.kind}:{trace.asked or resource.id}"
            because = [*decision.reasons]
            if verb.on.explain is not None and decision.policies:
                because += verb.on.explain(session, resource, authentication.principal)
            raise Denied(
                "MUNI-G403",
                f"{authentication.principal.id} may not {_phrase(verb)} on {asked}",
                principal=principal,
                action=verb.action,
                resource=asked,
                policies=list(decision.policies) or ["no policy permits it"],
                because=because,
                do=f"ask someone whose role includes {verb.group}: muni role list",
            )
        trace.grant = grant
        return grant


class _Recorded:
    """Turns every way out but success into a ledger entry first, then into the error that the asker gets."""

    def __init__(self, gate: Gate, trace: Trace) -> None:
        self._gate, self._trace = gate, trace

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Exception):
            shown = self._gate.record_refusal(self._trace, error)
            if shown is not error:
                raise shown from error


def _parse(verb: Verb, request: msgspec.Struct | Reading, trace: Trace) -> msgspec.Struct:
    """The typed request, with its digest and what it is about on the trace.

    Whichever way it came, it is brought into its one written form and read from that: callers in this process are
    checked as strictly as those behind the network, and the digest is that of what is acted on.
    """
    try:
        given = request if isinstance(request, msgspec.Struct) else request(verb.request)
        if isinstance(given, Written):
            written, parsed = given.content, given.request
        else:
            written = msgspec.json.encode(given, order="deterministic")
            parsed = msgspec.json.decode(written, type=verb.request)
    except (msgspec.MsgspecError, UnicodeError, TypeError, RecursionError) as broken:
        raise Invalid(
            "MUNI-G104",
            f"the request does not fit {verb.action}: {broken}"[:400],
            action=verb.action,
            reason=str(broken)[:300],
        ) from broken
    trace.request_digest = Digest.of(_without_secrets(verb, parsed) if verb.secrets else written)
    kind = verb.on
    project = getattr(parsed, "project") if kind.in_project else ""  # noqa: B009 - the table has checked that it is there
    asked = getattr(parsed, kind.request_field) if kind.request_field else ""
    if max(len(project), len(asked)) > _LONGEST_REFERENCE:
        raise Invalid("MUNI-G105", "a reference is too long", longest=_LONGEST_REFERENCE)
    trace.project, trace.asked = project, asked
    return parsed


def _without_secrets(verb: Verb, parsed: msgspec.Struct) -> bytes:
    fields = {field: value for field, value in msgspec.to_builtins(parsed).items() if field not in verb.secrets}
    return msgspec.json.encode(fields, order="deterministic")


def _phrase(verb: Verb) -> str:
    """``data:AddDataset`` as a person would say it: ``add dataset``."""
    phrase = verb.action.partition(":")[2]
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in phrase).strip()
