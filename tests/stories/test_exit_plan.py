"""The exit plan: everything out, readable without the platform, and an installation made of it again."""

from __future__ import annotations

import hashlib
import io
import json
import random
import subprocess
import tarfile
from pathlib import Path

import pytest

from asking import furnish_catalog
from muniment.bootstrap import open_platform
from muniment.errors import Conflict, IntegrityError, Invalid, MunimentError
from muniment.founding import exercise, restore
from muniment.kernel.digest import Digest
from muniment.testing.platform import People, Site
from muniment.wire.exporting import ExportInstallation, RecordDrill
from muniment.wire.identity import AddUser, IssueTokenFor, ListUsers
from muniment.wire.inventory import FetchModel

FOLDER = "muniment-export"


@pytest.fixture(scope="module")
def source(site: Site, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, bytes]:
    """An export, the ledger's key, and the bytes of its model."""
    folder = tmp_path_factory.mktemp("source")
    platform = site.copy(folder).open()
    people = People(platform, site.tokens)
    furnish_catalog(people)
    target = folder / "all.tar"
    target.write_bytes(b"".join(people.ask("admin", ExportInstallation()).chunks))
    fetched = b"".join(people.ask("scientist", FetchModel(project="main", model="model:scorer")).chunks)
    key = platform.ledger.key
    platform.close()
    return target, key, fetched


def test_an_export_is_read_with_standard_tools(source: tuple[Path, str, bytes], tmp_path: Path) -> None:
    """Unpacked by tar, models and data lie under their names with the bytes they had, and every file has its digest."""
    subprocess.run(["tar", "-xf", source[0], "-C", tmp_path], check=True)
    top = tmp_path / FOLDER
    model = top / "browse" / "main" / "model" / "scorer@1" / "part"
    assert model.read_bytes() == b"main/scorer"
    assert (top / "objects" / "main" / Digest.of(b"main/scorer").hex).samefile(model)
    lines = [json.loads(line) for path in (top / "index").iterdir() for line in path.read_text().splitlines()]
    assert {line["path"]: line["sha256"] for line in lines} == {
        line["path"]: hashlib.sha256((top / line["path"]).read_bytes()).hexdigest() for line in lines
    }
    names = [
        json.loads(line)["name"]
        for line in (top / "tables/identity_accounts/000000000000.jsonl").read_text().splitlines()
    ]
    assert {"scientist", "auditor"} <= set(names)


def test_no_secret_is_in_an_export(source: tuple[Path, str, bytes], site: Site) -> None:
    """Neither the text nor the digest of any token, nor a key, is anywhere in it."""
    content = source[0].read_bytes()
    for token in site.tokens.values():
        assert token.encode() not in content
        assert Digest.of(token.encode()).hex.encode() not in content
    keys = json.loads(site.key_file.read_bytes())["keys"]
    assert [name for name, secret in keys.items() if secret.encode() in content] == []


def test_an_installation_is_made_of_an_export(source: tuple[Path, str, bytes], tmp_path: Path) -> None:
    """The same people, records, objects and history, verified; administrators get in, and the ledger goes on."""
    export, key, fetched = source
    made = restore(export, tmp_path / "home", key=key, key_file=tmp_path / "keys" / "new.keys")
    assert made.key_from == "you"
    assert sorted(made.tokens) == ["admin", "admin2"]
    platform = open_platform(tmp_path / "home")
    try:
        people = People(platform, made.tokens)
        assert {"scientist", "validator"} <= {one.name for one in people.ask("admin", ListUsers()).users}
        people.tokens["scientist"] = people.ask("admin", IssueTokenFor(owner="scientist")).token
        assert b"".join(people.ask("scientist", FetchModel(project="main", model="scorer")).chunks) == fetched
        assert platform.vault.fsck(deep=True).sound
        people.ask("admin", AddUser(name="afterwards"))
        report = platform.ledger.verify()
        assert report.ok
        assert report.checkpoint is not None
        assert report.checkpoint.size > made.entries
        first = platform.ledger.entry(made.entries).event
        assert first["type"] == "muniment.evidence.installation.restored.v1"
        assert first["data"]["facts"]["former_key"] == key
    finally:
        platform.close()


def contents(export: bytes) -> dict[str, object]:
    """Tables, objects and names of an export: files by their digest, links by what they point to."""
    found: dict[str, object] = {}
    with tarfile.open(fileobj=io.BytesIO(export)) as tar:
        for member in tar:
            kind = member.name.split("/")[1]
            if kind in ("objects", "tables", "browse"):
                file = None if member.islnk() else tar.extractfile(member)
                found[member.name] = hashlib.sha256(file.read()).hexdigest() if file else member.linkname
    return found


def test_an_export_of_a_restored_installation_is_the_same(source: tuple[Path, str, bytes], tmp_path: Path) -> None:
    """Taken out once more, all objects, names and tables are what they were; only history and access have grown."""
    made = restore(source[0], tmp_path / "home", key_file=tmp_path / "keys" / "new.keys")
    assert made.key_from == "the export"
    platform = open_platform(tmp_path / "home")
    again = b"".join(People(platform, made.tokens).ask("admin", ExportInstallation()).chunks)
    platform.close()
    assert contents(again) == contents(source[0].read_bytes())


