"""A vault on real files, for tests: the parts a test may look at, break and reopen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from muniment.adapters.blob.files import FileBlobs
from muniment.adapters.kms.local import LocalKeys
from muniment.adapters.sql.store import SqlStore
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Faults, NoFaults, SystemEntropy
from muniment.testing.fakes import FakeClock
from muniment.vault.model import Sealed
from muniment.vault.service import Vault


@dataclass(frozen=True)
class VaultRoom:
    """A vault and everything it stands on."""

    vault: Vault
    store: SqlStore
    home: Path
    keys: LocalKeys
    blobs: FileBlobs
    clock: FakeClock

    def keep(self, data: bytes, project: str = "credit") -> Digest:
        """Seal and register."""
        sealed = self.vault.seal_bytes(project, data)
        self.register(sealed)
        return sealed.digest

    def register(self, sealed: Sealed) -> None:
        """Register in a transaction of its own."""
        with self.store.write() as session:
            self.vault.register(session, sealed.project, sealed)

    def give_key(self, project: str) -> None:
        """Create a project's key."""
        with self.store.write() as session:
            self.vault.create_project_key(session, project)

    def blob_files(self) -> list[Path]:
        """The files of all blobs, in order."""
        return sorted(path for path in (self.home / "objects").glob("??/*") if path.is_file())


def vault_room(folder: Path, store: SqlStore, faults: Faults | None = None) -> VaultRoom:
    """Open the vault in the folder; its key file and home are made when first asked for."""
    home, key_file = folder / "home", folder / "keys"
    home.mkdir(exist_ok=True)
    faults = faults or NoFaults()
    known = key_file.exists()
    keys = LocalKeys(key_file, home=home, faults=faults) if known else LocalKeys.create(key_file, home=home)
    blobs, clock = FileBlobs(home / "objects", faults), FakeClock()
    return VaultRoom(Vault(store, blobs, keys, clock, SystemEntropy(), faults), store, home, keys, blobs, clock)
