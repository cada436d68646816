"""What is known of a request so far: the stuff its ledger entry is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from muniment.errors import MunimentError
from muniment.gate.call import Note
from muniment.gate.grant import Grant
from muniment.kernel.identifiers import new_id
from muniment.kernel.ports import Clock, Entropy
from muniment.kernel.principal import Authentication, Principal, PrincipalKind
from muniment.kernel.verb import Resource, Verb
from muniment.ledger.model import Event
from muniment.policy.ports import Decision

ANONYMOUS: Final = Principal(PrincipalKind.SYSTEM, "anonymous")
"""Who asks when nobody is known."""


@dataclass(slots=True)
class Trace:
    """One request on its way through the gate."""

    verb: Verb
    request_digest: str = ""
    authentication: Authentication | None = None
    asked: str = ""
    """What the request is about, in the asker's own words: all that a refusal may say of it."""

    resource: Resource | None = None
    project: str = ""
    decision: Decision | None = None
    grant: Grant | None = None
    notes: Mapping[str, Note] | None = None

    def begin(self) -> None:
        """Forget what an earlier attempt found: nothing of it need be true any more."""
        self.authentication = self.resource = self.decision = self.grant = self.notes = None

    def done(self, clock: Clock, entropy: Entropy) -> Event:
        """The event of a request that was done."""
        data = self._data("ok")
        if self.notes:
            data["facts"] = dict(self.notes)
        return self._event(data, clock, entropy)

    def refused(self, error: MunimentError, clock: Clock, entropy: Entropy) -> Event:
        """The event of a request that was refused, by policy (``denied``) or for another reason (``failed``).

        It holds nothing that the verb noted: nothing of that happened.
        """
        data = self._data("denied" if error.http_status in (401, 403) else "failed")
        data["code"] = error.code
        because = error.facts.get("ledger")
        if isinstance(because, Mapping):
            data["because"] = {str(key): str(value) for key, value in because.items()}
        return self._event(data, clock, entropy)

    def _event(self, data: Mapping[str, Any], clock: Clock, entropy: Entropy) -> Event:
        return Event(
            id=new_id(clock, entropy), type=self.verb.event, time=clock.now(), subject=data["resource"], data=data
        )

    def _data(self, outcome: str) -> dict[str, Any]:
        who = self.authentication
        data: dict[str, Any] = {
            "principal": str(who.principal if who else ANONYMOUS),
            "action": self.verb.action,
            "resource": name(self.resource) if self.resource else "",
            "project": self.project,
            "outcome": outcome,
            "request": self.request_digest,
        }
        if who is not None:
            data |= {"method": who.method, "credential": who.credential, "ip": who.ip}
        if self.grant is not None:
            data["policies"] = list(self.grant.policies)
        if self.decision is not None:
            data |= self.decision.evidence
        return data


def name(resource: Resource) -> str:
    """The resource as it stands in the ledger, ``Dataset:main/sha256:…``."""
    return f"{resource.kind}:{resource.id}"
