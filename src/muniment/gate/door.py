"""``Gate.invoke``: parse, authenticate, authorise, act, record, commit; in this order, for everyone."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Protocol

import msgspec

from muniment.errors import Denied, Invalid, MunimentError, NotFound, Unavailable
from muniment.gate.call import GateCall, Note
from muniment.gate.grant import Grant, grant_from, grant_internal
from muniment.gate.table import VerbTable
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import new_id
from muniment.kernel.ports import Clock, Entropy, Session, Store
from muniment.kernel.principal import Authentication, Principal, PrincipalKind
from muniment.kernel.resources import PLATFORM
from muniment.kernel.verb import Content, Effect, Resource, Verb
from muniment.ledger.model import Event
from muniment.ledger.service import Ledger
from muniment.policy.ports import Authorizer, Decision
from muniment.vault.model import Sealed
from muniment.vault.service import Vault

_log = logging.getLogger("muniment.gate")

ANONYMOUS: Final = Principal(PrincipalKind.SYSTEM, "anonymous")
_ATTEMPTS: Final = 6
_DEFAULTS: Final[Mapping[str, Any]] = {"String": "", "Long": 0, "Bool": False}


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request brought to say who it is from."""

    token: str | None
    ip: str = "127.0.0.1"


class Authenticate(Protocol):
    """Recognises the principal behind a token."""

    def __call__(self, session: Session, token: str, ip: str) -> Authentication:
        """Who this is; raises Unauthenticated."""


@dataclass(slots=True)
class _Trace:
    """What is known of a request so far: the stuff its ledger entry is made of."""

    verb: Verb
    request_digest: str = ""
    authentication: Authentication | None = None
    resource: Resource | None = None
    project: str = ""
    decision: Decision | None = None
    grant: Grant | None = None
    notes: Mapping[str, Note] | None = None


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
        self,
        action: str,
        request: msgspec.Struct | Mapping[str, Any] | bytes,
        credential: Credential,
        body: BinaryIO | None = None,
        *,
        lax: bool = False,
    ) -> Any:
        """Do what a request asks, if policy allows it, and record it.

        Args:
            action: action of the verb.
            request: the request, typed or as a document still to be parsed.
            credential: who asks, from where.
            body: the bytes that come along, for verbs that take some.
            lax: whether values may come as text, as they do in a query string.

        Raises:
            Unauthenticated, Denied, NotFound, Conflict, Invalid: the request was refused; nothing changed.
            Unavailable: an engine did not answer, or the ledger could not be written; nothing changed.
            IntegrityError: stored bytes do not verify.
        """
        verb = self.table.find(action)
        if verb.internal:
            raise NotFound("MUNI-G201", f"there is no verb {action[:80]!r}", action=action[:200])
        trace = _Trace(verb)

        def authorised(session: Session) -> tuple[msgspec.Struct, Grant]:
            self._recognise(session, trace, credential)
            parsed = _parse(verb, request, trace, lax=lax)
            self._locate(session, trace, parsed)
            return parsed, self._decide(session, trace)

        content: Sealed | None = None
        if verb.takes_body:
            with self._refusals_recorded(trace), self._store.read() as session:
                authorised(session)
            with self._refusals_recorded(trace):
                if body is None:
                    raise Invalid("MUNI-G103", "this request came without the bytes it needs", action=action)
                content = self._vault.seal(trace.project or PLATFORM, body)
        return self._run(trace, authorised, content)

    def invoke_internal(self, action: str, request: msgspec.Struct, part: str) -> Any:
        """Do what a part of the platform itself asks, and record it; the only way to run an internal verb."""
        verb = self.table.find(action)
        trace = _Trace(verb)

        def authorised(session: Session) -> tuple[msgspec.Struct, Grant]:
            principal = Principal(PrincipalKind.SYSTEM, part)
            trace.authentication = Authentication(principal, "system", self._clock.now(), "127.0.0.1", part)
            parsed = _parse(verb, request, trace, lax=False)
            self._locate(session, trace, parsed)
            assert trace.resource is not None
            trace.grant = grant_internal(str(principal), action, _name(trace.resource))
            return parsed, trace.grant

        return self._run(trace, authorised, None)

    def _run(self, trace: _Trace, authorised: Any, content: Sealed | None) -> Any:
        run = self._read if trace.verb.effect is Effect.READ else self._write
        with self._refusals_recorded(trace):
            for attempt in range(_ATTEMPTS):
                try:
                    return run(trace, authorised, content)
                except Unavailable as lost:
                    if not lost.facts.get("retry") or attempt == _ATTEMPTS - 1:
                        raise
        raise AssertionError("a request neither returned nor raised")

    def _read(self, trace: _Trace, authorised: Any, content: Sealed | None) -> Any:
        with self._store.read() as session:
            parsed, grant = authorised(session)
            call = self._call(session, trace, grant, None)
            reply = trace.verb.run(call, parsed)
        trace.notes = call.notes
        self._ledger.record(self._event(trace, "ok"))
        return reply

    def _write(self, trace: _Trace, authorised: Any, content: Sealed | None) -> Any:
        with self._store.write() as session:
            parsed, grant = authorised(session)
            if content is not None:
                self._vault.register(session, trace.project or PLATFORM, content)
            known = Content(content.digest, content.size) if content is not None else None
            call = self._call(session, trace, grant, known)
            reply = trace.verb.run(call, parsed)
            trace.notes = call.notes
            self._ledger.append(session, self._event(trace, "ok"))
        return reply

    def _call(self, session: Session, trace: _Trace, grant: Grant, content: Content | None) -> GateCall:
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
            content=content,
        )

    def _recognise(self, session: Session, trace: _Trace, credential: Credential) -> None:
        if trace.verb.public and credential.token is None:
            trace.authentication = Authentication(ANONYMOUS, "none", self._clock.now(), credential.ip, "none")
            return
        trace.authentication = self._authenticate(session, credential.token or "", credential.ip)

    def _locate(self, session: Session, trace: _Trace, parsed: msgspec.Struct) -> None:
        kind = trace.verb.on
        project = getattr(parsed, "project", None) if kind.in_project else None
        reference = getattr(parsed, kind.request_field) if kind.request_field else ""
        trace.project = project or ""
        try:
            trace.resource = kind.locate(session, project, reference)
        except NotFound:
            phantom = {name: _DEFAULTS.get(type_, []) for name, type_ in kind.attributes.items()}
            trace.resource = Resource(kind.name, reference or project or "", project, phantom)
            self._decide(session, trace)
            raise

    def _decide(self, session: Session, trace: _Trace) -> Grant:
        authentication, resource, verb = trace.authentication, trace.resource, trace.verb
        assert authentication is not None
        assert resource is not None
        principal = str(authentication.principal)
        if verb.public:
            trace.grant = grant_internal(principal, verb.action, _name(resource))
            return trace.grant
        decision = self._authorizer.decide(session, authentication, verb, resource)
        trace.decision = decision
        grant = grant_from(decision, principal, verb.action, _name(resource))
        if grant is None:
            raise Denied(
                "MUNI-G403",
                f"{authentication.principal.id} may not {_phrase(verb)} on {_name(resource)}",
                principal=principal,
                action=verb.action,
                resource=_name(resource),
                policies=list(decision.policies) or ["no policy permits it"],
                because=list(decision.reasons),
                do=f"ask someone whose role includes {verb.group}: muni role list",
            )
        trace.grant = grant
        return grant

    def _refusals_recorded(self, trace: _Trace) -> _RefusalsRecorded:
        return _RefusalsRecorded(self, trace)

    def record_refusal(self, trace: _Trace, error: BaseException) -> MunimentError:
        """Put a refusal into the ledger and give back what the asker gets to see."""
        known = (
            error
            if isinstance(error, MunimentError)
            else MunimentError("MUNI-G500", "the platform failed unexpectedly", kind=type(error).__name__)
        )
        event = self._event(trace, "denied" if known.http_status in (401, 403) else "failed", known)
        known.facts.setdefault("entry", event.id)
        try:
            self._ledger.record(event)
        except Unavailable as unwritable:
            return unwritable
        hidden = known.facts.pop("ledger", None)
        if hidden is not None:
            _log.info("refused %s: %s", event.id, hidden)
        return known

    def _event(self, trace: _Trace, outcome: str, error: MunimentError | None = None) -> Event:
        who = trace.authentication
        data: dict[str, Any] = {
            "principal": str(who.principal if who else ANONYMOUS),
            "action": trace.verb.action,
            "resource": _name(trace.resource) if trace.resource else "",
            "project": trace.project,
            "outcome": outcome,
            "request": trace.request_digest,
        }
        if who is not None:
            data |= {"method": who.method, "credential": who.credential, "ip": who.ip}
        if trace.grant is not None:
            data["policies"] = list(trace.grant.policies)
        if trace.decision is not None:
            data |= trace.decision.evidence
        if error is not None:
            data["code"] = error.code
            because = error.facts.get("ledger")
            if isinstance(because, Mapping):
                data["because"] = {str(key): str(value) for key, value in because.items()}
        if trace.notes:
            data["facts"] = dict(trace.notes)
        return Event(
            id=new_id(self._clock, self._entropy),
            type=trace.verb.event,
            time=self._clock.now(),
            subject=data["resource"],
            data=data,
        )


