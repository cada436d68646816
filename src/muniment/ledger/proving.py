"""Proofs out of the tiles: that an entry is in the tree, and that a tree begins with an earlier one."""

from __future__ import annotations

from dataclasses import dataclass

from muniment.errors import IntegrityError, NotFound
from muniment.ledger import tiles
from muniment.ledger.model import Checkpoint
from muniment.ledger.ports import TileStore
from muniment.ledger.tree import (
    EMPTY_ROOT,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    range_root,
)


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """The way from a leaf to the root (RFC 6962, 2.1.1)."""

    index: int
    size: int
    leaf: bytes
    path: tuple[bytes, ...]
    """From the leaf upwards."""

    root: bytes


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """What shows that the larger tree begins with the smaller (RFC 6962, 2.1.2)."""

    old: int
    new: int
    path: tuple[bytes, ...]
    old_root: bytes
    new_root: bytes


class Prover:
    """Reads proofs from the tiles up to the published checkpoint, and gives none that does not hold."""

    def __init__(self, files: TileStore, published: Checkpoint) -> None:
        self._tree = tiles.TiledTree(published.size, files.get)
        self._published = published

    def inclusion(self, index: int, size: int) -> InclusionProof:
        """The proof that the entry of this index is in the tree of that size.

        Raises:
            NotFound: the published tree is smaller than that.
            IntegrityError: the tiles do not lead to the signed root.
        """
        self._reaches(size)
        try:
            path = inclusion_proof(index, size, self._tree.node)
            leaf, root = self._tree.node(0, index), self._root(size)
        except LookupError as missing:
            raise _broken(str(missing)) from missing
        if not check_inclusion(leaf, index, size, path, root):
            raise _broken(f"entry {index} does not lead to the root of {size}")
        return InclusionProof(index, size, leaf, tuple(path), root)

    def consistency(self, old: int, new: int) -> ConsistencyProof:
        """The proof that the tree of size ``new`` begins with that of size ``old``; raises as ``inclusion`` does."""
        self._reaches(new)
        try:
            path = consistency_proof(old, new, self._tree.node)
            first, second = self._root(old), self._root(new)
        except LookupError as missing:
            raise _broken(str(missing)) from missing
        if not check_consistency(old, first, new, second, path):
            raise _broken(f"the tree of {new} does not begin with that of {old}")
        return ConsistencyProof(old, new, tuple(path), first, second)

    def _reaches(self, size: int) -> None:
        if size > self._published.size:
            raise NotFound("MUNI-L202", "no tree of that size is published", size=size, published=self._published.size)

    def _root(self, size: int) -> bytes:
        """The root of that size, shown to be one that the signed tree grew from."""
        root = range_root(0, size, self._tree.node) if size else EMPTY_ROOT
        published = self._published
        path = consistency_proof(size, published.size, self._tree.node)
        if not check_consistency(size, root, published.size, published.root.raw, path):
            raise _broken(f"the signed tree of {published.size} does not begin with the tiles' tree of {size}")
        return root


def _broken(reason: str) -> IntegrityError:
    return IntegrityError(
        "MUNI-L509",
        "the ledger's tiles do not prove what was signed",
        reason=reason,
        do="muni audit verify --deep says whether the tiles or the entries were altered",
    )
