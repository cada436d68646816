"""Founding an installation: by one at a time, in private, and nothing of another's is ever cleared away."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from muniment.bootstrap import open_platform
from muniment.errors import Conflict
from muniment.founding import Initialised, initialise


def test_of_founders_at_once_one_wins_and_his_installation_stands(tmp_path: Path) -> None:
    """The others are refused before they touch anything: his keys open, his tokens work, his ledger is whole."""
    barrier = Barrier(4)

    def found(number: int) -> Initialised | str:
        barrier.wait()
        try:
            return initialise(tmp_path / "home", key_file=tmp_path / f"{number}.keys", team=False)
        except Conflict as refused:
            return refused.code

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(found, range(4)))
    made = [result for result in results if isinstance(result, Initialised)]
    assert len(made) == 1
    assert {result for result in results if isinstance(result, str)} <= {"MUNI-A301", "MUNI-A303"}
    assert [path.name for path in tmp_path.glob("*.keys")] == [made[0].key_file.name]
    platform = open_platform(tmp_path / "home")
    try:
        assert platform.ledger.verify().ok
        assert set(made[0].tokens) == {"admin", "admin2"}
    finally:
        platform.close()


def test_a_folder_that_was_open_to_others_is_closed(tmp_path: Path) -> None:
    """The database and the hashes in it are nobody else's business, also where the folder was made before."""
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    initialise(home, key_file=tmp_path / "keys", team=False)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_remains_of_another_are_never_cleared_away(tmp_path: Path) -> None:
    """What looks like a broken installation is somebody's data until he says otherwise."""
    home = tmp_path / "home"
    (home / "objects").mkdir(parents=True)
    (home / "objects" / "sealed").write_bytes(b"x")
    with pytest.raises(Conflict) as refused:
        initialise(home, key_file=tmp_path / "keys", team=False)
    assert refused.value.code == "MUNI-A302"
    assert (home / "objects" / "sealed").read_bytes() == b"x"
    assert not (tmp_path / "keys").exists()
