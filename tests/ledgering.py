"""A ledger on real files, for tests: the parts a test may look at, break and reopen."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from muniment.adapters.blob.tiles import FileTiles
from muniment.adapters.sql.store import SqlStore
from muniment.kernel.identifiers import new_id
from muniment.kernel.ports import Faults, NoFaults
from muniment.ledger.model import Event
from muniment.ledger.service import Ledger
from muniment.testing.fakes import FakeClock, SeededEntropy

ORIGIN = "muniment.example/ledger"


class PrivateKey:
    """An Ed25519 key as the ledger's signer; the same seed gives the same key."""

    def __init__(self, seed: int = 7) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public_key = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The signature of a message."""
        return self._key.sign(message)


@dataclass
class LedgerRoom:
    """A ledger and everything it stands on."""

    ledger: Ledger
    store: SqlStore
    files: FileTiles
    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    entropy: SeededEntropy = field(default_factory=SeededEntropy)

    def event(self, subject: str = "Dataset:credit@3", **data: Any) -> Event:
        """An event, a millisecond after the one before."""
        self.clock.advance(milliseconds=1)
        facts = {"principal": "User:ana", "action": "data:ReadDataset", "outcome": "ok", "project": "credit"} | data
        return Event(
            new_id(self.clock, self.entropy), "muniment.data.dataset.read.v1", self.clock.now(), subject, facts
        )

    def record(self, count: int) -> None:
        """Record that many events, in one transaction."""
        with self.store.write() as session:
            for number in range(count):
                self.ledger.append(session, self.event(number=number))

    def history(self, *batches: int) -> None:
        """Record events in batches, each under a checkpoint of its own."""
        for count in batches:
            self.record(count)
            self.ledger.checkpoint()

    def sql(self, statement: str, **values: Any) -> int:
        """Tamper with the database behind the ledger's back; returns how many rows it struck."""
        with self.store.engine.connect() as connection:
            struck = connection.execute(text(statement), values).rowcount
            connection.commit()
        return struck

    def bodies(self) -> list[bytes]:
        """Every numbered entry, in order."""
        with self.store.engine.connect() as connection:
            rows = connection.execute(text("select body from ledger_entries where idx is not null order by idx"))
            return [body.encode() for (body,) in rows]

    def tile_files(self) -> dict[str, bytes]:
        """Every static file by its path."""
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.name != ".lock"
        }

    def export(self, path: Path) -> Path:
        """Write the export to a file."""
        path.write_bytes(b"".join(self.ledger.export()))
        return path


def ledger_room(
    folder: Path, store: SqlStore, faults: Faults | None = None, start_s: float = 0.0, elsewhere: Path | None = None
) -> LedgerRoom:
    """Open the ledger whose files lie in the folder."""
    clock, entropy = FakeClock(), SeededEntropy(int(start_s))
    clock.advance(**{"seconds": timedelta(seconds=start_s).total_seconds()})
    files = FileTiles(folder, elsewhere)
    ledger = Ledger(store, files, PrivateKey(), ORIGIN, clock, entropy, faults or NoFaults())
    return LedgerRoom(ledger, store, files, folder, clock, entropy)


def facts(body: bytes) -> dict[str, Any]:
    """The data of an entry."""
    data: dict[str, Any] = json.loads(body)["data"]
    return data
