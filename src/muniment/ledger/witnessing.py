"""Witnesses as the ledger sees them: who they are, what they cosigned, and how its checkpoints come to them.

Cosignatures are kept outside the tree, as checkpoints are: each verifies by itself. What a person does with witnesses
(naming, dropping, handing over, asking) is recorded like everything else; that one cosigned again is not, or an idle
ledger would grow by its own witnessing.
"""

from __future__ import annotations

import logging
import threading
from typing import Final

from muniment.errors import Conflict, IntegrityError, Invalid, MunimentError, NotFound
from muniment.kernel.identifiers import new_id
from muniment.kernel.ports import Clock, Entropy, Session, Store
from muniment.ledger.cosignature import lines_of, names_key, verify_cosignature
from muniment.ledger.courier import Courier, forked
from muniment.ledger.model import Checkpoint, Event
from muniment.ledger.ports import CheckpointRepository
from muniment.ledger.service import Ledger
from muniment.ledger.submission import parse_checkpoint
from muniment.ledger.verifier import KeyType, parse_key
from muniment.ledger.witness_ports import (
    Cosignature,
    Outcome,
    Registered,
    Standing,
    WitnessClient,
    Witnessed,
    WitnessRepository,
)

__all__ = ["Cosignature", "Outcome", "Registered", "Standing", "Witnessed", "Witnesses", "verify_cosignature"]

_MOST: Final = 32

_log = logging.getLogger(__name__)


