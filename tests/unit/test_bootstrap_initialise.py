"""A new installation is whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from muniment.bootstrap import open_platform
from muniment.errors import Conflict, Invalid, MunimentError, NotFound
from muniment.founding import initialise
from muniment.ledger.model import Search
from muniment.testing.platform import People, Site
from muniment.wire.identity import AddUser, WhoAmI


def test_what_fails_half_way_can_be_begun_again(tmp_path: Path) -> None:
    """An initialisation that fails leaves neither keys nor database, and the next one works."""
    home, keys = tmp_path / "home", tmp_path / "keys" / "a.keys"
    with pytest.raises(MunimentError):
        initialise(home, key_file=keys, administrators=("Not A Name", "other"))
    assert not keys.exists()
    assert list(home.iterdir()) == []
    made = initialise(home, key_file=keys)
    platform = open_platform(home)
    assert platform.ledger.verify().ok
    platform.close()
    assert set(made.tokens) == {
        "admin",
        "admin2",
        "scientist",
        "validator",
        "approver",
        "operator",
        "auditor",
        "steward",
    }


def test_nothing_is_put_on_top_of_what_is_there(site: Site, tmp_path: Path) -> None:
    """A second initialisation is refused, also when only the settings are gone; what is there stays."""
    place = site.copy(tmp_path / "site")
    with pytest.raises(Conflict) as refused:
        initialise(place.home, key_file=tmp_path / "other.keys")
    assert refused.value.code == "MUNI-A301"
    (place.home / "muniment.json").rename(tmp_path / "muniment.json")
    with pytest.raises(Conflict) as refused:
        initialise(place.home, key_file=tmp_path / "other.keys")
    assert refused.value.code == "MUNI-A302"
    (tmp_path / "muniment.json").rename(place.home / "muniment.json")
    platform = place.open()
    assert People(platform, place.tokens).ask("admin", WhoAmI()).name == "admin"
    platform.close()


def test_damaged_settings_are_named(site: Site, tmp_path: Path) -> None:
    """Settings that are missing, not JSON, or hold something unknown are refused with their path."""
    place = site.copy(tmp_path / "site")
    settings = place.home / "muniment.json"
    for content in (b"{", b'{"origin": "x"}', settings.read_bytes()[:-1] + b', "unknown": 1}'):
        settings.write_bytes(content)
        with pytest.raises(Invalid) as refused:
            place.open()
        assert refused.value.facts["path"] == str(settings)
    settings.unlink()
    with pytest.raises(NotFound):
        place.open()


def test_the_secret_opens_once(site: Site, tmp_path: Path) -> None:
    """No account is there before the first two administrators, and everything they did stands in the ledger."""
    place = site.copy(tmp_path / "site")
    platform = place.open()
    people = People(platform, place.tokens)
    first = platform.ledger.search(Search(limit=1000))[-1].event
    assert (first["data"]["action"], first["data"]["principal"]) == ("identity:Bootstrap", "System:anonymous")
    assert first["data"]["policies"] == ["core/public"]
    people.ask("admin", AddUser(name="late"))
    assert platform.ledger.verify().ok
    platform.close()
