"""The sequencer: numbers what was committed, signs the tree over it, publishes the static files.

Rules, in this order:

1. A checkpoint is signed only over a tree that begins with the last one signed: the frontier it grows from must give
   the last root, and the checkpoint kept beside the tiles must be one that the database knows.
2. Numbers, head and checkpoint commit in one transaction, before any file is written. The files are derived: whoever
   dies between the two leaves files that are behind, and the next call brings them up.
3. A file is written only when the entries read back from the database give the root that was signed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from muniment.errors import IntegrityError, Unavailable
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.ports import Clock, Faults, Session, Store
from muniment.ledger import tiles
from muniment.ledger.model import Checkpoint
from muniment.ledger.note import open_checkpoint, sign_checkpoint
from muniment.ledger.ports import CheckpointRepository, EntryRepository, Head, Signer, TileStore
from muniment.ledger.tree import extend, leaf_hash, perfect_root, root_of

BATCH: Final = 1024
"""Entries under one checkpoint, at most: four tiles."""

_STEP: Final = 16_384
"""Entries published at once, at most, when the files are behind."""

_ATTEMPTS: Final = 20


class Sequencer:
    """Brings the tree, its checkpoint and its files up to what is committed."""

    def __init__(
        self, store: Store, files: TileStore, signer: Signer, origin: str, clock: Clock, faults: Faults
    ) -> None:
        self._store, self._files, self._signer, self._origin = store, files, signer, origin
        self._clock, self._faults = clock, faults

    def run(self) -> Checkpoint:
        """Sequence and publish all that was committed before the call; returns the checkpoint that covers it.

        Raises:
            IntegrityError: the database contradicts what was signed; nothing was signed or published.
            Unavailable: the store did not answer, or others were always faster.
        """
        for _ in range(_ATTEMPTS):
            try:
                return self._run()
            except Unavailable as lost:
                if not lost.facts.get("retry"):
                    raise
        raise Unavailable("MUNI-L511", "other sequencers were always faster; try again", attempts=_ATTEMPTS)

    def _run(self) -> Checkpoint:
        kept = self.kept()
        with self._store.read() as session:
            head = session.use(CheckpointRepository).head()
            waiting = bool(session.use(EntryRepository).unsequenced(1))
            self._compare(kept, head, session)
        checkpoint = head.checkpoint if head else None
        while waiting or checkpoint is None:
            checkpoint, waiting = self._sequence(kept)
        if kept is None or kept.size < checkpoint.size:
            self._publish(kept, checkpoint)
        return checkpoint

    def kept(self) -> Checkpoint | None:
        """The checkpoint kept beside the tiles, its signature verified."""
        note = self._files.kept()
        return None if note is None else open_checkpoint(note, self._origin, self._signer.public_key)

    def _sequence(self, kept: Checkpoint | None) -> tuple[Checkpoint, bool]:
        """Number and sign one batch; returns its checkpoint and whether more may wait."""
        with self._store.read() as turn:
            turn.use(CheckpointRepository).hold()
            with self._store.write() as session:
                checkpoints, entries = session.use(CheckpointRepository), session.use(EntryRepository)
                head = checkpoints.head()
                self._compare(kept, head, session)
                rows = entries.unsequenced(BATCH)
                if head and not rows:
                    return head.checkpoint, False
                size, frontier = (head.checkpoint.size, head.frontier) if head else (0, ())
                if head and root_of(frontier) != head.checkpoint.root.raw:
                    raise IntegrityError(
                        "MUNI-L503",
                        "the ledger's head in the database does not give the root that was signed",
                        size=size,
                        do="stop and keep everything as it is; muni audit verify names what was altered",
                    )
                entries.number(size, [id_ for id_, _ in rows])
                size, grown = extend(size, frontier, (leaf_hash(body.encode()) for _, body in rows))
                self._faults.point("ledger.sign")
                signed = sign_checkpoint(self._origin, size, root_of(grown), self._signer)
                checkpoints.advance(Head(signed, tuple(grown)), format_time(self._clock.now()))
                return signed, len(rows) == BATCH

    def _compare(self, kept: Checkpoint | None, head: Head | None, session: Session) -> None:
        """Refuse to go on when the database does not know the checkpoint that was published before it was read."""
        if kept is None:
            return
        known = session.use(CheckpointRepository).at(kept.size)
        if head is None or known is None or known.root != kept.root:
            raise IntegrityError(
                "MUNI-L504",
                "the database does not know the checkpoint that was published last: it was set back or altered",
                published=kept.size,
                published_root=kept.root,
                database=head.checkpoint.size if head else 0,
                do="stop and keep everything as it is; restore the newest backup of the database",
            )

    def _publish(self, kept: Checkpoint | None, target: Checkpoint) -> None:
        """Bring the files from the kept checkpoint to the target, by way of those between when it is far."""
        size = kept.size if kept else 0
        edge = self._edge(size)
        if edge is None:
            size, edge = 0, []
        while size < target.size or (size == 0 == target.size):
            with self._store.read() as session:
                goal = session.use(CheckpointRepository).next(size, _STEP) or target
                entries = session.use(EntryRepository)
                build = _Build(size, edge, self._put)
                for start in range(size - size % tiles.WIDTH, goal.size, tiles.WIDTH):
                    build.add(start, entries.bodies(start, min(start + tiles.WIDTH, goal.size)))
            build.finish(goal)
            self._faults.point("ledger.publish")
            self._files.keep(goal)
            size, edge = goal.size, build.edge
            if goal.size == 0:
                return

    def _edge(self, size: int) -> list[list[bytes]] | None:
        """The hashes of the right-most tile of each level above the leaves; None when the files do not hold them."""
        edge: list[list[bytes]] = []
        for level, number, width in tiles.widths(size):
            if level == 0:
                continue
            content = tiles.read_tile(self._files.get, level, number, width) if width else b""
            if content is None:
                return None
            edge.append(tiles.split_hashes(content))
        return edge

    def _put(self, path: str, content: bytes, *, full: bool) -> None:
        self._faults.point("tiles.put")
        self._files.put(path, content, lasting=full)
        if full:
            self._files.drop_partials(path)


class _Build:
    """Files for the entries from the last full bundle on; nothing is written before the root is right."""

    def __init__(self, size: int, upper: list[list[bytes]], put: Callable[..., None]) -> None:
        self._size, self._put = size - size % tiles.WIDTH, put
        self._levels: list[list[bytes]] = [[], *[list(hashes) for hashes in upper]]
        self._files: list[tuple[str, bytes, bool]] = []

    @property
    def edge(self) -> list[list[bytes]]:
        """The hashes of the right-most tile of each level above the leaves."""
        return self._levels[1:]

    def add(self, start: int, rows: list[tuple[int, str]]) -> None:
        """Take the entries of one bundle, full unless it is the last."""
        if start != self._size or [index for index, _ in rows] != list(range(start, start + len(rows))):
            raise IntegrityError("MUNI-L505", "entries are missing from the database", first=start)
        bodies = [body.encode() for _, body in rows]
        width = len(bodies)
        number = start // tiles.WIDTH
        self._files.append((tiles.bundle_path(number, width), tiles.encode_bundle(bodies), width == tiles.WIDTH))
        self._levels[0] = [leaf_hash(body) for body in bodies]
        self._size += width
        level = 0
        while len(self._levels[level]) == tiles.WIDTH:
            above = (self._size >> 8 * (level + 1)) - 1
            full = self._levels[level]
            self._files.append((tiles.tile_path(level, above), b"".join(full), True))
            self._levels[level] = []
            level += 1
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(perfect_root(full))

    def finish(self, goal: Checkpoint) -> None:
        """Write the files, if the tree is the one that was signed."""
        root = root_of(tiles.frontier_of(self._levels))
        if self._size != goal.size or root != goal.root.raw:
            raise IntegrityError(
                "MUNI-L506",
                "the entries in the database, or the tiles, do not give the root that was signed",
                size=goal.size,
                signed=goal.root,
                found=Digest.from_bytes(root),
                do="stop and keep everything as it is; muni audit verify --deep names the first entry that differs",
            )
        for level, number, width in tiles.widths(goal.size):
            if width:
                content = b"".join(self._levels[level])
                self._files.append((tiles.tile_path(level, number, width), content, False))
        for path, content, full in self._files:
            self._put(path, content, full=full)
