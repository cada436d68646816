"""The Merkle tree against the known answers of RFC 6962's reference implementation."""

from __future__ import annotations

import pytest

from muniment.errors import Invalid
from muniment.ledger.tree import (
    EMPTY_ROOT,
    check_consistency,
    check_inclusion,
    consistency_proof,
    extend,
    inclusion_proof,
    leaf_hash,
    root_of,
)

LEAVES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
HASHES = [leaf_hash(bytes.fromhex(leaf)) for leaf in LEAVES]


def _node(level: int, index: int) -> bytes:
    return root_of(extend(0, (), HASHES[index << level : (index + 1) << level])[1])


@pytest.mark.parametrize("size", range(9))
def test_roots_of_the_known_trees(size: int) -> None:
    """The trees over the first n of the known leaves have the known roots."""
    assert root_of(extend(0, (), HASHES[:size])[1]).hex() == ROOTS[size]


def test_the_empty_tree_is_the_hash_of_nothing() -> None:
    """RFC 6962: the hash of an empty list is SHA-256 of the empty string."""
    assert EMPTY_ROOT.hex() == ROOTS[0]


def test_known_inclusion_proofs() -> None:
    """The audit paths are the published ones."""
    known = {
        (0, 8): (
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ),
        (2, 3): ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
    }
    for (index, size), path in known.items():
        assert tuple(hash_.hex() for hash_ in inclusion_proof(index, size, _node)) == path


def test_known_consistency_proofs() -> None:
    """The consistency proofs are the published ones."""
    known = {
        (6, 8): (
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ),
        (2, 5): (
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ),
        (3, 3): (),
    }
    for (old, new), path in known.items():
        assert tuple(hash_.hex() for hash_ in consistency_proof(old, new, _node)) == path


@pytest.mark.parametrize("size", range(1, 9))
def test_every_proof_of_every_small_tree_holds(size: int) -> None:
    """Each leaf is proven in each tree, and each tree in each larger one."""
    root = bytes.fromhex(ROOTS[size])
    for index in range(size):
        path = inclusion_proof(index, size, _node)
        assert check_inclusion(HASHES[index], index, size, path, root)
        assert not check_inclusion(HASHES[index], (index + 1) % size, size, path, root) or size == 1
    for old in range(size + 1):
        proof = consistency_proof(old, size, _node)
        assert check_consistency(old, bytes.fromhex(ROOTS[old]), size, root, proof)


def test_what_is_not_there_has_no_proof() -> None:
    """An index beyond the tree, and a tree larger than its successor, are refused."""
    for index, size in ((8, 8), (-1, 3), (0, 0)):
        with pytest.raises(Invalid, match="no such entry"):
            inclusion_proof(index, size, _node)
    with pytest.raises(Invalid, match="larger"):
        consistency_proof(5, 4, _node)
