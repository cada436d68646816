"""The tree as static files, after C2SP tlog-tiles: which file holds which hashes and entries. Pure.

A tile holds up to 256 hashes of one level; level L of tiles holds the roots of perfect subtrees of 256**L leaves. A
tile that is not full yet is a file of its own, ``.p/<width>``, and may go away when the full one exists. Entry
bundles hold the entries themselves, each after its length in two bytes, big-endian.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from muniment.ledger.tree import perfect_root

WIDTH: Final = 256
HASH: Final = 32

CHECKPOINT: Final = "checkpoint"
"""Where the last signed checkpoint lies, beside the tiles."""


def tile_path(level: int, number: int, width: int = WIDTH) -> str:
    """The path of a tile of hashes, such as ``tile/0/x001/x234/067.p/8``."""
    return f"tile/{level}/{_place(number, width)}"


def bundle_path(number: int, width: int = WIDTH) -> str:
    """The path of an entry bundle."""
    return f"tile/entries/{_place(number, width)}"


def widths(size: int) -> Iterator[tuple[int, int, int]]:
    """The right-most tile of each level in a tree of that size: ``(level, number, width)``; width 0: none."""
    level = 0
    while size:
        yield level, size // WIDTH, size % WIDTH
        size //= WIDTH
        level += 1


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """The content of an entry bundle."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_bundle(content: bytes) -> list[bytes]:
    """The entries of a bundle; raises ValueError when the lengths do not fit the content."""
    entries, position = [], 0
    while position < len(content):
        start = position + 2
        position = start + int.from_bytes(content[position:start], "big")
        if position > len(content) or start > len(content):
            raise ValueError("the entry bundle ends within an entry")
        entries.append(content[start:position])
    return entries


def split_hashes(content: bytes) -> list[bytes]:
    """The hashes of a tile."""
    return [content[at : at + HASH] for at in range(0, len(content), HASH)]


def frontier_of(edge: Sequence[Sequence[bytes]]) -> list[bytes]:
    """The frontier of the tree whose right-most tile of each level, from level 0 up, holds these hashes."""
    frontier: list[bytes] = []
    for hashes in reversed(edge):
        start, rest = 0, len(hashes)
        while rest:
            piece = 1 << rest.bit_length() - 1
            frontier.append(perfect_root(hashes[start : start + piece]))
            start, rest = start + piece, rest - piece
    return frontier


class TiledTree:
    """Reads the nodes of a tree of a given size out of its tiles."""

    def __init__(self, size: int, read: Callable[[str], bytes | None]) -> None:
        """``read`` gives a file's content, or None when it does not exist."""
        self._size, self._read = size, read
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def node(self, level: int, index: int) -> bytes:
        """The hash of a perfect subtree; raises LookupError when the tiles do not hold it."""
        tile_level, inner = divmod(level, 8)
        first = index << inner
        hashes = self._hashes(tile_level, first // WIDTH)
        within = first % WIDTH
        return perfect_root(hashes[within : within + (1 << inner)])

    def _hashes(self, level: int, number: int) -> list[bytes]:
        if (level, number) not in self._tiles:
            available = (self._size >> 8 * level) - number * WIDTH
            content = read_tile(self._read, level, number, min(available, WIDTH))
            if content is None:
                raise LookupError(f"tile {level}/{number} is missing or too short")
            self._tiles[level, number] = split_hashes(content)
        return self._tiles[level, number]


def read_tile(read: Callable[[str], bytes | None], level: int, number: int, width: int) -> bytes | None:
    """The first ``width`` hashes of a tile, from its partial file or from the full one that has replaced it."""
    if width <= 0:
        return None
    for path in dict.fromkeys((tile_path(level, number, width), tile_path(level, number))):
        content = read(path)
        if content is not None and len(content) >= width * HASH:
            return content[: width * HASH]
    return None


def read_bundle(read: Callable[[str], bytes | None], number: int, width: int) -> list[bytes] | None:
    """The first ``width`` entries of a bundle; None when neither file holds them."""
    for path in dict.fromkeys((bundle_path(number, width), bundle_path(number))):
        content = read(path)
        if content is not None:
            try:
                entries = decode_bundle(content)
            except ValueError:
                continue
            if len(entries) >= width:
                return entries[:width]
    return None


def _place(number: int, width: int) -> str:
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    return "/".join(reversed(groups)) + (f".p/{width}" if width < WIDTH else "")
