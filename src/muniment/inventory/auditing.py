"""Whether the inventory in the database is the one that the ledger tells of.

Records, signing keys and links between accounts lie in tables, which somebody may have changed. Each record's digest
stands in the entry of the request that made it, and so does each key with its account. The rows of lists and of the
board are worked out from the records, and must be what those come to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from muniment.identity.ports import Projects, SigningKeys
from muniment.identity.signing import enrol_signing_key, revoke_signing_key, revoke_signing_key_of
from muniment.inventory.model import RecordKind
from muniment.inventory.ports import Records, Versions, Wanted
from muniment.inventory.versions import worked_out
from muniment.kernel.digest import Digest
from muniment.kernel.resources import INSTALLATION
from muniment.kernel.verb import Call, Effect, verb
from muniment.ledger.ports import CheckpointRepository, EntryRepository
from muniment.wire import records as wire

_CHUNK: Final = 1024
_MOST: Final = 1 << 30
_FINDINGS: Final = 100
_REVOKED: Final = (revoke_signing_key.event, revoke_signing_key_of.event)


@dataclass(slots=True)
class Told:
    """What the ledger tells of the inventory."""

    records: dict[str, dict[str, str]] = field(default_factory=dict)
    """Entry by digest of the record, by project."""

    keys: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """Account, and whether it was revoked, by fingerprint of the key."""

    def hear(self, event: dict[str, Any]) -> None:
        """Take in an entry of something that was done."""
        data = event["data"]
        facts = data.get("facts", {})
        digests = self.records.setdefault(data["project"], {})
        digests |= dict.fromkeys(facts.get("records", ()), event["id"])
        if event["type"] == enrol_signing_key.event:
            self.keys[facts["key"]] = (facts["account"], False)
        elif event["type"] in _REVOKED:
            self.keys[facts["key"]] = (facts["account"], True)


@verb(
    "inventory:VerifyInventory",
    on=INSTALLATION,
    request=wire.VerifyInventory,
    reply=wire.InventoryReport,
    event="inventory.verified",
    group="audit:read",
    effect=Effect.READ,
)
def verify_inventory(call: Call, request: wire.VerifyInventory) -> wire.InventoryReport:
    """Compare records, versions and signing keys in the database with what the ledger tells."""
    told = Told()
    for event in _events(call):
        told.hear(event)
    findings: list[str] = []
    records = versions = 0
    for project in sorted({*told.records, *(known.name for known in call.use(Projects).all())} - {""}):
        kept = [one for kind in RecordKind for one in call.use(Records).of_kind(project, kind)]
        records += len(kept)
        findings += _misrecorded(project, {str(one.digest): one.id for one in kept}, told.records.get(project, {}))
        rows = call.use(Versions).listed(project, Wanted(), call.now, _MOST)
        versions += len(rows)
        registered = {one.subject for one in kept if one.kind is RecordKind.REGISTRATION}
        for digest in sorted(registered | {str(row.digest) for row in rows}):
            if worked_out(call.session, project, Digest(digest)) != call.use(Versions).get(project, Digest(digest)):
                findings.append(f"{digest} in {project}: lists and board show it otherwise than its records tell")
    keys = {str(key.fingerprint): key for key in call.use(SigningKeys).of(None)}
    there = {name: (key.account, key.revoked_at is not None) for name, key in keys.items()}
    for name in sorted({*there, *told.keys}):
        if there.get(name) != told.keys.get(name) or (name in keys and Digest.of(keys[name].public_key) != name):
            findings.append(f"signing key {name}: whose it is, or whether it still signs, is not as it was recorded")
    call.note(ok=not findings, findings=len(findings))
    return wire.InventoryReport(
        ok=not findings,
        records=records,
        checked=[
            f"{records} records of the inventory against the entries that tell of them, both ways",
            f"{versions} registered versions as lists and board show them against their records",
            f"{len(there)} signing keys, their accounts and whether they were revoked",
        ],
        findings=findings[:_FINDINGS],
    )


def _misrecorded(project: str, kept: dict[str, str], told: dict[str, str]) -> Sequence[str]:
    altered = [
        f"record {id_} in {project}: the ledger tells of none that says this"
        for d, id_ in kept.items()
        if d not in told
    ]
    gone = [
        f"entry {entry} in {project}: the record that it tells of is missing"
        for d, entry in told.items()
        if d not in kept
    ]
    return sorted(altered) + sorted(gone)


def _events(call: Call) -> Iterator[dict[str, Any]]:
    """Everything that was done, in this transaction's view of the ledger; only what names records or keys is read."""
    entries = call.use(EntryRepository)
    head = call.use(CheckpointRepository).head()
    size = head.checkpoint.size if head else 0
    for start in range(0, size, _CHUNK):
        for _, row in entries.rows(start, min(start + _CHUNK, size)):
            if row.outcome == "ok" and _speaks(row.body):
                yield json.loads(row.body)
    for _, body in entries.unsequenced(_MOST):
        if _speaks(body) and json.loads(body)["data"]["outcome"] == "ok":
            yield json.loads(body)


def _speaks(body: str) -> bool:
    return '"records":[' in body or ".signingkey." in body


VERBS: Final = (verify_inventory,)
