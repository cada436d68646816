"""Requests and replies about the witnesses of the ledger."""

from __future__ import annotations

from msgspec import Struct


class AddWitness(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Name a witness of the ledger, or change its URL."""

    key: str
    """Its verifier key, ``NAME+KEYID+BASE64``, had from whoever runs it by a way that is trusted."""

    url: str | None = None
    """Where it listens, https beyond this machine; without one, files are carried to it."""

    required: int | None = None
    """How many of all witnesses must cosign a checkpoint; by default all of them."""


class ListWitnesses(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The witnesses, and how far each has cosigned."""


class RemoveWitness(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Forget a witness; what it cosigned stays."""

    name: str
    required: int | None = None
    """How many of those who are left must cosign."""


class SubmitCheckpoint(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Have the newest checkpoint cosigned by every witness, now."""


class GetSubmission(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The newest checkpoint with its proof, as a file for a witness that no network reaches."""

    name: str
    """The witness."""

    since: int | None = None
    """Entries that the witness saw last; by default what it cosigned last, as known here."""


class AcceptCosignature(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Keep what a witness cosigned, brought back as a file."""

    note: str
    """The cosigned checkpoint, as ``muni witness cosign`` wrote it."""


class Cosignature(Struct, kw_only=True, frozen=True):
    """What a witness cosigned."""

    witness: str
    key: str
    """Its verifier key."""

    size: int
    """Entries of the checkpoint."""

    line: str
    """The signature line, as it may be added to the checkpoint's note."""

    time: str
    """When, by the clock of the witness."""


class Witness(Struct, kw_only=True, frozen=True):
    """A witness, and how far it has cosigned."""

    name: str
    key: str
    url: str | None
    added_at: str
    added_by: str
    size: int | None
    """Entries of the largest checkpoint that it cosigned; None before the first."""

    time: str | None
    """When it cosigned that, by its own clock."""

    age_s: int | None
    """Seconds since."""

    behind: int | None
    """Entries that were signed since, of which it has said nothing yet."""

    problem: str = ""
    """Why it could not be asked last."""

    code: str = ""
    """Code of that error."""


class WitnessList(Struct, kw_only=True, frozen=True):
    """The witnesses of the ledger."""

    witnesses: list[Witness]
    required: int
    """How many of them must cosign a checkpoint."""

    cosigned: int | None
    """Entries of the newest checkpoint that as many cosigned; None when there is none."""

    size: int
    """Entries of the newest checkpoint."""

    key: str
    """The ledger's verifier key, which a witness must be told to trust."""


class SubmissionOutcome(Struct, kw_only=True, frozen=True):
    """What came of asking one witness."""

    witness: str
    status: str
    """``cosigned``, ``current``, ``unreachable``, ``refused``, ``forked`` or ``offline``."""

    size: int
    """Entries of the checkpoint that was sent."""

    time: str | None = None
    problem: str = ""
    code: str = ""
    do: str = ""


class SubmissionOutcomes(Struct, kw_only=True, frozen=True):
    """What came of asking every witness."""

    outcomes: list[SubmissionOutcome]
    required: int
    cosigned: int | None
    """Entries of the newest checkpoint that as many witnesses cosigned as are required."""


class SubmissionFile(Struct, kw_only=True, frozen=True):
    """What to carry to a witness."""

    witness: str
    size: int
    """Entries of the checkpoint in it."""

    body: str
    """``old SIZE``, proof lines, an empty line, the checkpoint: as ``muni witness cosign`` takes it."""


class Cosignatures(Struct, kw_only=True, frozen=True):
    """Cosignatures that are kept now."""

    kept: list[Cosignature]
