"""The stand-alone verifier: a true export passes, and no mutation of one does."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from laws import examples
from ledgering import ORIGIN, LedgerRoom, PrivateKey, ledger_room
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.schema import METADATA
from muniment.adapters.sql.store import SqlStore, sqlite_url
from muniment.evidence import verify
from muniment.ledger.note import sign_checkpoint, verifier_key
from muniment.ledger.tree import EMPTY_ROOT

Files = dict[str, bytes]
ENTRIES, CHECKPOINTS = "entries/000000000000.jsonl", "checkpoints/000000000004.jsonl"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> LedgerRoom:
    """A ledger of 29 entries under four checkpoints."""
    folder = tmp_path_factory.mktemp("verified")
    store = SqlStore(sqlite_url(folder / "state.db"), REPOSITORIES)
    METADATA.create_all(store.engine)
    room = ledger_room(folder / "ledger", store)
    room.history(4, 9, 1, 15)
    return room


@pytest.fixture(scope="module")
def files(room: LedgerRoom) -> Files:
    """The files of its export."""
    return _unpacked(b"".join(room.ledger.export()))


def _unpacked(tar: bytes) -> Files:
    with tarfile.open(fileobj=io.BytesIO(tar)) as pack:
        members = {member.name: pack.extractfile(member) for member in pack.getmembers()}
    return {name.removeprefix("ledger-export/"): file.read() for name, file in members.items() if file}


def _packed(files: Files, path: Path) -> Path:
    with tarfile.open(path, "w") as pack:
        for name, content in files.items():
            member = tarfile.TarInfo(f"ledger-export/{name}")
            member.size = len(content)
            pack.addfile(member, io.BytesIO(content))
    return path


def _asked(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = verify.main([*map(str, arguments), "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["ok"] is (code == 0)
    return code, found


def test_a_true_export_passes_in_every_wrapping(
    room: LedgerRoom, files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As tar, compressed tar, zip, folder and folder in a folder; the answer says what was found."""
    tar = tmp_path / "export.tar"
    tar.write_bytes(b"".join(room.ledger.export()))
    with tarfile.open(tmp_path / "export.tar.gz", "w:gz") as pack:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            pack.addfile(member, io.BytesIO(content))
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as zipped:
        for name, content in files.items():
            zipped.writestr(f"ledger-export/{name}", content)
    for name, content in files.items():
        (tmp_path / "folder" / "ledger-export" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / "ledger-export" / name).write_bytes(content)
    latest = room.ledger.latest()
    assert latest is not None
    for path in ("export.tar", "export.tar.gz", "export.zip", "folder", "folder/ledger-export"):
        code, found = _asked(capsys, tmp_path / path, "--key", room.ledger.key)
        assert (code, found["entries"], found["checkpoints"], found["key_from"]) == (0, 29, 4, "you"), path
        assert found["root"] in latest.note


def test_the_same_checkpoint_gives_the_same_bytes(room: LedgerRoom) -> None:
    """Two exports at one checkpoint are equal."""
    assert b"".join(room.ledger.export()) == b"".join(room.ledger.export())


