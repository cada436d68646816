"""The home folder while an installation is made in it: by one at a time, in private, whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from muniment.bootstrap import SETTINGS, Settings
from muniment.errors import Conflict


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Keep a second one out, who would take the remains of the first for those of a failure."""
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                "MUNI-A303", f"somebody founds or upgrades an installation in {home} now", home=str(home)
            ) from None
        yield
    finally:
        os.close(folder)


@contextmanager
def fresh(home: Path) -> Iterator[None]:
    """A home folder that holds no installation; when the block fails it is empty again.

    Raises:
        Conflict: there is an installation already, or remains of one, or somebody else is making one.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with alone(home):
        if (home / SETTINGS).exists():
            raise Conflict("MUNI-A301", f"there is an installation in {home} already", home=str(home), do="muni doctor")
        if remains := _remains(home):
            raise Conflict(
                "MUNI-A302",
                f"{home} holds remains of an installation without its settings",
                remains=[path.name for path in remains],
                do="restore muniment.json from a backup; if muni init was interrupted there is none: empty the folder",
            )
        home.chmod(0o700)  # a folder that was there may have been open to others
        try:
            yield
        except BaseException:
            for made in _remains(home):
                shutil.rmtree(made) if made.is_dir() else made.unlink()
            raise


def keep_settings(home: Path, settings: Settings) -> None:
    """Write the settings, last of all: a home without them holds no installation."""
    _write_private(home / SETTINGS, msgspec.json.format(msgspec.json.encode(settings), indent=2))


def configuration_folder() -> Path:
    """Where keys go unless a place is given."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "muniment"


def _remains(home: Path) -> list[Path]:
    """What an installation keeps in its home beside its settings, as far as it is there."""
    named = ("state.db", "state.db-wal", "state.db-shm", "ledger", "objects")
    return [home / name for name in named if (home / name).exists()]


def _write_private(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
