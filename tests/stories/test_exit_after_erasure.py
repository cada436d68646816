"""What was erased stays erased when an installation leaves and comes back; and what an old copy cannot know is said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from muniment.bootstrap import Platform, open_platform
from muniment.errors import Conflict, IntegrityError, NotFound
from muniment.founding import restore
from muniment.kernel.digest import Digest
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire import stewardship as ws
from muniment.wire.exporting import ExportErasures, ExportInstallation
from muniment.wire.ledger import SearchEntries
from muniment.wire.records import VerifyInventory
from stewarding import Estate

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Left:
    """Exports from before an erasure and after it."""

    before: Path
    after: Path
    gone: Digest
    stays: Digest
    erasures: Path
    decision: str
    content: bytes


@pytest.fixture
def left(site: Site, tmp_path: Path) -> Left:
    """An installation that let a snapshot go."""
    platform = site.copy(tmp_path / "site").open()
    estate = Estate.of(People(platform, site.tokens))
    stays = estate.derive("data:credit", name="other", content=b"of nobody")
    gone = Digest(estate.rights().digest)
    content = platform.vault.read_bytes(PROJECT, gone)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    estate.terms(retention=yesterday.isoformat(), dataset="data:credit")
    before = taken(estate.people, tmp_path / "before.tar")
    request = ws.RequestDeletion(project=PROJECT, dataset="data:credit", reason="over")
    asked = estate.ask("steward", request)
    estate.ask("steward2", ws.ApproveErasure(project=PROJECT, erasure=asked.id))
    estate.ask("steward2", ws.FinishErasure(project=PROJECT))
    after = taken(estate.people, tmp_path / "after.tar")
    erasures = tmp_path / "erasures.txt"
    erasures.write_bytes(b"".join(estate.ask("admin", ExportErasures()).chunks))
    platform.close()
    return Left(before, after, gone, stays, erasures, asked.record, content)


def taken(people: People, target: Path) -> Path:
    """An export."""
    target.write_bytes(b"".join(people.ask("admin", ExportInstallation()).chunks))
    return target


def sound(platform: Platform, tokens: dict[str, str]) -> None:
    """History, records, inventory and every object verify."""
    people = People(platform, tokens)
    assert platform.ledger.verify(deep=True).findings == ()
    assert people.ask("admin", VerifyInventory()).findings == []
    assert platform.vault.fsck(deep=True).sound


def test_an_export_after_the_erasure_comes_back_without_what_went(left: Left, tmp_path: Path) -> None:
    """Its bytes are not in it; imported, all verifies, what went is refused with the decision, the rest reads."""
    assert f"objects/{PROJECT}/{left.gone.hex}".encode() in left.before.read_bytes()
    assert f"objects/{PROJECT}/{left.gone.hex}".encode() not in left.after.read_bytes()
    made = restore(left.after, tmp_path / "home", key_file=tmp_path / "keys" / "new.keys")
    platform = open_platform(tmp_path / "home")
    try:
        sound(platform, dict(made.tokens))
        with pytest.raises(NotFound) as told:
            platform.vault.read_bytes(PROJECT, left.gone)
        assert (told.value.code, told.value.facts["decision"]) == ("MUNI-V205", left.decision)
        assert platform.vault.read_bytes(PROJECT, left.stays) == b"of nobody"
        with platform.store.write() as session, pytest.raises(Conflict) as refused:
            platform.vault.register(session, PROJECT, platform.vault.seal_bytes(PROJECT, left.content))
        assert refused.value.code == "MUNI-V310"
    finally:
        platform.close()


def test_an_old_export_and_the_list_of_erasures(left: Left, tmp_path: Path) -> None:
    """With the list what was erased since is left out and refused with its decision; without it the bytes are back, and
    the reply says up to when erasures are known.
    """
    made = restore(left.before, tmp_path / "home", key_file=tmp_path / "k" / "new.keys", erasures=left.erasures)
    assert made.left_out == 1
    platform = open_platform(tmp_path / "home")
    try:
        sound(platform, dict(made.tokens))
        with pytest.raises(NotFound) as told:
            platform.vault.read_bytes(PROJECT, left.gone)
        assert (told.value.code, told.value.facts["decision"]) == ("MUNI-V205", left.decision)
        assert platform.vault.read_bytes(PROJECT, left.stays) == b"of nobody"
        (entry,) = People(platform, dict(made.tokens)).ask("admin", SearchEntries(text="RestoreInstallation")).entries
        assert (entry.data["facts"]["erased"], entry.data["facts"]["erasures_until"]) == (1, made.erasures_until)
    finally:
        platform.close()
    without = restore(left.before, tmp_path / "home2", key_file=tmp_path / "k2" / "new.keys")
    assert without.left_out == 0
    assert without.erasures_until < made.erasures_until
    platform = open_platform(tmp_path / "home2")
    try:
        assert platform.vault.read_bytes(PROJECT, left.gone) == left.content
    finally:
        platform.close()


def test_a_list_that_was_changed_or_is_of_another_installation_is_refused(left: Left, tmp_path: Path) -> None:
    """A line less, or another signer: nothing is made."""
    lines = left.erasures.read_bytes().split(b"\n")
    changed = tmp_path / "changed.txt"
    for content in (b"\n".join([*lines[:3], *lines[4:]]), b"", b"\xff\xfe", left.after.read_bytes()[:2000]):
        changed.write_bytes(content)
        with pytest.raises(IntegrityError) as refused:
            restore(left.before, tmp_path / "home3", key_file=tmp_path / "k3" / "new.keys", erasures=changed)
        assert refused.value.code == "MUNI-E591"
        assert not (tmp_path / "home3" / "settings.toml").exists()
