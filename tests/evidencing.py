"""A platform on which jobs are played and a model came about, with statements of people; packs of it, and forgeries."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from muniment.bootstrap import Platform
from muniment.catalog.model import EntityKind
from muniment.catalog.naming import resolve
from muniment.evidence import verify
from muniment.evidence.pack import Cosigned, assemble
from muniment.evidence.service import Packs
from muniment.execution.ports import ExitStatus, Launch, Sink
from muniment.gate.call import GateCall
from muniment.identity.signing import enrolment
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.kernel.canonical import canonical, digest_of
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import format_time, new_id
from muniment.kernel.ports import SystemEntropy
from muniment.kernel.principal import Authentication, Principal, PrincipalKind
from muniment.kernel.verb import Resource
from muniment.ledger.cosignature import cosign, witness_key
from muniment.ledger.model import Checkpoint, Event
from muniment.ledger.note import sign_note
from muniment.ledger.ports import Signer
from muniment.testing.engine import EmptyWorkshop, PlayedEngine, leave
from muniment.testing.fakes import FakeClock, SeededEntropy
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire.data import AddDataset, ProfileDataset, SplitDataset
from muniment.wire.execution import EvaluateModel, ReproduceModel, TrainModel
from muniment.wire.identity import EnrolSigningKey

Files = dict[str, bytes]
SCHEMA = [{"name": name, "nullable": False, "type": "int64"} for name in ("age", "late", "default")]
PAGES = {"report.pdf": b"%PDF-1.7 a report\n", "formats/model-card.md": b"# a card\n"}
WITNESS = "witness.example/w1"
_WORKED_OUT = ("step", "completes", "counted", "emergency")
"""What the platform puts into a signed record besides the terms that were signed."""


class Key:
    """An Ed25519 key that tests sign with."""

    def __init__(self, seed: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public_key = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The signature of a message."""
        return self._key.sign(message)

    @property
    def name(self) -> str:
        """Fingerprint of the public half."""
        return str(Digest.of(self.public_key))


