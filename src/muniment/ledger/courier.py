"""Takes one checkpoint to one witness and brings back its cosignature, or why there is none."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from muniment.errors import IntegrityError, Invalid, NotFound, Unavailable
from muniment.kernel.ports import Clock
from muniment.ledger.cosignature import names_key, verify_cosignature
from muniment.ledger.model import Checkpoint
from muniment.ledger.service import Ledger
from muniment.ledger.submission import submission
from muniment.ledger.witness_ports import Cosignature, Outcome, Registered, Reply, WitnessClient, Witnessed

REFRESH: Final = timedelta(hours=1)
"""How old a cosignature of the newest checkpoint may become before the witness is asked again."""

AHEAD: Final = timedelta(minutes=15)
"""How far the clock of a witness may be ahead of ours."""

_ATTEMPTS: Final = 4
_FORKED: Final = "MUNI-L521"

_log = logging.getLogger(__name__)


class Courier:
    """Speaks the ledger's side of C2SP tlog-witness."""

    def __init__(self, ledger: Ledger, client: WitnessClient, clock: Clock) -> None:
        self._ledger, self._client, self._clock = ledger, client, clock

    def check(self, url: str) -> str:
        """The URL in the form in which it is kept; raises Invalid for one that is never contacted."""
        return self._client.check(url)

    def body(self, old: int, checkpoint: Checkpoint) -> str:
        """What to send a witness that saw ``old`` entries last.

        Raises:
            Invalid: the checkpoint has fewer.
            IntegrityError: the tiles do not prove what was signed.
        """
        proof = self._ledger.prove_consistency(old, checkpoint.size)
        return submission(old, proof.path, checkpoint.note).body()

    def ask(self, one: Registered, last: Cosignature | None, checkpoint: Checkpoint, *, fresh: bool) -> Outcome:
        """Have a checkpoint cosigned.

        Args:
            one: the witness.
            last: its newest cosignature that is kept here.
            checkpoint: the newest; should the witness have seen a larger one by now, that is taken.
            fresh: whether to ask also when ``last`` is of this checkpoint and young.

        Raises:
            IntegrityError: the ledger itself does not prove what it signed; nobody was asked.
        """
        if one.url is None:
            return Outcome(one.name, Witnessed.OFFLINE, checkpoint.size, last)
        young = last is not None and self._clock.now() - last.time < REFRESH
        if not fresh and last is not None and last.size == checkpoint.size and young:
            return Outcome(one.name, Witnessed.CURRENT, checkpoint.size, last)
        try:
            made = self._exchange(one, one.url, last.size if last else 0, checkpoint)
        except IntegrityError as broken:
            if broken.code != _FORKED:
                raise
            return Outcome(one.name, Witnessed.FORKED, checkpoint.size, last, broken)
        except (Invalid, NotFound) as refused:
            return Outcome(one.name, Witnessed.REFUSED, checkpoint.size, last, refused)
        except Unavailable as silent:
            return Outcome(one.name, Witnessed.UNREACHABLE, checkpoint.size, last, silent)
        return Outcome(one.name, Witnessed.COSIGNED, made.size, made)

    def _exchange(self, one: Registered, url: str, believed: int, checkpoint: Checkpoint) -> Cosignature:
        """Send, and follow what the witness says it saw last, until it cosigns."""
        old = believed
        for _ in range(_ATTEMPTS):
            if old > checkpoint.size:
                checkpoint = self._ledger.checkpoint()
            if old > checkpoint.size:
                raise forked(one.name, checkpoint, f"it saw {old} entries signed; here are {checkpoint.size}")
            reply = self._client.add_checkpoint(url, self.body(old, checkpoint))
            if reply.status == 200:
                return self._cosignature(one, checkpoint, reply.body)
            if reply.status == 422:
                raise forked(one.name, checkpoint, f"the {old} entries that it saw are no beginning of this ledger")
            if reply.status in (403, 404):
                raise NotFound(
                    "MUNI-L204",
                    f"the witness {one.name} does not know this ledger by this key",
                    witness=one.name,
                    status=reply.status,
                    reason=reply.body[:300].strip(),
                    do=f"let whoever runs the witness trust it: muni witness trust FOLDER {self._ledger.key}",
                )
            told = _size(reply) if reply.status == 409 else None
            if told is None or (told == old and told != checkpoint.size):
                raise _strange(one.name, url, reply)
            if told == old:
                raise forked(one.name, checkpoint, f"it saw another checkpoint of {told} entries signed")
            if told < believed:
                _log.warning("the witness %s forgot: it cosigned %d entries and tells of %d", one.name, believed, told)
            old = told
        raise Unavailable("MUNI-L516", f"the witness {one.name} was always asked by others meanwhile", retry=True)

    def _cosignature(self, one: Registered, checkpoint: Checkpoint, body: str) -> Cosignature:
        line = next((line + "\n" for line in body.splitlines() if names_key(line, one.key)), None)
        if line is None:
            raise Unavailable(
                "MUNI-L517",
                f"what answers at the URL of {one.name} signs with another key",
                witness=one.name,
                key=str(one.key),
                do="ask whoever runs the witness for its key: muni witness show FOLDER",
            )
        try:
            at = verify_cosignature(checkpoint.note, line, one.key)
        except IntegrityError as broken:
            raise Unavailable(
                "MUNI-L518",
                f"what {one.name} answered is no cosignature of the checkpoint",
                witness=one.name,
                reason=str(broken.facts.get("reason", broken.message)),
            ) from broken
        if at - self._clock.now() > AHEAD:
            raise Unavailable(
                "MUNI-L519",
                f"the clock of {one.name} is ahead of ours",
                witness=one.name,
                theirs=at.isoformat(),
                do="set the clocks of both machines",
            )
        return Cosignature(one.name, str(one.key), checkpoint.size, line, at)


def forked(witness: str, checkpoint: Checkpoint, reason: str) -> IntegrityError:
    """The error that a witness's history and the ledger's are two."""
    return IntegrityError(
        "MUNI-L521",
        "a witness saw a history that this ledger does not continue: it was set back, or forked",
        witness=witness,
        reason=reason,
        size=checkpoint.size,
        root=checkpoint.root,
        do="stop, keep everything as it is, and compare with the checkpoint that the witness keeps",
    )


def _size(reply: Reply) -> int | None:
    text = reply.body.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


def _strange(witness: str, url: str, reply: Reply) -> Unavailable:
    return Unavailable(
        "MUNI-L522",
        f"what answers at the URL of {witness} does not answer as a witness does",
        witness=witness,
        url=url,
        status=reply.status,
        answer=reply.body[:200],
    )