def test_an_empty_ledger_is_exported_and_verified(
    tmp_path: Path, sqlite_store: SqlStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """No entry is also a history."""
    path = ledger_room(tmp_path / "ledger", sqlite_store).export(tmp_path / "export.tar")
    code, found = _asked(capsys, path)
    assert (code, found["entries"]) == (0, 0)


def test_it_says_whose_key_it_used(
    room: LedgerRoom, files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the enclosed key it says that this proves less; with another key it refuses; a file will do as well."""
    path = _packed(files, tmp_path / "export.tar")
    code, found = _asked(capsys, path)
    assert code == 0
    assert found["key_from"] == "the export"
    assert any("taken from the export itself" in text for text in found["not_checked"])
    (tmp_path / "key").write_text(room.ledger.key + "\n")
    code, found = _asked(capsys, path, "--key", tmp_path / "key")
    assert (code, found["key_from"]) == (0, "you")
    assert not any("taken from the export itself" in text for text in found["not_checked"])
    code, found = _asked(capsys, path, "--key", verifier_key(ORIGIN, PrivateKey(seed=9).public_key))
    assert code == 1
    assert "not the key that was given" in found["reason"]


def test_a_kept_checkpoint_shows_a_ledger_that_was_set_back(
    room: LedgerRoom, files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint from an earlier visit passes; a larger one, or one of another history, does not."""
    path = _packed(files, tmp_path / "export.tar")
    note = tmp_path / "note"
    notes = [json.loads(line) for line in files[CHECKPOINTS].splitlines()]
    note.write_bytes(notes[1].encode())
    code, found = _asked(capsys, path, "--checkpoint", note)
    assert (code, found["kept"]) == (0, 1)
    for size in (30, 13):
        note.write_bytes(sign_checkpoint(ORIGIN, size, b"\1" * 32, PrivateKey()).note.encode())
        assert _asked(capsys, path, "--checkpoint", note)[0] == 1


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\5\6" + bytes(18), bytes(10240)])
def test_what_is_no_export_is_told_apart(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """Another file, an empty archive, nothing at all: exit 2."""
    (tmp_path / "thing").write_bytes(content)
    assert _asked(capsys, tmp_path / "thing")[0] == 2
    assert _asked(capsys, tmp_path / "nothing")[0] == 2
    (tmp_path / "empty").mkdir()
    assert _asked(capsys, tmp_path / "empty")[0] == 2


MUTABLE = (ENTRIES, CHECKPOINTS, "key.txt", "manifest.txt")


@settings(max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_flipped_bit_passes(files: Files, tmp_path: Path, data: st.DataObject) -> None:
    """Any single bit of an entry, a checkpoint, the manifest or the key."""
    name = data.draw(st.sampled_from(MUTABLE))
    bit = data.draw(st.integers(0, len(files[name]) * 8 - 1))
    content = bytearray(files[name])
    content[bit // 8] ^= 1 << bit % 8
    assert verify.main([str(_packed(files | {name: bytes(content)}, tmp_path / "x.tar"))]) == 1


def _resigned(files: Files) -> Files:
    """The best a forger without the key can do: a manifest whose sums fit, with the old signature."""
    import hashlib  # noqa: PLC0415

    lines = files["manifest.txt"].decode().split("\n")
    for at, line in enumerate(lines):
        _, gap, name = line.partition("  ")
        if gap and name in files:
            lines[at] = f"{hashlib.sha256(files[name]).hexdigest()}  {name}"
    return files | {"manifest.txt": "\n".join(lines).encode()}


def _line_mutation(data: st.DataObject, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 1))
    other = data.draw(st.integers(0, len(lines) - 1).filter(lambda i: i != at))
    how = data.draw(st.sampled_from(["delete", "insert", "swap", "rotate", "truncate", "cut", "duplicate"]))
    if how == "delete":
        del lines[at]
    elif how == "insert":
        lines.insert(at, lines[other])
    elif how == "swap":
        lines[at], lines[other] = lines[other], lines[at]
    elif how == "rotate":
        lines = lines[1:] + lines[:1]
    elif how == "truncate":
        lines = lines[:at]
    elif how == "duplicate":
        lines[at] = lines[other]
    else:
        return content[: data.draw(st.integers(0, len(content) - 1))]
    return b"".join(lines)


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_rearrangement_passes(files: Files, tmp_path: Path, data: st.DataObject) -> None:
    """Lines deleted, inserted, repeated, swapped, moved or cut off, with a manifest that was made to fit or not."""
    name = data.draw(st.sampled_from([ENTRIES, CHECKPOINTS]))
    changed = files | {name: _line_mutation(data, files[name])}
    if data.draw(st.booleans()):
        changed = _resigned(changed)
    assert verify.main([str(_packed(changed, tmp_path / "x.tar"))]) == 1


def _forged(room: LedgerRoom, files: Files, change: Callable[[Files], Files]) -> Files:
    """A pack changed by someone who holds the key and signs a fitting manifest: what the content checks are for."""
    from muniment.ledger.note import sign_note  # noqa: PLC0415

    changed = _resigned(change(dict(files)))
    text = changed["manifest.txt"].decode().rpartition("\n\n")[0] + "\n"
    return changed | {"manifest.txt": sign_note(text, ORIGIN, PrivateKey()).encode()}


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("swap", "not as it was signed"),
        ("drop", "were signed, the export holds 28"),
        ("repeat", "has the id of an earlier one"),
        ("foreign", "not an event of"),
        ("text", "not an event of"),
        ("earlier", "is not larger than"),
        ("backdated", "is dated"),
    ],
)
def test_content_is_checked_even_when_the_manifest_fits(
    room: LedgerRoom, files: Files, tmp_path: Path, what: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The manifest is not believed about what the entries and checkpoints say for themselves."""

    def change(pack: Files) -> Files:
        lines = pack[ENTRIES].splitlines(keepends=True)
        if what == "swap":
            lines[5], lines[6] = lines[6], lines[5]
        elif what == "drop":
            lines.pop()
        elif what == "repeat":
            lines[3] = lines[2]
        elif what == "foreign":
            lines[3] = lines[3].replace(ORIGIN.encode(), b"other.example/ledger")
        elif what == "text":
            lines[3] = b"[]\n"
        elif what == "backdated":
            lines[20] = lines[20].replace(b'"time":"2026', b'"time":"2025')
        else:
            notes = pack[CHECKPOINTS].splitlines(keepends=True)
            pack[CHECKPOINTS] = b"".join([notes[0], notes[0], *notes[1:]])
        pack[ENTRIES] = b"".join(lines)
        return pack

    code, found = _asked(capsys, _packed(_forged(room, files, change), tmp_path / "x.tar"))
    assert code == 1
    assert said in found["reason"]


@pytest.mark.parametrize("how", ["extra", "missing", "twice", "link", "swapped names"])
def test_the_files_are_exactly_those_of_the_manifest(
    files: Files, tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file too many, too few, twice, or a link in its place: refused."""
    path = tmp_path / "x.tar"
    changed = dict(files)
    if how == "extra":
        changed["entries/000000000029.jsonl"] = b""
    elif how == "missing":
        del changed["README.txt"]
    elif how == "swapped names":
        changed["README.txt"], changed["verify.py"] = changed["verify.py"], changed["README.txt"]
    elif how == "link":
        del changed["README.txt"]
    _packed(changed, path)
    with tarfile.open(path, "a") as pack:
        if how == "twice":
            member = tarfile.TarInfo(f"ledger-export/{ENTRIES}")
            member.size = 3
            pack.addfile(member, io.BytesIO(b"{}\n"))
        elif how == "link":
            link = tarfile.TarInfo("ledger-export/README.txt")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            pack.addfile(link)
    assert _asked(capsys, path)[0] == 1


def test_values_cannot_fake_its_answer(
    room: LedgerRoom, files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reason is one line of printable characters, whatever stands in the pack."""
    changed = files | {"README.txt": files["README.txt"], "x\nTRUE. Checked:\x1b[2J": b""}
    verify.main([str(_packed(changed, tmp_path / "x.tar"))])
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert out.strip().isprintable()
    assert out.startswith("NOT TRUE")


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=60), st.integers(0, 511))
@settings(max_examples=examples(30), deadline=None)
def test_its_signatures_are_those_of_the_library(seed: bytes, message: bytes, bit: int) -> None:
    """The pure-Python Ed25519 takes what a well-known library signs, and refuses it with one bit changed."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key().public_bytes_raw()
    ours = verify.Key(verifier_key("x", public))
    signature = bytearray(key.sign(message))
    assert ours.signed(message, bytes(signature))
    assert not ours.signed(message + b"!", bytes(signature))
    signature[bit // 8] ^= 1 << bit % 8
    assert not ours.signed(message, bytes(signature))
    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(public).verify(bytes(signature), message)


def test_known_answers_of_rfc_8032() -> None:
    """Section 7.1, tests 1 to 3."""
    known = [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a7c15e9716ed28dc027beceea1ec40a",
        ),
    ]
    for public, message, signature in known:
        key = verify.Key(verifier_key("x", bytes.fromhex(public)))
        assert key.signed(bytes.fromhex(message), bytes.fromhex(signature))


def test_degenerate_keys_and_signatures_are_refused() -> None:
    """Keys of small order or off the curve, and signatures whose scalar is not reduced."""
    for raw in (b"\1" + bytes(31), bytes(32), b"\2" + bytes(31), b"\xff" * 32):
        with pytest.raises(ValueError, match=r"small order|not a point"):
            verify.Key(verifier_key("x", raw))
    signer = PrivateKey()
    key, signature = verify.Key(verifier_key("x", signer.public_key)), signer.sign(b"m")
    s = int.from_bytes(signature[32:], "little") + verify.L
    assert not key.signed(b"m", signature[:32] + s.to_bytes(32, "little"))
    assert EMPTY_ROOT