def refused(export: Path, folder: Path, key: str | None = None) -> MunimentError:
    """The error that an import ends with; nothing may be left of the attempt."""
    with pytest.raises((IntegrityError, Invalid, Conflict)) as error:
        restore(export, folder / "home", key=key, key_file=folder / "keys" / "new.keys")
    assert list((folder / "home").iterdir()) == []
    assert not (folder / "keys" / "new.keys").exists()
    return error.value


@pytest.mark.parametrize("seed", range(25))
def test_no_changed_byte_passes(source: tuple[Path, str, bytes], tmp_path: Path, seed: int) -> None:
    """One bit, anywhere in a file of the export: the import is refused and leaves nothing."""
    content = bytearray(source[0].read_bytes())
    with tarfile.open(source[0]) as tar:
        spans = [(member.offset_data, member.size) for member in tar if member.isreg() and member.size]
    chance = random.Random(seed)
    start, size = chance.choice(spans)
    content[start + chance.randrange(size)] ^= 1 << chance.randrange(8)
    (tmp_path / "bad.tar").write_bytes(content)
    assert refused(tmp_path / "bad.tar", tmp_path).code in ("MUNI-A590", "MUNI-L501", "MUNI-L106", "MUNI-A190")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_part_of_an_export_is_none(source: tuple[Path, str, bytes], tmp_path: Path, share: float) -> None:
    """What broke off on the way is refused, wherever it did."""
    content = source[0].read_bytes()
    (tmp_path / "cut.tar").write_bytes(content[: int(len(content) * share)])
    assert refused(tmp_path / "cut.tar", tmp_path).code in ("MUNI-A590", "MUNI-A190")


@pytest.mark.parametrize(
    "name", [f"{FOLDER}/../../etc/x", "/etc/x", f"{FOLDER}/tables/run/x", f"{FOLDER}/objects/main/x", "other/x"]
)
def test_nothing_can_be_added(source: tuple[Path, str, bytes], tmp_path: Path, name: str) -> None:
    """A file that the index does not name is refused, and one that points out of the export all the more."""
    target = tmp_path / "more.tar"
    target.write_bytes(source[0].read_bytes())
    with tarfile.open(target, "a") as tar:
        member = tarfile.TarInfo(name)
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    assert refused(target, tmp_path).code in ("MUNI-A590", "MUNI-A190")


def test_links_are_not_followed(source: tuple[Path, str, bytes], tmp_path: Path) -> None:
    """A link out of the export is refused."""
    target = tmp_path / "link.tar"
    target.write_bytes(source[0].read_bytes())
    with tarfile.open(target, "a") as tar:
        member = tarfile.TarInfo(f"{FOLDER}/objects/main/x")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    assert refused(target, tmp_path).code == "MUNI-A590"


def test_the_key_that_is_given_counts(source: tuple[Path, str, bytes], site: Site, tmp_path: Path) -> None:
    """An export that is signed with another key than the one from a trusted place is refused."""
    other = site.copy(tmp_path / "other").open()
    other.close()
    stranger = source[1].rpartition("+")[0] + "+AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAh"
    assert refused(source[0], tmp_path, stranger).code == "MUNI-A590"


def test_nothing_is_restored_over_anything(source: tuple[Path, str, bytes], site: Site, tmp_path: Path) -> None:
    """A home that holds an installation is left as it is."""
    place = site.copy(tmp_path)
    before = (place.home / "muniment.json").read_bytes()
    with pytest.raises(Conflict) as error:
        restore(source[0], place.home, key_file=tmp_path / "keys" / "new.keys")
    assert error.value.code == "MUNI-A301"
    assert (place.home / "muniment.json").read_bytes() == before


def test_a_drill_says_what_was_wrong(source: tuple[Path, str, bytes], tmp_path: Path) -> None:
    """An export that cannot be used fails the drill, with the reason; nothing of the attempt stays."""
    content = bytearray(source[0].read_bytes())
    content[-20_000] ^= 1
    (tmp_path / "bad.tar").write_bytes(content)
    done = exercise(tmp_path / "bad.tar", lambda what, count, of: None)
    assert done.outcome == "failed"
    assert done.findings[0].startswith("MUNI-")


def test_a_drill_goes_on_record(people: People) -> None:
    """How it went is a record of the project, declared, since it happened outside the platform."""
    drill = RecordDrill(project="main", export=str(Digest.of(b"")), outcome="passed", objects=1, rows=2, entries=3)
    done = people.ask("operator", drill)
    assert (done.outcome, done.record[:7]) == ("passed", "sha256:")
    with pytest.raises(Invalid):
        people.ask("operator", RecordDrill(project="main", export="x", outcome="passed", objects=1, rows=2, entries=3))
    with pytest.raises(Invalid) as error:
        people.ask(
            "operator",
            RecordDrill(project="main", export=str(Digest.of(b"")), outcome="?", objects=1, rows=2, entries=3),
        )
    assert error.value.code == "MUNI-E190"
