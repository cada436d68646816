"""The static files against a naive reading of RFC 6962 and C2SP tlog-tiles, for any way the entries arrive."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from laws import examples
from ledgering import ORIGIN, LedgerRoom, PrivateKey, ledger_room
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.schema import METADATA
from muniment.adapters.sql.store import SqlStore, sqlite_url
from muniment.ledger.note import open_checkpoint
from muniment.ledger.tiles import decode_bundle, encode_bundle, tile_path
from muniment.ledger.tree import check_consistency, check_inclusion


def naive_root(entries: list[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, word for word."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\0" + entries[0]).digest()
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return hashlib.sha256(b"\1" + naive_root(entries[:k]) + naive_root(entries[k:])).digest()


def naive_path(kind: str, number: int, width: int) -> str:
    """The definition of C2SP tlog-tiles: three digits each, all but the last with an x; partial ones with .p/W."""
    digits = str(number).zfill(-(-len(str(number)) // 3) * 3)
    parts = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    place = "/".join([f"x{part}" for part in parts[:-1]] + parts[-1:])
    return f"tile/{kind}/{place}" + (f".p/{width}" if width < 256 else "")


def naive_files(entries: list[bytes]) -> dict[str, bytes]:
    """Every file that must exist for a tree over these entries."""
    files = {}
    for start in range(0, len(entries), 256):
        chunk = entries[start : start + 256]
        body = b"".join(len(entry).to_bytes(2, "big") + entry for entry in chunk)
        files[naive_path("entries", start // 256, len(chunk))] = body
    level, span = 0, 1
    while len(entries) // span:
        hashes = [naive_root(entries[i * span : (i + 1) * span]) for i in range(len(entries) // span)]
        for start in range(0, len(hashes), 256):
            chunk = hashes[start : start + 256]
            files[naive_path(str(level), start // 256, len(chunk))] = b"".join(chunk)
        level, span = level + 1, span * 256
    return files


def _fresh(folder: str) -> LedgerRoom:
    store = SqlStore(sqlite_url(Path(folder) / "state.db"), REPOSITORIES)
    METADATA.create_all(store.engine)
    return ledger_room(Path(folder) / "ledger", store)


@pytest.mark.slow
@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(st.integers(0, 5), st.integers(0, 700)), max_size=5))
def test_files_are_those_of_the_naive_definition(batches: list[int]) -> None:
    """However entries arrive, the files are those of the definition, and partial ones last until the full one."""
    with tempfile.TemporaryDirectory() as folder:
        room = _fresh(folder)
        sizes = []
        for count in batches:
            room.history(count)
            sizes.append(sum(batches[: len(sizes) + 1]))
        signed = room.ledger.checkpoint()
        entries = room.bodies()
        assert len(entries) == sum(batches)
        assert signed.root.raw == naive_root(entries)
        files = room.tile_files()
        assert open_checkpoint(files.pop("checkpoint").decode(), ORIGIN, PrivateKey().public_key) == signed
        wanted = naive_files(entries)
        assert {path: files.get(path) for path in wanted} == wanted
        earlier = {path for size in sizes for path in naive_files(entries[:size])}
        for path in set(files) - set(wanted):
            full, partial, _ = path.partition(".p/")
            assert partial, f"{path} belongs to no tree"
            assert full not in files, f"{path} should have gone when the full file came"
            assert path in earlier or sum(batches) > 1024, f"{path} belongs to no checkpoint"
        room.store.close()


@pytest.mark.slow
def test_a_tree_of_three_levels(tmp_path: Path) -> None:
    """66,000 entries fill a tile of the second level; files, proofs and roots are right across the border."""
    room = _fresh(str(tmp_path))
    room.history(65_000, 1_000)
    entries = room.bodies()
    files = room.tile_files()
    wanted = naive_files(entries)
    assert {path: files.get(path) for path in wanted} == wanted
    assert "tile/1/000" in files
    assert "tile/2/000.p/1" in files
    signed = room.ledger.latest()
    assert signed is not None
    for index in (0, 255, 256, 65_535, 65_536, 65_999):
        proof = room.ledger.prove_inclusion(index, 66_000)
        leaf = hashlib.sha256(b"\0" + entries[index]).digest()
        assert check_inclusion(leaf, index, 66_000, proof.path, signed.root.raw)
    proof = room.ledger.prove_consistency(65_000, 66_000)
    assert check_consistency(65_000, naive_root(entries[:65_000]), 66_000, signed.root.raw, proof.path)
    room.store.close()


@given(st.integers(0, 10**12), st.integers(0, 5), st.integers(1, 256))
def test_paths_are_those_of_the_definition(number: int, level: int, width: int) -> None:
    """Tile paths are written as the specification says."""
    assert tile_path(level, number, width) == naive_path(str(level), number, width)


def test_the_example_of_the_specification() -> None:
    """The specification's own example of a path."""
    assert tile_path(0, 1_234_067) == "tile/0/x001/x234/067"


@given(st.lists(st.binary(max_size=300), max_size=20), st.integers(1, 40))
def test_bundles_read_back(entries: list[bytes], cut: int) -> None:
    """A bundle gives back its entries; one that ends within an entry is refused, never shortened in silence."""
    content = encode_bundle(entries)
    assert decode_bundle(content) == entries
    if 0 < cut < len(content):
        try:
            assert decode_bundle(content[:-cut]) == entries[: len(decode_bundle(content[:-cut]))]
        except ValueError:
            assert entries
