"""An export that somebody made up and signed with a key of his own: it is refused as a whole, and leaves nothing."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asking import furnish_catalog
from muniment.adapters.kms.local import LocalKeys
from muniment.errors import Conflict, IntegrityError, Invalid
from muniment.evidence.exporting import FOLDER, TITLE
from muniment.founding.restoring import restore
from muniment.ledger.note import sign_note
from muniment.ledger.ports import Signer
from muniment.testing.platform import People, Site
from muniment.wire.exporting import ExportInstallation

pytestmark = pytest.mark.slow

Files = dict[str, bytes]
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def true(site: Site, tmp_path_factory: pytest.TempPathFactory) -> tuple[Files, str, Signer]:
    """The files of an export, and with what it is signed."""
    place = site.copy(tmp_path_factory.mktemp("true"))
    platform = place.open()
    people = People(platform, site.tokens)
    furnish_catalog(people)
    export = b"".join(people.ask("admin", ExportInstallation()).chunks)
    origin = platform.ledger.origin
    platform.close()
    files = {}
    with tarfile.open(fileobj=io.BytesIO(export)) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            if file is not None:
                files[member.name.partition("/")[2]] = file.read()
    return files, origin, LocalKeys(place.key_file, home=place.home).signer("ledger")


def signed(files: Files, origin: str, signer: Signer, index: bytes | None = None) -> bytes:
    """The export of these files, well signed."""
    kept = {name: content for name, content in files.items() if not name.startswith(("index/", "manifest.txt"))}
    lines = [
        json.dumps({"path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()})
        for name, content in kept.items()
    ]
    kept["index/000000000000.jsonl"] = index or ("\n".join(lines) + "\n").encode()
    digest = hashlib.sha256(kept["index/000000000000.jsonl"]).hexdigest()
    kept["manifest.txt"] = sign_note(
        f"{TITLE}\n{origin}\n{digest}  index/000000000000.jsonl\n", origin, signer
    ).encode()
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, content in kept.items():
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return target.getvalue()


def rows(table: str, change: Callable[[Rows], Rows]) -> Callable[[Files], Files]:
    """The rows of a table are others."""

    def forge(files: Files) -> Files:
        name = f"tables/{table}/000000000000.jsonl"
        changed = change([json.loads(line) for line in files[name].splitlines()])
        return {**files, name: "".join(json.dumps(row) + "\n" for row in changed).encode()}

    return forge


def text(name: str, content: bytes) -> Callable[[Files], Files]:
    """A file is another one, or one more."""
    return lambda files: {**files, name: files.get(name, b"") + content}


PROJECTS = "identity_projects"
FORGERIES: dict[str, Callable[[Files], Files]] = {
    "a project called like a way out of its folder": rows(PROJECTS, lambda r: [*r, {**r[0], "name": "../../out"}]),
    "a project with a zero in its name": rows(PROJECTS, lambda r: [*r, {**r[0], "name": "a\0b"}]),
    "an account that looks like another": rows("identity_accounts", lambda r: [*r, {**r[0], "name": "\u0430dmin"}]),
    "a column that there is not": rows(PROJECTS, lambda r: [*r, {**r[0], "name": "more", "root": True}]),
    "a row without columns": rows(PROJECTS, lambda r: [*r, {"name": "less"}]),
    "a value of another kind": rows("identity_accounts", lambda r: [{**r[0], "created_by": {"a": 1}}, *r[1:]]),
    "a row that is there twice": rows("identity_accounts", lambda r: [*r, r[0]]),
    "no text": text(f"tables/{PROJECTS}/000000000000.jsonl", b"\xff\xfe\n"),
    "no JSON": text(f"tables/{PROJECTS}/000000000000.jsonl", b"{\n"),
    "no row": text(f"tables/{PROJECTS}/000000000000.jsonl", b"NaN\n"),
    "JSON without a bottom": text(f"tables/{PROJECTS}/000000000000.jsonl", b"[" * 200_000 + b"\n"),
    "a schema without a bottom": text("schemas/identity_accounts.json", b"[" * 200_000),
    "an object of a project that there is not": text(f"objects/nowhere/{hashlib.sha256(b'x').hexdigest()}", b"x"),
    "an object under another digest": text("objects/main/zz", b"x"),
    "a key that is none": lambda files: {**files, "ledger-export/key.txt": b"\xff\xfe"},
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forged_export_is_refused(true: tuple[Files, str, Signer], tmp_path: Path, what: str) -> None:
    """Whatever stands in it under a good signature: a clear refusal, no home, no keys."""
    files, origin, signer = true
    check(signed(FORGERIES[what](files), origin, signer), tmp_path)


@pytest.mark.parametrize("index", [b'{"path": 3}\n', b"[" * 200_000, b"\xff\n"])
def test_an_index_that_is_none(true: tuple[Files, str, Signer], tmp_path: Path, index: bytes) -> None:
    """The index is read before anything else, and may be anything."""
    check(signed(*true, index=index), tmp_path)


def test_what_was_not_forged_is_taken(true: tuple[Files, str, Signer], tmp_path: Path) -> None:
    """The control: the same way of packing, with nothing changed."""
    export = tmp_path / "export.tar"
    export.write_bytes(signed(*true))
    assert sorted(restore(export, tmp_path / "home", key_file=tmp_path / "keys" / "k").tokens) == ["admin", "admin2"]


def check(export: bytes, folder: Path) -> None:
    """It is refused, and nothing is left of the attempt."""
    (folder / "export.tar").write_bytes(export)
    with pytest.raises((IntegrityError, Invalid, Conflict)):
        restore(folder / "export.tar", folder / "home", key_file=folder / "keys" / "k")
    assert list((folder / "home").iterdir()) == []
    assert not (folder / "keys" / "k").exists()
