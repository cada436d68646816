"""Sealing against what every store would do anyway: hash the bytes and write them, durably; CPU time of one process.

Both sides read the same 256 MiB from memory in pieces of 1 MiB, hash them with SHA-256, write them to a new file on the
same disk and make it durable. The sides alternate, and the medians are compared.
"""

from __future__ import annotations

import hashlib
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import create_engine

from muniment.adapters.blob.files import FileBlobs
from muniment.adapters.kms.local import LocalKeys
from muniment.adapters.sql.schema import METADATA
from muniment.adapters.sql.store import SqlStore, sqlite_url
from muniment.adapters.sql.vault import REPOSITORIES
from muniment.kernel.digest import Digest
from muniment.kernel.ports import NoFaults, SystemClock, SystemEntropy
from muniment.vault.service import Vault
from table import Row, print_table

SIZE = 256 << 20
PIECE = 1 << 20
ROUNDS = 7
BAR = 1.6


def run() -> list[Row]:
    """Measure and compare."""
    with tempfile.TemporaryDirectory(prefix="muni-bench-") as folder:
        return _measure(Path(folder))


def _measure(folder: Path) -> list[Row]:
    vault, store = _vault(folder)
    data = os.urandom(SIZE)
    sealed = vault.seal("bench", io.BytesIO(data))
    with store.write() as session:
        vault.register(session, "bench", sealed)
    plain = folder / "plain"
    written, sealing, reading, hashing, opening = [], [], [], [], []
    for _ in range(ROUNDS):
        written.append(_cpu(lambda: _hash_and_write(data, plain)))
        sealing.append(_cpu(lambda: _seal_and_drop(vault, data)))
        reading.append(_cpu(lambda: _read(plain)))
        hashing.append(_cpu(lambda: _read_and_hash(plain)))
        opening.append(_cpu(lambda: _open(vault, sealed.digest)))
    write = statistics.median(s / w for s, w in zip(sealing, written, strict=True))
    read = statistics.median(o / r for o, r in zip(opening, reading, strict=True))
    verified = statistics.median(o / h for o, h in zip(opening, hashing, strict=True))
    return [
        Row(
            "sealed write, 256 MiB, CPU",
            _ms(sealing),
            f"{_ms(written)} hash + plain write",
            write,
            f"<= {BAR}x",
            write <= BAR,
            f"median of {ROUNDS} pairs, both made durable",
        ),
        Row(
            "sealed read with digest, 256 MiB, CPU",
            _ms(opening),
            f"{_ms(reading)} plain read",
            read,
            "",
            None,
            "decrypts and hashes; the plain read does neither",
        ),
        Row(
            "sealed read with digest, 256 MiB, CPU",
            _ms(opening),
            f"{_ms(hashing)} plain read + hash",
            verified,
            "",
            None,
            "what a store that checks its digests pays anyway",
        ),
    ]


def _vault(folder: Path) -> tuple[Vault, SqlStore]:
    home = folder / "home"
    home.mkdir()
    url = sqlite_url(home / "muniment.db")
    engine = create_engine(url)
    METADATA.create_all(engine)
    engine.dispose()
    store = SqlStore(url, REPOSITORIES)
    keys = LocalKeys.create(folder / "keys", home=home)
    vault = Vault(store, FileBlobs(home / "objects"), keys, SystemClock(), SystemEntropy(), NoFaults())
    with store.write() as session:
        vault.create_project_key(session, "bench")
    return vault, store


def _cpu(step: Callable[[], object]) -> float:
    begin = time.process_time()
    step()
    return time.process_time() - begin


def _ms(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.0f} ms"


def _hash_and_write(data: bytes, path: Path) -> None:
    path.unlink(missing_ok=True)
    source, digest = io.BytesIO(data), hashlib.sha256()
    with path.open("xb", buffering=0) as file:
        while piece := source.read(PIECE):
            digest.update(piece)
            file.write(piece)
        os.fsync(file.fileno())


def _seal_and_drop(vault: Vault, data: bytes) -> None:
    vault.discard(vault.seal("bench", io.BytesIO(data)))


def _read(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        while file.read(PIECE):
            pass


def _read_and_hash(path: Path) -> None:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE):
            digest.update(piece)


def _open(vault: Vault, digest: Digest) -> None:
    with vault.open("bench", digest) as reader:
        while reader.read(PIECE):
            pass


if __name__ == "__main__":
    print_table(run())
