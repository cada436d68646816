"""What may be loaded: the gate that a model passes each time before somebody uses it; the unsigned is refused.

The state of a version is what its records come to, and records lie in a table that somebody may have written to. So
nothing is believed here that is not borne out: the manifest by the ledger's signature, the files by their digests, each
approval by its signer's key, their number by the tier of that day, and every record by an entry of the signed ledger.
``wrongs`` is the judgement, a pure function; ``examine`` gathers what it looks at.

A version that was promoted is held against the project that it came from as well: it may be used as long as it may be
used there.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

from muniment.catalog.ports import Entities
from muniment.errors import MunimentError, NotFound
from muniment.execution.contents import parts_of
from muniment.execution.model import Part
from muniment.identity.model import SigningKey
from muniment.identity.ports import SigningKeys, Ties
from muniment.identity.signing import signed_by
from muniment.inventory.independence import parties
from muniment.inventory.lifecycle import EMERGENCY_WINDOW, Act, InForce, Usability, Version, fold, usable
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.registering import manifest_text
from muniment.inventory.revalidation import reviews_of
from muniment.inventory.standing import Severity, findings_in
from muniment.inventory.versions import records_about
from muniment.kernel.canonical import digest_of
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.verb import Call
from muniment.ledger.model import Entry, Search
from muniment.ledger.note import open_note
from muniment.ledger.ports import EntryRepository
from muniment.ledger.service import Ledger
from muniment.ledger.tree import leaf_hash
from muniment.vault.service import Vault

__all__ = ["Claim", "Examined", "examine", "usability", "wrongs"]

_DEEPEST: Final = 8
"""A version is promoted at most so many times, from project to project: stages are three."""

_NEAR: Final = (timedelta(0), timedelta(seconds=1), timedelta(minutes=10))
"""The entry of a record is made within the last of these after it, and nearly always within the one before."""

_TOLD: Final[Mapping[str, str]] = {
    "muniment.inventory.model.retired.v1": "a retirement",
    "muniment.inventory.model.rejected.v1": "a rejection",
    "muniment.inventory.finding.opened.v1": "a finding",
    "muniment.inventory.breakglass.signed.v1": "a break-glass",
    "muniment.inventory.review.scheduled.v1": "a review that is due",
    "muniment.inventory.review.completed.v1": "a review that was done",
}
"""Entries whose records stand against a use: who erases the record does not erase the entry."""

_RESTORED: Final = "muniment.evidence.installation.restored.v1"
"""An installation that was made from an export names in this entry the key that stood behind the history until then."""

_LIFE: Final = frozenset(
    {
        RecordKind.REGISTRATION,
        RecordKind.DETERMINATION,
        RecordKind.TIER,
        RecordKind.SUBMISSION,
        RecordKind.REVIEW,
        RecordKind.APPROVAL,
        RecordKind.BREAK_GLASS,
        RecordKind.PROMOTION,
        RecordKind.FINDING,
        RecordKind.FINDING_CLOSURE,
        RecordKind.REVIEW_SCHEDULE,
        RecordKind.REVIEW_DONE,
    }
)
"""Records by which a version is usable or not: each must be borne out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A version that is said to be usable, and everything by which that is judged."""

    ledger_keys: Sequence[tuple[str, bytes]]
    """Names and public keys by which a manifest may be signed: the ledger's, and those that it goes on from."""

    project: str
    digest: Digest
    version: Version
    emergency: bool
    """Whether it is the emergency approval that makes it usable."""

    parts: Sequence[Part]
    """The files that the digest of the model names."""

    required: int
    """Approvals that the tier of the day of the approval asked for."""

    keys: Mapping[str, SigningKey]
    """Enrolled keys by fingerprint."""

    people: Mapping[str, str]
    """Account -> one name for all accounts of its person."""

    authors: Mapping[str, Sequence[str]]
    """Account -> why it is an author of the version, in sentences."""

    unborne: Sequence[str] = ()
    """What the signed ledger does not bear out, in sentences."""

    @property
    def standing(self) -> InForce | None:
        """The approval that it is said to be usable by."""
        return self.version.emergency if self.emergency else self.version.in_force


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """The answer of the gate."""

    usability: Usability
    manifest: str | None = None
    parts: tuple[Part, ...] = ()
    """What may be loaded; empty when nothing may."""

    checked: tuple[str, ...] = ()
    """What was found in order, in words."""