class Witnesses:
    """Names witnesses, has checkpoints cosigned, and answers for what they cosigned."""

    def __init__(self, store: Store, ledger: Ledger, client: WitnessClient, clock: Clock, entropy: Entropy) -> None:
        self._store, self._ledger, self._clock, self._entropy = store, ledger, clock, entropy
        self._courier = Courier(ledger, client, clock)
        self._problems: dict[str, MunimentError] = {}
        self._told: set[str] = set()
        self._turn = threading.Lock()

    def register(self, session: Session, key: str, url: str | None, required: int | None, by: str) -> Registered:
        """Name a witness in the caller's transaction; one of the same key is replaced, so that its URL can change.

        Args:
            session: the transaction.
            key: its verifier key, of type 4.
            url: where its ``add-checkpoint`` is found; None for a witness that is reached by carrying files.
            required: how many of all witnesses must cosign a checkpoint; None leaves it: at first, all of them.
            by: who names it.

        Raises:
            Invalid: the key, the URL or the number cannot be used.
            Conflict: there is a witness of this name with another key, or of another name with this key.
        """
        repository = session.use(WitnessRepository)
        parsed = parse_key(key, KeyType.WITNESS)
        known = repository.all()
        for other in known:
            if (other.name == parsed.name) != (other.key.public_key == parsed.public_key):
                raise Conflict(
                    "MUNI-L302",
                    "another witness has this name or this key",
                    witness=other.name,
                    key=str(other.key),
                    do="one key is one witness: muni witness remove, then add it again",
                )
        if len(known) >= _MOST and parsed.name not in {other.name for other in known}:
            raise Invalid("MUNI-L116", f"a ledger has at most {_MOST} witnesses", witnesses=len(known))
        added = Registered(parsed, None if url is None else self._courier.check(url), self._clock.now(), by)
        repository.add(added)
        _require(repository, required)
        return added

    def drop(self, session: Session, name: str, required: int | None) -> Registered:
        """Forget a witness in the caller's transaction; what it cosigned stays.

        Raises:
            NotFound: there is none of this name.
            Invalid: fewer would be left than are required.
        """
        repository = session.use(WitnessRepository)
        found = _named(repository, name)
        repository.remove(name)
        _require(repository, required)
        return found

    def accept(self, session: Session, note: str) -> list[Cosignature]:
        """Keep the cosignatures of a checkpoint's note that a person brought back from a witness.

        Raises:
            Invalid: it is no checkpoint, or no witness that is registered has signed it.
            NotFound: the ledger has no checkpoint of this size.
            IntegrityError: a line is false, or the checkpoint is of another history than the ledger's.
        """
        repository = session.use(WitnessRepository)
        stated, known = parse_checkpoint(note), repository.all()
        mine = [(line, one) for line in lines_of(note) for one in known if names_key(line, one.key)]
        if not mine:
            raise Invalid(
                "MUNI-L117",
                "no witness that is registered here has cosigned this checkpoint",
                witnesses=[str(one.key) for one in known],
                do="name the witness first: muni witness add KEY",
            )
        made = [
            Cosignature(one.name, str(one.key), stated.size, line, verify_cosignature(note, line, one.key))
            for line, one in mine
        ]
        checkpoint = session.use(CheckpointRepository).at(stated.size)
        if checkpoint is None:
            raise NotFound(
                "MUNI-L205",
                "the ledger has no checkpoint of this size",
                origin=stated.origin,
                size=stated.size,
                do="if it is of this ledger, the ledger was set back since: compare with what the witness shows",
            )
        if parse_checkpoint(checkpoint.note).text != stated.text:
            raise forked(mine[0][1].name, checkpoint, f"it saw another checkpoint of {stated.size} entries signed")
        for cosignature in made:
            repository.keep(cosignature)
        return made

    def submit(self, *, fresh: bool = True) -> tuple[Outcome, ...]:
        """Have the newest checkpoint, over all that was committed before the call, cosigned by every witness.

        Args:
            fresh: whether to ask also those who cosigned that very checkpoint within the hour.

        Returns:
            What came of it, by witness; a witness that was set against the ledger stands in it as ``forked``.

        Raises:
            IntegrityError: the ledger contradicts what it signed; no checkpoint was sent.
            Unavailable: the store did not answer.
        """
        with self._turn:
            with self._store.read() as session:
                repository = session.use(WitnessRepository)
                known = [(one, repository.newest(str(one.key))) for one in repository.all()]
            if not known:
                return ()
            checkpoint = self._ledger.checkpoint()
            return tuple(self._kept(self._courier.ask(one, last, checkpoint, fresh=fresh)) for one, last in known)

    def beat(self) -> None:
        """Submit from the background: what fails is logged and shown by ``standing``."""
        before = dict(self._problems)
        try:
            outcomes = self.submit(fresh=False)
        except MunimentError as failed:
            _log.error("%s witnesses could not be asked: %s", failed.code, failed.message)
            return
        except Exception:
            _log.exception("witnesses could not be asked")
            return
        for outcome in outcomes:
            known, error = before.get(outcome.witness), outcome.error
            if error is not None and (known is None or known.code != error.code):
                _log.error("%s %s %s", error.code, outcome.witness, error.message)

    def request(self, name: str, since: int | None = None) -> tuple[str, Checkpoint]:
        """The submission of the newest checkpoint to a witness, to be carried to it as a file, and that checkpoint.

        Args:
            name: the witness.
            since: the size that the witness saw last; None takes its newest cosignature that is kept here.

        Raises:
            NotFound: there is no such witness.
            Invalid: the ledger is smaller than ``since``.
        """
        with self._store.read() as session:
            repository = session.use(WitnessRepository)
            newest = repository.newest(str(_named(repository, name).key))
        checkpoint = self._ledger.checkpoint()
        old = since if since is not None else newest.size if newest else 0
        return self._courier.body(old, checkpoint), checkpoint

    def standing(self) -> tuple[list[Standing], int]:
        """How far each witness has come, and how many of them are required."""
        with self._store.read() as session:
            repository, checkpoints = session.use(WitnessRepository), session.use(CheckpointRepository)
            found = []
            for one in repository.all():
                newest, problem = repository.newest(str(one.key)), self._problems.get(one.name)
                try:
                    newest = newest and _verified(newest, checkpoints)
                except IntegrityError as broken:
                    newest, problem = None, broken
                found.append(Standing(one, newest, problem))
            return found, repository.required() or len(found)

    def cosignatures(self, size: int) -> tuple[Cosignature, ...]:
        """What the registered witnesses cosigned of the checkpoint of exactly this size, each verified.

        Raises:
            IntegrityError: what is kept as a cosignature is none.
        """
        with self._store.read() as session:
            return _cosignatures(session, size)

    def cosigned_checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint that as many witnesses cosigned as are required; None when there is none.

        Raises:
            IntegrityError: what is kept as a cosignature is none.
        """
        with self._store.read() as session:
            repository = session.use(WitnessRepository)
            keys = [str(one.key) for one in repository.all()]
            size = repository.cosigned(keys, repository.required() or len(keys)) if keys else None
            if size is None:
                return None
            _cosignatures(session, size)
            return session.use(CheckpointRepository).at(size)

    def examine(self) -> list[str]:
        """What is wrong with the cosignatures that are kept, in words; nothing when each verifies."""
        found = []
        with self._store.read() as session:
            checkpoints = session.use(CheckpointRepository)
            for one in session.use(WitnessRepository).each():
                try:
                    _verified(one, checkpoints)
                except (IntegrityError, Invalid) as broken:
                    reason = broken.facts.get("reason", broken.message)
                    found.append(f"the cosignature of {one.size} entries by {one.witness} does not verify: {reason}")
        return found

    def _kept(self, outcome: Outcome) -> Outcome:
        """Keep a new cosignature, and remember what went wrong; a fork is put on record, once for each process."""
        error = outcome.error
        if outcome.status is Witnessed.COSIGNED and outcome.cosignature is not None:
            with self._store.write() as session:
                session.use(WitnessRepository).keep(outcome.cosignature)
        if error is None:
            self._problems.pop(outcome.witness, None)
            return outcome
        self._problems[outcome.witness] = error
        if outcome.status is Witnessed.FORKED and outcome.witness not in self._told:
            self._ledger.record(self._fork(outcome, error))
            self._told.add(outcome.witness)
        return outcome

    def _fork(self, outcome: Outcome, error: MunimentError) -> Event:
        facts = {
            "principal": "System:witnessing",
            "action": "ledger:SubmitCheckpoint",
            "resource": f"Witness:{outcome.witness}",
            "outcome": "failed",
            "code": error.code,
            "size": outcome.size,
            "reason": str(error.facts.get("reason", "")),
        }
        id_, now = new_id(self._clock, self._entropy), self._clock.now()
        return Event(id_, "muniment.ledger.witness.forked.v1", now, f"Witness:{outcome.witness}", facts)


def _named(repository: WitnessRepository, name: str) -> Registered:
    found = next((one for one in repository.all() if one.name == name), None)
    if found is None:
        raise NotFound("MUNI-L206", f"there is no witness {name[:80]!r}", witness=name[:200], do="muni witness list")
    return found


def _require(repository: WitnessRepository, required: int | None) -> None:
    """Keep the number that must cosign, as far as one is given, and see that it can be reached."""
    if required is not None:
        repository.require(required)
    left, wanted = len(repository.all()), repository.required()
    if left == 0:
        repository.require(None)
    elif wanted is not None and not 1 <= wanted <= left:
        raise Invalid(
            "MUNI-L118",
            "so many of the witnesses cannot cosign",
            required=wanted,
            witnesses=left,
            do=f"require from 1 to {left}: --required",
        )


def _cosignatures(session: Session, size: int) -> tuple[Cosignature, ...]:
    repository, checkpoints = session.use(WitnessRepository), session.use(CheckpointRepository)
    keys = {str(one.key) for one in repository.all()}
    return tuple(_verified(one, checkpoints) for one in repository.of_size(size) if one.key in keys)


def _verified(one: Cosignature, checkpoints: CheckpointRepository) -> Cosignature:
    checkpoint = checkpoints.at(one.size)
    if checkpoint is None or verify_cosignature(checkpoint.note, one.line, one.key) != one.time:
        raise IntegrityError(
            "MUNI-L520",
            "a cosignature is kept with another size or time than it was made for",
            witness=one.witness,
            size=one.size,
            do="keep the database as it is: muni audit verify",
        )
    return one