@dataclass
class Gallery:
    """A platform, who works on it, and the model that came of it."""

    platform: Platform
    people: People
    clock: FakeClock
    site: Site
    model: Digest = field(default_factory=lambda: Digest.of(b""))
    keys: dict[str, Key] = field(default_factory=dict)
    manifest: str = ""

    def state(
        self,
        person: str,
        kind: RecordKind,
        body: Mapping[str, Any],
        *,
        subject: str | None = None,
        grade: Grade = Grade.DECLARED,
        told: bool = True,
        **data: Any,
    ) -> Record:
        """Let somebody state something, as a verb would keep it: a record, and the entry that tells of it."""
        self.clock.advance(seconds=1)
        moment, entropy = self.clock.now(), SystemEntropy()
        by = f"User:{person}"
        record = Record(
            new_id(self.clock, entropy), PROJECT, kind, subject or str(self.model), moment, by, grade, dict(body)
        )
        facts = {"records": [str(record.digest)]} if told else {}
        entry = {"principal": by, "action": "inventory:State", "project": PROJECT, "outcome": "ok", "facts": facts}
        event = Event(
            new_id(self.clock, entropy), "muniment.inventory.stated.v1", moment, f"Model:{self.model}", entry | data
        )
        with self.platform.store.write() as session:
            session.use(Records).append(record)
            self.platform.ledger.append(session, event)
        return record

    def enrol(self, person: str, key: Key) -> None:
        """Let somebody make his key known."""
        self.clock.advance(seconds=1)
        principal = Principal(PrincipalKind.USER, person)
        proof = base64.b64encode(key.sign(enrolment(principal, key.public_key))).decode()
        public = base64.b64encode(key.public_key).decode()
        self.people.ask(person, EnrolSigningKey(public_key=public, proof=proof))
        self.keys[person] = key

    def signature(self, person: str, meaning: str, **changes: Any) -> dict[str, Any]:
        """What somebody signs, as it stands in a record."""
        key = changes.pop("by", self.keys[person])
        statement = {
            "format": "muniment.statement/1",
            "origin": self.platform.ledger.origin,
            "project": PROJECT,
            "model": str(self.model),
            "subject": self.manifest,
            "meaning": meaning,
            "signer": f"User:{person}",
            "key": key.name,
            "challenge": "once",
            "prepared_at": format_time(self.clock.now()),
            "terms": {},
        }
        text = canonical(statement | changes).decode()
        return {
            "statement": text,
            "signature": base64.b64encode(key.sign(text.encode())).decode(),
            "key": key.name,
            "public_key": base64.b64encode(key.public_key).decode(),
        }

    def sign(self, person: str, kind: RecordKind, meaning: str, body: Mapping[str, Any], **changes: Any) -> Record:
        """Let somebody take a signed step."""
        terms = {name: value for name, value in body.items() if name not in _WORKED_OUT}
        signed = {**body, "signature": self.signature(person, meaning, **{"terms": terms, **changes})}
        return self.state(person, kind, signed, grade=Grade.ATTESTED)

    def call(self) -> GateCall:
        """The request of an auditor."""
        who = Authentication(
            Principal(PrincipalKind.USER, "auditor"), "token", self.clock.now(), "127.0.0.1", "credential"
        )
        with self.platform.store.read() as session:
            return GateCall(
                grant=None,  # type: ignore[arg-type] - dossiers are gathered, nothing is permitted here
                authentication=who,
                resource=Resource("Model", str(self.model), PROJECT),
                now=self.clock.now(),
                session=session,
                services=self.platform.gate._services,
                clock=self.clock,
                entropy=SeededEntropy(3),
                content=None,
            )

    @property
    def signer(self) -> Signer:
        """The ledger's key: what an operator holds."""
        signer: Signer = self.call().use(Signer)
        return signer

    def dossier(self, checkpoint: Checkpoint | None = None) -> dict[str, Any]:
        """The dossier of the model at a checkpoint, or at a new one."""
        packs = self.call().use(Packs)
        return packs.dossier(self.call(), self.model, checkpoint or self.platform.ledger.checkpoint())

    def pack(
        self, checkpoint: Checkpoint | None = None, *, witness: Key | None = None, since: int | None = None
    ) -> bytes:
        """A pack with short pages, so that tests are quick."""
        dossier = self.dossier(checkpoint)
        note, cosigned = dossier["checkpoint"]["note"], []
        if witness is not None:
            line = cosign(note, WITNESS, witness, self.clock.now())
            cosigned = [Cosigned(witness_key(WITNESS, witness.public_key).text, line)]
            dossier["witnesses"] = [
                {"name": WITNESS, "key": cosigned[0].key, "size": dossier["checkpoint"]["size"], "line": line}
            ]
        consistency = {}
        if since is not None:
            size = dossier["checkpoint"]["size"]
            consistency = {since: self.platform.ledger.prove_consistency(since, size).path}
        return assemble(dossier, self.signer, pages=PAGES, cosignatures=cosigned, consistency=consistency)


def gallery(site: Site, folder: Path) -> Gallery:
    """A model that was trained, measured, made again and approved, on a copy of an installation."""
    made = trained(site.copy(folder))
    _life(made)
    return made


def trained(place: Site) -> Gallery:
    """A model that was trained, measured and made again, and about which nobody stated anything yet."""
    clock = FakeClock(datetime.now(UTC))
    platform = place.open(clock=clock, engine=PlayedEngine(_played), workshop=EmptyWorkshop())
    made = Gallery(platform, People(platform, place.tokens), clock, place)
    _model(made)
    return made


