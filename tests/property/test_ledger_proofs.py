"""Proofs: true ones hold for every tree, and no changed one does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from muniment.ledger.tree import (
    check_consistency,
    check_inclusion,
    consistency_proof,
    extend,
    inclusion_proof,
    leaf_hash,
    root_of,
)

LEAVES = [leaf_hash(str(number).encode()) for number in range(700)]


def _node(level: int, index: int) -> bytes:
    return root_of(extend(0, (), LEAVES[index << level : (index + 1) << level])[1])


def _root(size: int) -> bytes:
    return root_of(extend(0, (), LEAVES[:size])[1])


@given(st.data(), st.integers(1, 700))
def test_inclusion_holds_and_only_it(data: st.DataObject, size: int) -> None:
    """A leaf's path leads to the root; with a flipped bit, another leaf, index or size, or a piece less it does not."""
    index = data.draw(st.integers(0, size - 1))
    path, root = inclusion_proof(index, size, _node), _root(size)
    assert check_inclusion(LEAVES[index], index, size, path, root)
    assert not check_inclusion(LEAVES[(index + 1) % 700], index, size, path, root)
    assert not check_inclusion(LEAVES[index], index, size, path, _root(size + 1) if size < 700 else _root(1))
    assert not check_inclusion(LEAVES[index], index, size, [*path, root], root)
    if path:
        assert not check_inclusion(LEAVES[index], index, size, path[:-1], root)
        at = data.draw(st.integers(0, len(path) - 1))
        path[at] = bytes([path[at][0] ^ 1]) + path[at][1:]
        assert not check_inclusion(LEAVES[index], index, size, path, root)


@given(st.data(), st.integers(2, 700))
def test_consistency_holds_and_only_it(data: st.DataObject, new: int) -> None:
    """A tree is proven to begin with each smaller one; a changed proof, or another root, is refused."""
    old = data.draw(st.integers(1, new - 1))
    proof, first, second = consistency_proof(old, new, _node), _root(old), _root(new)
    assert check_consistency(old, first, new, second, proof)
    assert not check_consistency(old, second, new, second, proof)
    assert not check_consistency(old, first, new, first, proof)
    assert not check_consistency(old, first, new, second, [*proof, first])
    assert not check_consistency(old, first, new, second, proof[:-1])
    at = data.draw(st.integers(0, len(proof) - 1))
    proof[at] = bytes([proof[at][0] ^ 128]) + proof[at][1:]
    assert not check_consistency(old, first, new, second, proof)


@given(st.lists(st.integers(0, 90), max_size=8))
def test_growing_in_steps_is_growing_at_once(steps: list[int]) -> None:
    """However the leaves arrive, the frontier and the root are the same."""
    size, frontier = 0, list[bytes]()
    for step in steps:
        size, frontier = extend(size, frontier, LEAVES[size : size + step])
    assert (size, frontier) == extend(0, (), LEAVES[: sum(steps)])
    assert len(frontier) == bin(size).count("1")
