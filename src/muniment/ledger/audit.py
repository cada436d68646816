"""The ledger's own audit: whether the database and the files hold what was signed.

Signed checkpoints are the only thing that is believed. Where the entries of the database and the tiles disagree, the
root that was signed says which of them is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import msgspec

from muniment.errors import IntegrityError
from muniment.kernel.identifiers import parse_time
from muniment.kernel.ports import Store
from muniment.ledger import tiles
from muniment.ledger.model import Checkpoint, NewEntry, columns
from muniment.ledger.note import open_checkpoint
from muniment.ledger.ports import CheckpointRepository, EntryRepository, TileStore
from muniment.ledger.tree import extend, leaf_hash, perfect_root, root_of

TOLERANCE: Final = timedelta(minutes=15)
"""How far an entry may be dated before an earlier one: requests in parallel commit out of order, and clocks are set."""

_MISSING: Final = b"\0" * tiles.HASH
_FINDINGS: Final = 100

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was signed."""

    index: int | None
    """The entry it is about; None when it is about no single one."""

    what: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked, and what was found."""

    checkpoint: Checkpoint | None
    waiting: int
    """Entries that are not numbered yet, and so not protected yet."""

    checked: tuple[str, ...]
    not_checked: tuple[str, ...]
    findings: tuple[Finding, ...]
    """At most 100."""

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def first(self) -> int | None:
        """The first entry that is not as it was signed, where one can be named."""
        return min((f.index for f in self.findings if f.index is not None), default=None)


class Audit:
    """One examination of the ledger."""

    def __init__(self, store: Store, files: TileStore, origin: str, public_key: bytes) -> None:
        self._store, self._files, self._origin, self._public_key = store, files, origin, public_key
        self._findings: list[Finding] = []
        self._checked: list[str] = []
        self._highest = ""

    def run(self, *, deep: bool) -> Report:
        """Examine the newest part, or everything from the first entry on when ``deep``."""
        kept = self._open_kept()
        with self._store.read() as session:
            checkpoints, entries = session.use(CheckpointRepository), session.use(EntryRepository)
            head = checkpoints.head()
            known = checkpoints.at(kept.size) if kept else None
            numbered, largest, waiting = entries.counts()
            signed = list(checkpoints.each()) if deep else [head.checkpoint] if head else []
        newest = head.checkpoint if head else None
        size = newest.size if newest else 0
        self._compare_kept(kept, known, size)
        if head and root_of(head.frontier) != head.checkpoint.root.raw:
            self._find(None, "the head of the tree in the database does not give the root that was signed")
        if numbered != size or largest != size - 1:
            self._find(
                None,
                f"{size} entries were signed, but {numbered} are numbered in the database, the last as {largest}",
            )
        signed = [checkpoint for checkpoint in signed if self._signed(checkpoint)]
        self._check(f"the signature of {len(signed)} checkpoint(s)")
        covered = min(kept.size, size) if kept else 0
        if deep:
            self._walk(signed, size, covered)
        elif newest:
            self._newest(newest, covered)
        not_checked = [
            "that no holder of the ledger's key rewrote all of it: compare a checkpoint kept elsewhere",
            "that not all was set back at once, database, files and the checkpoints kept here: compare likewise",
            "what a writer of the database did to entries before they were signed, about a second after they came",
        ]
        if waiting:
            not_checked.append(f"{waiting} entries that are not numbered yet")
        if not deep:
            not_checked.append("entries before the newest tile, and earlier checkpoints: use a deep verification")
        return Report(newest, waiting, tuple(self._checked), tuple(not_checked), tuple(self._findings[:_FINDINGS]))

    def _open_kept(self) -> Checkpoint | None:
        note = self._files.kept()
        if note is None:
            return None
        try:
            return open_checkpoint(note, self._origin, self._public_key)
        except IntegrityError as broken:
            reason = broken.facts.get("reason", broken.message)
            self._find(None, f"the checkpoint kept beside the tiles does not verify: {reason}")
            return None

    def _compare_kept(self, kept: Checkpoint | None, known: Checkpoint | None, size: int) -> None:
        self._check("the last checkpoint kept beside the tiles against those in the database")
        if kept is None:
            if size:
                self._find(None, "no checkpoint is kept beside the tiles: whether the database was set back is unknown")
        elif known is None or known.root != kept.root:
            self._find(
                None,
                f"the database, now of {size} entries, does not know the published checkpoint of {kept.size}: "
                "it was set back or altered",
            )

    def _signed(self, checkpoint: Checkpoint) -> bool:
        try:
            stated = open_checkpoint(checkpoint.note, self._origin, self._public_key)
        except IntegrityError as broken:
            reason = broken.facts.get("reason", broken.message)
            self._find(None, f"the checkpoint of {checkpoint.size} entries does not verify: {reason}")
            return False
        if (stated.size, stated.root) != (checkpoint.size, checkpoint.root):
            self._find(None, f"the row of the checkpoint of {checkpoint.size} entries is not what its note says")
            return False
        return True

    def _newest(self, newest: Checkpoint, covered: int) -> None:
        """The right edge: the tiles give the signed root, and the entries of the last bundle give the last tile."""
        if covered == newest.size:
            edge: list[list[bytes]] = []
            for level, number, width in tiles.widths(covered):
                content = tiles.read_tile(self._files.get, level, number, width) if width else b""
                edge.append(tiles.split_hashes(content) if content is not None else [])
            if root_of(tiles.frontier_of(edge)) != newest.root.raw:
                self._find(None, "the newest tiles do not give the root that was signed")
            self._check("the newest tiles against the signed root")
        start = max(newest.size - 1, 0) // tiles.WIDTH * tiles.WIDTH
        ours, theirs = self._chunk(start, newest.size, covered)
        for index, (mine, tile) in enumerate(zip(ours, theirs, strict=True), start):
            if mine != tile:
                self._find(index, f"entry {index} in the database is not the one in the tree")
        self._check(f"the {len(ours)} newest entries against the tree")

    def _walk(self, signed: Sequence[Checkpoint], size: int, covered: int) -> None:
        """Every entry from the first on, against the tiles and against every checkpoint."""
        goals = [checkpoint for checkpoint in signed if checkpoint.size <= size]
        for checkpoint in signed[len(goals) :]:
            self._find(None, f"a checkpoint of {checkpoint.size} entries stands beside a head of {size}")
        done, trusted = 0, list[bytes]()
        ours, theirs = list[bytes](), list[bytes]()
        read = 0
        for goal in goals:
            while read < goal.size:
                stop = min(read + tiles.WIDTH, size)
                mine, tile = self._chunk(read, stop, covered)
                ours, theirs, read = ours + mine, theirs + tile, stop
            count = goal.size - done
            trusted = self._judge(goal, done, trusted, ours[:count], theirs[:count])
            ours, theirs, done = ours[count:], theirs[count:], goal.size
        self._check(f"{done} entries, what they are searched by, and their tiles against {len(goals)} signed roots")
        if done != size:
            self._find(None, f"no valid checkpoint covers entries {done} to {size - 1}")
        self._upper(covered)

    def _judge(
        self, checkpoint: Checkpoint, done: int, trusted: list[bytes], ours: list[bytes], theirs: list[bytes]
    ) -> list[bytes]:
        """Decide by the signed root whether entries or tiles were altered; returns the frontier to go on from."""
        _, by_rows = extend(done, trusted, ours)
        _, by_tiles = (done, by_rows) if ours == theirs else extend(done, trusted, theirs)
        differing = [done + i for i, (mine, tile) in enumerate(zip(ours, theirs, strict=True)) if mine != tile]
        if root_of(by_rows) == checkpoint.root.raw:
            for index in differing[:1]:
                self._find(None, f"the tile with entry {index} is missing or altered; the entry is as it was signed")
            return by_rows
        if root_of(by_tiles) == checkpoint.root.raw:
            for index in differing:
                gone = ours[index - done] == _MISSING
                self._find(index, f"entry {index} is {'missing from' if gone else 'altered in'} the database")
            return by_tiles
        first = differing[0] if differing else done
        if differing:
            self._find(first, f"entry {first} or its tile is altered; neither gives the root that was signed")
        else:
            span = f"{done} to {checkpoint.size - 1}"
            self._find(first, f"among the entries {span} one is altered, and its tile with it: the signed root differs")
        return by_rows

    def _chunk(self, start: int, stop: int, covered: int) -> tuple[list[bytes], list[bytes]]:
        """The leaf hashes of one tile's entries by the database and by the tile; zeros where there is none.

        Where the files do not reach yet, the tile is taken to agree.
        """
        ours = [_MISSING] * (stop - start)
        with self._store.read() as session:
            rows = session.use(EntryRepository).rows(start, stop)
        for index, row in rows:
            ours[index - start] = leaf_hash(row.body.encode())
            self._columns(index, row)
        width = max(min(covered, stop) - start, 0)
        content = tiles.read_tile(self._files.get, 0, start // tiles.WIDTH, width) if width else b""
        theirs = tiles.split_hashes(content) if content is not None else [_MISSING] * width
        bundle = tiles.read_bundle(self._files.get, start // tiles.WIDTH, width) if width else []
        if bundle is None or [leaf_hash(entry) for entry in bundle] != theirs:
            self._find(None, f"the bundle of entries {start} to {start + width - 1} is missing or altered")
        return ours, theirs + ours[width:]

    def _columns(self, index: int, row: NewEntry) -> None:
        """Compare what an entry is searched by with what it says."""
        try:
            wanted = columns(_decode(row.body.encode()), row.body)
        except (msgspec.DecodeError, KeyError, AttributeError, TypeError):
            self._find(index, f"entry {index} is not an event")
            return
        if wanted != row:
            names = [name for name, a, b in zip(NewEntry._fields, wanted, row, strict=True) if a != b]
            self._find(index, f"entry {index} is searched by a wrong {', '.join(names)}")
        if row.time >= self._highest:
            self._highest = row.time
        elif parse_time(self._highest) - parse_time(row.time) > TOLERANCE:
            self._find(index, f"entry {index} is dated {row.time}, long before {self._highest} of an earlier one")

    def _upper(self, size: int) -> None:
        """Every tile above the leaves against the tiles below."""
        for path, content in _derived(self._files, size):
            found = self._files.get(path) or self._files.get(path.partition(".p/")[0])
            if found is None or found[: len(content)] != content:
                self._find(None, f"the file {path} is missing or altered")
        self._check("the tiles of every level against those below them")

    def _find(self, index: int | None, what: str) -> None:
        self._findings.append(Finding(index, what))

    def _check(self, what: str) -> None:
        if what:
            self._checked.append(what)


def _derived(files: TileStore, size: int) -> Iterator[tuple[str, bytes]]:
    """The tiles above the leaves as the tiles below them say they should be."""
    level, count = 0, size
    while count >= tiles.WIDTH:
        above: list[bytes] = []
        for number in range(count // tiles.WIDTH):
            content = tiles.read_tile(files.get, level, number, tiles.WIDTH)
            above.append(perfect_root(tiles.split_hashes(content)) if content else _MISSING)
        level, count = level + 1, count // tiles.WIDTH
        for number, chunk in enumerate(_chunks(above)):
            yield tiles.tile_path(level, number, len(chunk)), b"".join(chunk)


def _chunks(hashes: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    return (hashes[at : at + tiles.WIDTH] for at in range(0, len(hashes), tiles.WIDTH))
