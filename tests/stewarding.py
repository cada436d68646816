"""A platform whose data are looked after by two stewards: for tests of terms, grants, holds and erasure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asking import furnish_catalog
from muniment.catalog.model import ActivityKind, EntityKind
from muniment.catalog.recording import Recorder
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import new_id
from muniment.kernel.ports import SystemClock, SystemEntropy
from muniment.testing.fakes import FakeClock
from muniment.testing.platform import PROJECT, People
from muniment.wire import identity as wid
from muniment.wire import stewardship as ws
from muniment.wire.execution import TrainModel


@dataclass(frozen=True)
class Estate:
    """Data with stewards: ``steward`` and ``steward2``, neither of whom made the other."""

    people: People

    @classmethod
    def of(cls, people: People) -> Estate:
        """Furnish a fresh platform: data:credit, model:scorer, a second steward, whom the other administrator made."""
        furnish_catalog(people)
        estate = cls(people)
        estate.person("steward2", "data-steward", by="admin2")
        return estate

    def person(self, name: str, role: str, by: str = "admin2", scope: str | None = PROJECT) -> str:
        """Somebody new with a role."""
        people = self.people
        people.ask(by, wid.AddUser(name=name))
        people.tokens[name] = people.ask(by, wid.IssueTokenFor(owner=name)).token
        people.ask(by, wid.GrantRole(subject=name, role=role, scope=scope))
        return name

    def ask(self, person: str, request: Any, body: bytes | None = None) -> Any:
        """What the platform answers; a clock that stands still is moved, so that records have an order."""
        clock = self.people.platform.gate._clock
        if isinstance(clock, FakeClock):
            clock.advance(milliseconds=1)
        return self.people.ask(person, request, body)

    def train(self, data: str = "data:credit", by: str = "scientist", **given: Any) -> Any:
        """Submit a training."""
        request = TrainModel(
            project=PROJECT, experiment="e", data=data, algorithm="xgboost", target="age", fresh=True, **given
        )
        return self.ask(by, request)

    def terms(self, by: str = "steward", dataset: str = "data:credit", **given: Any) -> ws.Statement:
        """State terms."""
        given.setdefault("reason", "policy")
        return self.ask(by, ws.SetTerms(project=PROJECT, dataset=dataset, **given))  # type: ignore[no-any-return]

    def rights(self, dataset: str = "data:credit", by: str = "scientist", **given: Any) -> ws.Rights:
        """What may be done."""
        return self.ask(by, ws.ShowRights(project=PROJECT, dataset=dataset, **given))  # type: ignore[no-any-return]

    def derive(self, *sources: str, name: str, kind: ActivityKind = ActivityKind.SPLIT, content: bytes = b"") -> Digest:
        """Record a snapshot that was made of others."""
        platform = self.people.platform
        used = [Digest(self.rights(source).digest) for source in sources]
        now = platform.gate._clock.now()
        with platform.store.write() as session:
            recorder = Recorder(session, PROJECT, now)
            sealed = platform.vault.seal_bytes(PROJECT, content or name.encode())
            platform.vault.register(session, PROJECT, sealed)
            files = [{"path": "part", "digest": str(sealed.digest), "size": sealed.size}]
            schema = [{"name": "age", "type": "int64", "nullable": False}]
            facts = {"files": files, "schema": schema}
            recorder.entity(sealed.digest, EntityKind.DATA, author="User:scientist", facts=facts, parts=[sealed.digest])
            run = new_id(SystemClock(), SystemEntropy())
            recorder.activity(run, kind, agent="User:scientist", started_at=now, ended_at=now, facts={})
            for number, digest in enumerate(used):
                recorder.used(run, digest, f"data{number}")
            recorder.generated(run, sealed.digest, "snapshot")
            recorder.name(EntityKind.DATA, name, sealed.digest, by="User:scientist")
        return sealed.digest

    def grant(self, by: str = "scientist", dataset: str = "data:credit", **given: Any) -> ws.DataGrantView:
        """Ask for access."""
        given = {"purpose": "scoring", "reason": "model 7", "days": 7, **given}
        return self.ask(by, ws.RequestDataGrant(project=PROJECT, dataset=dataset, **given))  # type: ignore[no-any-return]

    def approve(self, grant: str, by: str = "steward", **given: Any) -> ws.DataGrantView:
        """Give access."""
        return self.ask(by, ws.ApproveDataGrant(project=PROJECT, grant=grant, **given))  # type: ignore[no-any-return]