def again(made: Gallery, folder: Path, *, database: str = "") -> Gallery:
    """A copy of a gallery that was closed, to tamper with or to go on from, on SQLite or on the database given."""
    place, clock = made.site.copy(folder, database=database), FakeClock(made.clock.now())
    platform = place.open(clock=clock, engine=PlayedEngine(_played), workshop=EmptyWorkshop())
    return Gallery(platform, People(platform, place.tokens), clock, place, made.model, dict(made.keys), made.manifest)


def _model(made: Gallery) -> None:
    people = made.people

    def run(person: str, request: Any, body: bytes | None = None) -> None:
        made.clock.advance(seconds=1)
        people.ask(person, request, body)
        made.clock.advance(seconds=1)
        assert people.work() == 1

    run(
        "scientist",
        AddDataset(project=PROJECT, name="loans", filename="loans.csv", target="default"),
        b"age,late\n1,2\n",
    )
    run("scientist", ProfileDataset(project=PROJECT, dataset="loans"))
    run("scientist", SplitDataset(project=PROJECT, dataset="loans", parts={"train": 0.6, "test": 0.4}))
    for algorithm in ("logistic_regression", "xgboost"):
        train = TrainModel(project=PROJECT, experiment="loans", data="loans/train", algorithm=algorithm)
        run("scientist", train)
        name = f"model:loans-{algorithm.replace('_', '-')}"
        run("scientist", EvaluateModel(project=PROJECT, model=name, data="loans/test"))
    run("validator", ReproduceModel(project=PROJECT, model="model:loans-xgboost"))
    with made.platform.store.read() as session:
        made.model = resolve(session, PROJECT, "model:loans-xgboost@1", EntityKind.MODEL).digest


def _life(made: Gallery) -> None:
    """Registered, submitted, validated and approved, with a finding that was closed."""
    for seed, person in enumerate(("scientist", "validator", "approver"), 11):
        made.enrol(person, Key(seed))
    files = made.dossier()["model"]["files"]
    document = {"format": "muniment.model-manifest/1", "digest": str(made.model), "files": files}
    made.manifest = str(digest_of(document))
    note = sign_note(f"muniment.model-manifest/1\n{made.manifest}\n", made.platform.ledger.origin, made.signer)
    made.state(
        "scientist",
        RecordKind.USE_CASE,
        {"name": "loans", "version": 1, "purpose": "who pays back", "owner": "scientist"},
        subject="usecase:loans",
    )
    registration = {
        "model": "model:loans-xgboost@1", "digest": str(made.model), "name": "loans-xgboost", "version": 1,
        "use_case": "loans", "model_kind": "model", "origin": "platform", "owner": "scientist", "description": "",
        "assumptions": [], "limits": [], "supplier": None, "algorithm": "xgboost", "manifest": made.manifest,
        "manifest_document": document, "manifest_note": note, "step": 0,
    }  # fmt: skip
    made.state("scientist", RecordKind.REGISTRATION, registration)
    requires = {"approvals": 1, "steps": ["submission", "validation", "approval"], "evidence": [], "review_months": 12}
    made.state("scientist", RecordKind.TIER, {"level": 2, "rule": "r", "requires": requires, "step": 1})
    made.sign("scientist", RecordKind.SUBMISSION, "submitted for validation", {"note": "", "step": 2})
    finding = {"title": "few late payers", "severity": "low", "owner": "scientist", "due": "2027-01-31", "text": "…"}
    found = made.state("validator", RecordKind.FINDING, finding)
    made.state("scientist", RecordKind.FINDING_CLOSURE, {"evidence": "run", "text": "more data"}, subject=found.id)
    review = {"outcome": "satisfactory", "scope": "all", "text": "sound", "conceptual_soundness": "yes", "step": 3}
    made.sign("validator", RecordKind.REVIEW, "validated", review)
    approval = {
        "conditions": [], "use_limits": [], "expires": "2027-11-26T00:00:00.000000Z", "emergency": False,
        "completes": True, "counted": [], "step": 4,
    }  # fmt: skip
    made.sign("approver", RecordKind.APPROVAL, "approved", approval)


