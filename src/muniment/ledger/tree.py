"""The Merkle tree of RFC 6962, section 2: roots, inclusion proofs and consistency proofs. Pure.

A leaf is SHA-256(0x00 + entry), a node SHA-256(0x01 + left + right). A tree of n leaves is kept as its *frontier*:
the roots of the perfect subtrees it consists of, one for each bit of n, from the largest on the left to the smallest
on the right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from muniment.errors import Invalid

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""The hash of a tree without leaves."""

NodeReader = Callable[[int, int], bytes]
"""Gives the hash of a perfect subtree by its level (0 are the leaves) and its index within the level."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry."""
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two neighbouring subtrees."""
    return hashlib.sha256(b"\1" + left + right).digest()


def extend(size: int, frontier: Sequence[bytes], leaves: Iterable[bytes]) -> tuple[int, list[bytes]]:
    """The size and frontier of the tree after these leaf hashes are added on the right of it."""
    stack = list(frontier)
    for leaf in leaves:
        node, rest = leaf, size
        while rest & 1:
            node = node_hash(stack.pop(), node)
            rest >>= 1
        stack.append(node)
        size += 1
    return size, stack


def root_of(frontier: Sequence[bytes]) -> bytes:
    """The root of the tree with this frontier."""
    if not frontier:
        return EMPTY_ROOT
    *left, node = frontier
    for hash_ in reversed(left):
        node = node_hash(hash_, node)
    return node


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """The root over neighbouring subtrees of one size, their number a power of two."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[i], level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """The audit path of a leaf (RFC 6962, 2.1.1), from the leaf upwards.

    Raises:
        Invalid: the tree of that size has no such leaf.
    """
    if not 0 <= index < size:
        raise Invalid("MUNI-L105", "the tree of that size has no such entry", index=index, size=size)
    path: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            path.append(range_root(middle, stop, node))
            stop = middle
        else:
            path.append(range_root(start, middle, node))
            start = middle
    return path[::-1]


def consistency_proof(old: int, new: int, node: NodeReader) -> list[bytes]:
    """The proof that the tree of size ``new`` begins with that of size ``old`` (RFC 6962, 2.1.2).

    Raises:
        Invalid: not ``0 <= old <= new``.
    """
    if not 0 <= old <= new:
        raise Invalid("MUNI-L106", "a tree cannot begin with a larger one", old=old, new=new)
    if old in (0, new):
        return []
    proof: list[bytes] = []
    start, stop, whole = 0, new, True
    while stop != old:
        middle = start + _split(stop - start)
        if old <= middle:
            proof.append(range_root(middle, stop, node))
            stop = middle
        else:
            proof.append(range_root(start, middle, node))
            start, whole = middle, False
    if not whole:
        proof.append(range_root(start, stop, node))
    return proof[::-1]


def check_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the path proves the leaf at that index of the tree with this size and root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, node = index, size - 1, leaf
    for hash_ in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            node = node_hash(hash_, node)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            node = node_hash(node, hash_)
        position, last = position >> 1, last >> 1
    return last == 0 and node == root


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the new tree begins with the old one (RFC 9162, 2.1.4.2)."""
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    if not 0 < old < new or not proof:
        return False
    nodes = list(proof)
    if old & (old - 1) == 0:
        nodes.insert(0, old_root)
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    first = second = nodes[0]
    for hash_ in nodes[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            first, second = node_hash(hash_, first), node_hash(hash_, second)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            second = node_hash(second, hash_)
        position, last = position >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def _split(size: int) -> int:
    """The largest power of two smaller than the size."""
    return 1 << (size - 1).bit_length() - 1


def range_root(start: int, stop: int, node: NodeReader) -> bytes:
    """The root over leaves ``start <= index < stop``; start is a multiple of the largest power of two within."""
    pieces: list[bytes] = []
    while start < stop:
        level = (stop - start).bit_length() - 1
        pieces.append(node(level, start >> level))
        start += 1 << level
    return root_of(pieces)
