"""The witness: it remembers the last checkpoint of each ledger it was told to trust, and cosigns nothing but growth.

Rules, in this order (C2SP tlog-witness, ``add-checkpoint``):

1. What does not have the form is refused (400), as is a checkpoint smaller than what it claims to have grown from.
2. A ledger that the witness was not told to trust is unknown (404); without a signature by a key that it was told to
   trust for that ledger, a checkpoint is nobody's (403).
3. The sender must know what the witness saw last, or is told its size (409). A checkpoint of that very size with
   another root is refused the same way, and a proof that does not lead from the one root to the other (422). Either
   may show a history that was forked: the signed checkpoint is put aside.
4. What passes is remembered, on the disk, before the answer leaves. Whoever dies between the two has promised nothing
   that he forgets: asked again he knows what he saw.

One checkpoint at a time is decided, so that no two can grow from the same one. Time never runs backwards here: where
the clock does, the time of the last cosignature stands.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from muniment.errors import Conflict, IntegrityError, Invalid
from muniment.kernel.ports import Clock, Faults
from muniment.ledger.cosignature import cosign, lines_of, names_key, verify_cosignature, witness_key
from muniment.ledger.ports import Signer
from muniment.ledger.submission import Stated, Submission, parse_checkpoint, parse_submission, signed_by
from muniment.ledger.tree import EMPTY_ROOT, check_consistency
from muniment.ledger.verifier import VerifierKey

SIZE_TYPE: Final = "text/x.tlog.size"
"""The media type of an answer that tells a size."""

_START: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Seen:
    """A ledger that the witness was told to trust, and the last checkpoint of it that it cosigned."""

    keys: tuple[VerifierKey, ...]
    """All of one name, the ledger's origin."""

    note: str = ""
    """The checkpoint with its signatures and the witness's cosignature; empty before the first."""

    at: datetime = _START
    """When it was cosigned."""

    @property
    def origin(self) -> str:
        """The name of the ledger."""
        return self.keys[0].name

    @property
    def size(self) -> int:
        """Entries of the last checkpoint."""
        return parse_checkpoint(self.note).size if self.note else 0

    @property
    def root(self) -> bytes:
        """Root of the last checkpoint."""
        return parse_checkpoint(self.note).root if self.note else EMPTY_ROOT


class Memory(Protocol):
    """Where a witness remembers; nobody else writes there while it is open."""

    def ledgers(self) -> list[Seen]:
        """What is remembered of each ledger.

        Raises:
            IntegrityError: something there cannot be read, so that the witness must not sign.
        """

    def remember(self, seen: Seen) -> None:
        """Replace what is remembered of a ledger; on the disk when this returns.

        Raises:
            Unavailable: it could not be written; what was remembered before still is.
        """

    def put_aside(self, checkpoint: Stated, why: str) -> None:
        """Keep a signed checkpoint that contradicts what was seen, as evidence; at most so many of a ledger."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the witness answers to a submission."""

    status: int
    """HTTP status code of C2SP tlog-witness."""

    body: str
    """Cosignature lines, the size that the witness saw last, or a reason in one line."""

    media_type: str = "text/plain; charset=utf-8"
    said: str = ""
    """One line for the people who run the witness."""