def _played(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
    """What each program would leave, small and always the same."""
    _PLAYS[launch.argv[-1].rpartition(".")[2]](launch, sink)
    return ExitStatus.OK


def _snapshot(sink: Sink, folder: str, rows: int) -> None:
    content = f"PAR1 {folder} {rows}".encode()
    part = {
        "path": "part-00000.parquet", "bytes": len(content), "rows": rows,
        "bytes_digest": str(Digest.of(content)), "content_digest": str(Digest.of(b"c" + content)),
    }  # fmt: skip
    leave(sink, f"{folder}/part-00000.parquet", content)
    manifest = {
        "format": "muniment.snapshot/1", "rows": rows, "schema": SCHEMA, "parts": [part], "target": "default",
        "content_digest": part["content_digest"],
    }  # fmt: skip
    leave(sink, f"{folder}/manifest.json", canonical(manifest))


def _ingest(launch: Launch, sink: Sink) -> None:
    _snapshot(sink, "output/data", 10)
    leave(sink, verify.REPORT, verify.printed({"rows": 10, "findings": [{"code": "few", "message": "few rows"}]}))


def _split(launch: Launch, sink: Sink) -> None:
    for part, rows in (("train", 6), ("test", 4)):
        _snapshot(sink, f"output/data/{part}", rows)
    proof = {"format": "muniment.split/1", "disjoint": True, "complete": True, "parts": {}}
    leave(sink, "output/data/proof.json", verify.printed(proof))


def _profile(launch: Launch, sink: Sink) -> None:
    leave(sink, verify.REPORT, verify.printed({"columns": [{"name": "age", "mean": 41.25}]}))


def _train(launch: Launch, sink: Sink) -> None:
    config = next(one.content for one in launch.files if one.path.endswith("hyperparameters.json"))
    algorithm = "xgboost" if b"xgboost" in config else "logistic_regression"
    model = {"algorithm": algorithm, "target": "default", "features": [{"name": "age"}]}
    leave(sink, "model/model.json", canonical(model))
    leave(sink, "model/model.txt", f"tree {algorithm}".encode())
    leave(sink, verify.REPORT, verify.printed({"algorithm": algorithm, "rounds": 3, "loss": 0.5}))
    sink.metric(b'{"name":"loss","value":0.5}')


def _evaluate(launch: Launch, sink: Sink) -> None:
    digest = hashlib.sha256(repr([one.digest for one in launch.inputs]).encode()).digest()
    auc = 0.5 + digest[0] / 1024
    sink.metric(json.dumps({"name": "auc", "value": auc}).encode())
    sink.metric(b'{"name":"ks","value":0.25}')
    leave(sink, verify.REPORT, verify.printed({"metrics": {"auc": auc, "ks": 0.25}, "threshold": 0.5, "rows": 4}))


_PLAYS: dict[str, Callable[[Launch, Sink], None]] = {
    "ingest": _ingest,
    "profile": _profile,
    "split": _split,
    "train": _train,
    "evaluate": _evaluate,
}


def resigned(files: Files, signer: Signer) -> bytes:
    """The archive of these files under a manifest that fits them, signed: the best that a holder of the key can do."""
    origin, head = _head(files)
    sums = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in sorted(files.items())
        if name != "manifest.txt"
    )
    return verify.archive(files | {"manifest.txt": sign_note(head + sums, origin, signer).encode()})


def _head(files: Files) -> tuple[str, str]:
    lines = files["manifest.txt"].decode().split("\n")
    return lines[1], "".join(f"{line}\n" for line in lines[:4])


def told(pack: bytes, folder: Path, **how: Any) -> tuple[int, dict[str, Any]]:
    """What the verifier says of a pack."""
    path = folder / "pack.zip"
    path.write_bytes(pack)
    return verify.answer(path, how.get("key"), how.get("kept", []), 900.0, how.get("witnesses", []))