def wrongs(claim: Claim) -> Iterator[str]:
    """Why a version must not be loaded, whatever its state says; nothing when all is borne out. Pure."""
    yield from _manifest_wrongs(claim)
    yield from claim.unborne
    standing = claim.standing
    if standing is None or claim.version.promotion is not None:
        return
    meaning = Act.BREAK_GLASS if claim.emergency else Act.APPROVE
    signatures = _emergency_signatures(claim.version, standing) if claim.emergency else standing.records
    sound: set[str] = set()
    for record in signatures:
        found = [*_signature_wrongs(claim, record, meaning)]
        yield from found
        if not found:
            sound.add(claim.people.get(_name(record), _name(record)))
    required = 2 if claim.emergency else claim.required
    if len(sound) < required:
        yield f"{len(sound)} sound signature{'s' if len(sound) != 1 else ''} of different people, and {required} needed"
    if claim.emergency and len(signatures) == 2 and signatures[1].at - signatures[0].at > EMERGENCY_WINDOW:
        yield "the two signatures of the break-glass lie more than a day apart"


def usability(call: Call, model: Digest, depth: int = 0) -> Usability:
    """Whether a version may be used at the moment of a request, by what its records say, and why.

    A promoted version may be used as long as it may be where it came from; conditions and limits of both hold.
    """
    records = records_about(call.session, call.project, model)
    version = fold(records)
    high = sum(finding.open and finding.severity is Severity.HIGH for finding in findings_in(records))
    overdue = 0
    if version is not None and version.in_force is not None:
        overdue = sum(review.overdue(call.now) for review in reviews_of(call, model, records))
    found = usable(version, call.now, high=high, overdue=overdue)
    if version is None or version.promotion is None or not found.usable:
        return found
    source = str(version.promotion.body["source"])
    if depth >= _DEEPEST:
        return Usability(False, found.emergency, (f"it was promoted more than {_DEEPEST} times over",))
    there = usability(call.within(source), model, depth + 1)
    if not there.usable:
        return Usability(False, found.emergency, tuple(f"in project {source}: {why}" for why in there.because))
    ends = [moment for moment in (found.expires, there.expires) if moment is not None]
    return replace(
        found,
        emergency=found.emergency or there.emergency,
        because=(f"promoted from project {source} on {version.promotion.at:%Y-%m-%d}", *there.because),
        expires=min(ends, default=None),
        conditions=tuple(dict.fromkeys((*found.conditions, *there.conditions))),
        use_limits=tuple(dict.fromkeys((*found.use_limits, *there.use_limits))),
    )


def examine(call: Call, model: Digest, *, files: bool) -> Examined:
    """Whether a version may be loaded now, and what of it.

    Args:
        call: the request.
        model: the version.
        files: whether to read every file to its end as well; whoever loads them does that anyway.
    """
    said = usability(call, model)
    if not said.usable:
        return Examined(usability=said)
    return _examined(call, model, said, files=files, depth=0)


def _examined(call: Call, model: Digest, said: Usability, *, files: bool, depth: int) -> Examined:
    vault = call.use(Vault)
    entity = call.use(Entities).find(call.project, [model]).get(model)
    records = records_about(call.session, call.project, model)
    version = fold(records)
    if entity is None or version is None:
        return _refused(said, ["the catalog does not know it"])
    try:
        parts = parts_of(entity, lambda manifest: vault.read_bytes(call.project, manifest))
        for part in parts if files else ():
            for _ in vault.stream(call.project, part.digest):
                pass
    except MunimentError as broken:
        return _refused(said, [f"{broken.code}: {broken.message}"])
    emergency = said.emergency and version.promotion is None
    claim = _claim(call, model, version, records, parts, emergency=emergency)
    found = [*wrongs(claim)]
    if found:
        return _refused(said, found)
    checked = [
        "the manifest is signed by the ledger's key, and is of this model and these files",
        f"{len(parts)} file{'s' if len(parts) != 1 else ''} "
        + ("read to the end, with the digests of the manifest" if files else "named by the digest of the model"),
        f"{sum(record.kind in _LIFE for record in records)} records of its life stand in the ledger",
    ]
    if version.promotion is None:
        checked.append(f"signatures that fit the keys of people who are no authors of it: {len(_signatures(claim))}")
        return Examined(usability=said, manifest=version.manifest, parts=parts, checked=tuple(checked))
    source = str(version.promotion.body["source"])
    there = call.within(source)
    origin = _examined(there, model, usability(there, model, depth + 1), files=False, depth=depth + 1)
    if not origin.usability.usable:
        return _refused(said, [f"in project {source}: {why}" for why in origin.usability.because])
    if [one.document() for one in origin.parts] != [one.document() for one in parts]:
        return _refused(said, [f"its files are not those that it has in project {source}"])
    checked += [f"in project {source}: {what}" for what in origin.checked]
    return Examined(usability=said, manifest=version.manifest, parts=parts, checked=tuple(checked))