class Witness:
    """Decides about checkpoints, one at a time."""

    def __init__(self, name: str, signer: Signer, memory: Memory, clock: Clock, faults: Faults) -> None:
        """Open what is remembered.

        Raises:
            IntegrityError: what is remembered was altered: it is not what this witness cosigned.
        """
        self._name, self._signer, self._memory = name, signer, memory
        self._clock, self._faults = clock, faults
        self._turn = threading.Lock()
        self._seen = self._recall()

    @property
    def key(self) -> VerifierKey:
        """The key under which the cosignatures verify."""
        return witness_key(self._name, self._signer.public_key)

    def ledgers(self) -> list[Seen]:
        """What is remembered of each ledger, by origin."""
        with self._turn:
            return [self._seen[origin] for origin in sorted(self._seen)]

    def trust(self, key: VerifierKey, *, besides: bool = False) -> Seen:
        """Cosign checkpoints of the ledger of this key from now on; nothing changes when it is trusted already.

        Args:
            key: the ledger's verifier key.
            besides: whether a ledger that is trusted by another key may sign with this one too.

        Raises:
            Conflict: a ledger of this name is trusted by another key.
        """
        with self._turn:
            seen = self._seen.get(key.name, Seen((key,)))
            if key not in seen.keys:
                if not besides:
                    raise Conflict(
                        "MUNI-L301",
                        f"the witness trusts a ledger {key.name} by another key",
                        origin=key.name,
                        trusted=[str(known) for known in seen.keys],
                        given=str(key),
                        do="ask the institution by another way whether its key has changed; then add it with --also",
                    )
                seen = replace(seen, keys=(*seen.keys, key))
            self._remember(seen)
            return seen

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer a submission; the answer may be given as soon as this returns.

        Raises:
            Unavailable: what would be promised could not be written; nothing was promised.
        """
        try:
            given = parse_submission(body)
        except Invalid as malformed:
            return _refused(400, str(malformed.facts.get("reason", malformed.message)))
        if given.old > given.checkpoint.size:
            return _refused(400, "the checkpoint is smaller than what it has grown from")
        with self._turn:
            return self._decide(given)

    def _decide(self, given: Submission) -> Answer:
        checkpoint = given.checkpoint
        seen = self._seen.get(checkpoint.origin)
        if seen is None:
            return _refused(404, f"the ledger {checkpoint.origin[:200]} is not known here")
        if not signed_by(checkpoint, seen.keys):
            return _refused(403, f"no key that is trusted for {seen.origin} has signed this checkpoint")
        if given.old != seen.size:
            return _told(seen.size, f"{seen.origin}: asked from {given.old}, told {seen.size}")
        if given.old == checkpoint.size and checkpoint.root != seen.root:
            self._memory.put_aside(checkpoint, "another root of the same size")
            return _told(seen.size, f"FORKED {seen.origin}: another checkpoint of {seen.size} entries is signed")
        if not check_consistency(seen.size, seen.root, checkpoint.size, checkpoint.root, given.proof):
            self._memory.put_aside(checkpoint, "no proof that it has grown from what was seen")
            return _refused(422, f"{seen.origin}: {checkpoint.size} entries do not begin with the {seen.size} seen")
        at = max(self._clock.now(), seen.at)
        line = cosign(checkpoint.note, self._name, self._signer, at)
        note = checkpoint.text + "\n" + "".join(self._others(checkpoint.note, seen.keys)) + line
        self._remember(Seen(seen.keys, note, at.replace(microsecond=0)))
        self._faults.point("witness.promised")
        return Answer(200, line, said=f"cosigned {seen.origin} at {checkpoint.size} entries")

    def _others(self, note: str, keys: Sequence[VerifierKey]) -> list[str]:
        return [line for line in lines_of(note) if any(names_key(line, key) for key in keys)]

    def _remember(self, seen: Seen) -> None:
        """Remember; where that fails, what stands on the disk counts: it may have come to stand there all the same."""
        try:
            self._memory.remember(seen)
        except Exception:
            self._seen = self._recall()
            raise
        self._seen[seen.origin] = seen

    def _recall(self) -> dict[str, Seen]:
        return {seen.origin: checked(seen, self.key) for seen in self._memory.ledgers()}


def checked(seen: Seen, key: VerifierKey) -> Seen:
    """What is remembered of a ledger, with the time of the cosignature that bears it out.

    Raises:
        IntegrityError: the ledger's signature or the witness's own cosignature does not verify.
    """
    if not seen.note:
        return seen
    try:
        stated = parse_checkpoint(seen.note)
        own = next((line for line in lines_of(seen.note) if names_key(line, key)), "")
        at = verify_cosignature(seen.note, own, key)
        if stated.origin != seen.origin or not signed_by(stated, seen.keys):
            raise Invalid("MUNI-L115", "this is not what a ledger sends to a witness", reason="signed by nobody known")
    except (Invalid, IntegrityError) as broken:
        raise IntegrityError(
            "MUNI-L515",
            "what the witness remembers is not what it cosigned",
            origin=seen.origin,
            reason=str(broken.facts.get("reason", broken.message)),
            do="sign nothing more with this key: keep the folder as it is, and make a new witness",
        ) from broken
    return replace(seen, at=at)


def _refused(status: int, reason: str) -> Answer:
    return Answer(status, reason + "\n", said=f"refused {status}: {reason}")


def _told(size: int, said: str) -> Answer:
    return Answer(409, f"{size}\n", SIZE_TYPE, said)