class _RefusalsRecorded:
    """Turns every way out but success into a ledger entry first, then into the error that the asker gets."""

    def __init__(self, gate: Gate, trace: _Trace) -> None:
        self._gate, self._trace = gate, trace

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None or not isinstance(error, Exception):
            return
        if isinstance(error, MunimentError) and "entry" in error.facts:
            return
        if not isinstance(error, MunimentError):
            _log.error("unexpected failure in %s", self._trace.verb.action, exc_info=error)
        shown = self._gate.record_refusal(self._trace, error)
        if shown is not error:
            raise shown from error


def _parse(
    verb: Verb, request: msgspec.Struct | Mapping[str, Any] | bytes, trace: _Trace, *, lax: bool
) -> msgspec.Struct:
    """The typed request, with its digest on the trace."""
    try:
        if isinstance(request, bytes):
            parsed = msgspec.json.decode(request or b"{}", type=verb.request)
        elif isinstance(request, verb.request):
            parsed = request
        else:
            parsed = msgspec.convert(request, verb.request, strict=not lax)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as broken:
        with suppress(Exception):
            trace.request_digest = Digest.of(request if isinstance(request, bytes) else repr(request).encode())
        raise Invalid(
            "MUNI-G104",
            f"the request does not fit {verb.action}: {broken}",
            action=verb.action,
            reason=str(broken)[:300],
        ) from broken
    trace.request_digest = Digest.of(msgspec.json.encode(parsed, order="deterministic"))
    return parsed


def _name(resource: Resource) -> str:
    return f"{resource.kind}:{resource.id}"


def _phrase(verb: Verb) -> str:
    """``data:AddDataset`` as a person would say it: ``add dataset``."""
    phrase = verb.action.partition(":")[2]
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in phrase).strip()
