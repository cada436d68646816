"""Profiles: which one is taken, what is refused, and who can read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from muniment import connecting
from muniment.connecting import Profile
from muniment.errors import Invalid, NotFound


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MUNIMENT_HOME", "MUNI_PROFILE", "MUNI_PROJECT", "MUNI_URL"):
        monkeypatch.delenv(name, raising=False)


def keep(home: Path, *names: str) -> None:
    """Profiles of these names."""
    for name in names:
        connecting.write_profile(home, Profile(name=name, token=f"token of {name}"))


def test_the_only_profile_is_taken(tmp_path: Path) -> None:
    """With one profile nobody has to name it."""
    keep(tmp_path, "ana")
    assert connecting.read_profile(tmp_path).name == "ana"


def test_the_scientist_is_taken_among_several(tmp_path: Path) -> None:
    """With a starter team the scientist is who one is by default."""
    keep(tmp_path, "admin", "scientist", "auditor")
    assert connecting.read_profile(tmp_path).name == "scientist"


def test_the_environment_comes_before_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MUNI_PROFILE names a profile, an argument overrides it."""
    keep(tmp_path, "admin", "scientist", "auditor")
    monkeypatch.setenv("MUNI_PROFILE", "auditor")
    assert connecting.read_profile(tmp_path).name == "auditor"
    assert connecting.read_profile(tmp_path, "admin").name == "admin"


def test_nobody_is_guessed(tmp_path: Path) -> None:
    """No profile, several without a favourite, or an unknown name: an error that names what there is."""
    with pytest.raises(NotFound, match="nobody has signed in"):
        connecting.read_profile(tmp_path)
    keep(tmp_path, "ana", "ben")
    with pytest.raises(NotFound) as caught:
        connecting.read_profile(tmp_path)
    assert caught.value.facts["profiles"] == ["ana", "ben"]
    with pytest.raises(NotFound) as unknown:
        connecting.read_profile(tmp_path, "eve")
    assert unknown.value.facts["profiles"] == ["ana", "ben"]
    with pytest.raises(NotFound):
        connecting.read_profile(tmp_path, "../ana")


def test_a_profile_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    """Profiles are written 0600, and one that others can read is refused instead of used."""
    file = connecting.write_profile(tmp_path, Profile(name="ana", token="t"))
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o640)
    with pytest.raises(Invalid, match="others can read"):
        connecting.read_profile(tmp_path, "ana")


def test_a_broken_profile_is_refused(tmp_path: Path) -> None:
    """A file that is no profile is named, and its content is not shown."""
    file = connecting.write_profile(tmp_path, Profile(name="ana", token="t"))
    file.write_text('{"name": "ana", "token": 5}')
    with pytest.raises(Invalid, match="not a profile"):
        connecting.read_profile(tmp_path, "ana")


def test_a_token_is_not_printed(tmp_path: Path) -> None:
    """The representation of a profile holds no token."""
    assert "hush" not in repr(Profile(name="ana", token="hush"))


def test_a_profile_is_replaced_and_forgotten(tmp_path: Path) -> None:
    """Signing in again replaces a profile; forgetting removes it; a bad name is refused."""
    connecting.write_profile(tmp_path, Profile(name="ana", token="one"))
    connecting.write_profile(tmp_path, Profile(name="ana", token="two", project="p", url="https://x"))
    assert connecting.read_profile(tmp_path, "ana") == Profile(name="ana", token="two", project="p", url="https://x")
    connecting.forget_profile(tmp_path, "ana")
    assert connecting.profile_names(tmp_path) == []
    with pytest.raises(NotFound):
        connecting.forget_profile(tmp_path, "ana")
    with pytest.raises(Invalid):
        connecting.write_profile(tmp_path, Profile(name="../x", token="t"))


def test_a_home_without_a_platform_says_how_to_make_one(tmp_path: Path) -> None:
    """Connecting to a folder that holds nothing is an error with advice."""
    with pytest.raises(NotFound) as caught:
        connecting.connect(tmp_path)
    assert "muni init" in caught.value.facts["do"]


def test_a_url_needs_a_profile_and_takes_its_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL is reached with the token of a profile of the home folder; the profile's own URL is followed too."""
    monkeypatch.setenv("MUNIMENT_HOME", str(tmp_path))
    connecting.write_profile(tmp_path, Profile(name="ana", token="t", project="risk", url="https://a.example"))
    for client in (connecting.connect(), connecting.connect("https://b.example"), connecting.connect(tmp_path)):
        assert client.project == "risk"
        client.close()
    monkeypatch.setenv("MUNI_PROJECT", "other")
    client = connecting.connect()
    assert client.project == "other"
    client.close()