def _claim(
    call: Call, model: Digest, version: Version, records: Sequence[Record], parts: tuple[Part, ...], *, emergency: bool
) -> Claim:
    claim = Claim(
        ledger_keys=_ledger_keys(call),
        project=call.project,
        digest=model,
        version=version,
        emergency=emergency,
        parts=parts,
        required=_required_then(version, records),
        keys={},
        people={},
        authors=parties(call.session, call.project, model, version).authors,
        unborne=tuple(_unborne(call, model, records)),
    )
    signatures = _signatures(claim)
    named = [str(record.body["signature"].get("key", "")) for record in signatures if _is_signed(record)]
    found = [call.use(SigningKeys).find(Digest(one)) for one in named if _is_digest(one)]
    ties = call.use(Ties)
    return replace(
        claim,
        keys={str(key.fingerprint): key for key in found if key is not None},
        people={name: min(ties.same([name])) for name in map(_name, signatures)},
    )


def _refused(said: Usability, because: Iterable[str]) -> Examined:
    return Examined(usability=Usability(False, said.emergency, tuple(because)))


def _manifest_wrongs(claim: Claim) -> Iterator[str]:
    told = claim.version.registration.body
    document, manifest = told.get("manifest_document"), str(told.get("manifest"))
    if not isinstance(document, dict) or str(digest_of(document)) != manifest:
        yield "the manifest is not the one that its digest names"
        return
    note = str(told.get("manifest_note"))
    if not any(_note_fits(note, manifest, origin, key) for origin, key in claim.ledger_keys):
        yield "the manifest is not signed by the ledger's key"
    named = (document.get("project"), document.get("digest"), document.get("model"))
    if named != (claim.project, str(claim.digest), told.get("model")):
        yield "the manifest is that of another model"
    if document.get("files") != [part.document() for part in claim.parts]:
        yield "the files are not those of the manifest"


def _note_fits(note: str, manifest: str, origin: str, key: bytes) -> bool:
    try:
        return open_note(note, origin, key) == manifest_text(manifest)
    except MunimentError:
        return False


def _signature_wrongs(claim: Claim, record: Record, meaning: Act) -> Iterator[str]:
    """What is wrong with one signature: nothing when it is this person's, about this manifest, with these terms."""
    who = f"the signature of {record.by} of {record.at:%Y-%m-%d}"
    kept = record.body.get("signature") if _is_signed(record) else None
    if kept is None:
        yield f"{record.by} approved it without a signature"
        return
    stated, key = _stated(str(kept.get("statement"))), claim.keys.get(str(kept.get("key")))
    raw = _raw(str(kept.get("public_key")))
    if key is None or key.public_key != raw or f"User:{key.account}" != record.by:
        yield f"{who} is by a key that this person did not enrol"
        return
    if not signed_by(raw, str(kept.get("statement")).encode(), str(kept.get("signature"))):
        yield f"{who} does not verify"
        return
    if not key.enrolled_at <= record.at or (key.revoked_at is not None and key.revoked_at <= record.at):
        yield f"{who} was made while its key was not valid"
    expected = {
        "project": claim.project,
        "model": str(claim.digest),
        "subject": claim.version.manifest,
        "meaning": meaning.value,
        "signer": record.by,
        "key": str(kept.get("key")),
    }
    differing = [name for name, value in expected.items() if stated.get(name) != value]
    if stated.get("origin") not in {origin for origin, _ in claim.ledger_keys}:
        differing.append("ledger")
    if differing:
        yield f"{who} is about another {differing[0]}"
    terms = stated.get("terms")
    if not isinstance(terms, dict) or any(record.body.get(name) != value for name, value in terms.items()):
        yield f"{who} is about other terms than the record says"
    yield from (f"{who} does not count: {why}" for why in claim.authors.get(_name(record), ())[:1])


def _signatures(claim: Claim) -> Sequence[Record]:
    standing = claim.standing
    if standing is None or claim.version.promotion is not None:
        return ()
    return _emergency_signatures(claim.version, standing) if claim.emergency else standing.records


def _emergency_signatures(version: Version, standing: InForce) -> tuple[Record, ...]:
    """The two break-glass signatures behind an emergency approval."""
    wanted = (standing.record.body.get("first"), standing.record.body.get("second"))
    return tuple(record for id_ in wanted for record in version.broken if record.id == id_)


def _required_then(version: Version, records: Sequence[Record]) -> int:
    """How many approvals the tier asked for when the approval was completed; a later tier is for the next approval."""
    if version.in_force is None:
        return 1
    completed = int(version.in_force.record.body.get("step", 0))
    tiers = [r for r in records if r.kind is RecordKind.TIER and int(r.body.get("step", 0)) < completed]
    newest = max(tiers, key=lambda record: int(record.body.get("step", 0)), default=None)
    return 1 if newest is None else int(newest.body["requires"].get("approvals", 1))


def _unborne(call: Call, model: Digest, records: Sequence[Record]) -> Iterator[str]:
    """Which records of a life the ledger does not tell of, and which it tells of that are not there."""
    latest = call.use(Ledger).latest()
    proven: dict[int, bool] = {}
    for record in records:
        if record.kind in _LIFE:
            entry, what = _entry_of(call, record), f"the {record.kind} of {record.at:%Y-%m-%d} by {record.by}"
            if entry is None:
                yield f"the ledger does not tell of {what} as it stands"
            elif not _in_tree(call, entry, latest.size if latest else 0, proven):
                yield f"the ledger's entry of {what} is not the one that was signed"
    there = {str(record.digest) for record in records}
    for type_, what in _TOLD.items():
        search = Search(type=type_, project=call.project, outcome="ok", text=str(model), limit=1000)
        for entry in call.use(EntryRepository).search(search):
            if entry.event["data"]["facts"].get("model") == model and not _named(entry) <= there:
                yield f"the ledger tells of {what} on {entry.event['time'][:10]}, and its record is missing"


def _entry_of(call: Call, record: Record) -> Entry | None:
    """The entry of the ledger that bears a record out."""
    entries, text = call.use(EntryRepository), str(record.digest)
    for since, until in pairwise(format_time(record.at + after) for after in _NEAR):
        for entry in entries.holding(text, since, until):
            data = entry.event["data"]
            told = (data["outcome"], data["project"], data["principal"])
            if told == ("ok", record.project, record.by) and text in _named(entry):
                return entry
    return None


def _named(entry: Entry) -> set[str]:
    return set(map(str, entry.event["data"].get("facts", {}).get("records", ())))


def _in_tree(call: Call, entry: Entry, size: int, proven: dict[int, bool]) -> bool:
    """Whether an entry is the leaf that was signed; what is too new to be signed yet is let pass."""
    index = entry.index
    if index is None or index >= size:
        return True
    if index not in proven:
        try:
            proven[index] = call.use(Ledger).prove_inclusion(index, size).leaf == leaf_hash(entry.body)
        except NotFound:
            proven[index] = True
        except MunimentError:
            proven[index] = False
    return proven[index]


def _ledger_keys(call: Call) -> list[tuple[str, bytes]]:
    """Name and key of the ledger, and those that the signed ledger says stood behind it before."""
    keys = [call.use(Ledger).key]
    search = Search(type=_RESTORED, outcome="ok", limit=100)
    latest = call.use(Ledger).latest()
    size = latest.size if latest else 0
    for entry in call.use(EntryRepository).search(search):
        data = entry.event["data"]
        # it is the first entry after the history that it speaks of, or it is none of ours
        first = entry.index is not None and entry.index == data["facts"].get("entries")
        if first and data["principal"].startswith("System:") and _in_tree(call, entry, size, {}):
            keys.append(str(data["facts"].get("former_key", "")))
    named = [text.split("+", 2) for text in keys]
    return [(one[0], raw) for one in named if len(one) == 3 and len(raw := _raw(one[2])[1:]) == 32]


def _stated(text: str) -> Mapping[str, Any]:
    try:
        stated = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return stated if isinstance(stated, dict) else {}


def _raw(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _is_signed(record: Record) -> bool:
    return isinstance(record.body.get("signature"), dict)


def _is_digest(text: str) -> bool:
    return text.startswith("sha256:") and len(text) == 71


def _name(record: Record) -> str:
    return record.by.partition(":")[2]
