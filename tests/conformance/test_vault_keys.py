"""What every KeyService does, tried on the key file in both its protections; then what a key file must refuse."""

from __future__ import annotations

import json
import multiprocessing
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from muniment.adapters.kms.local import Argon2, LocalKeys
from muniment.errors import Conflict, IntegrityError, Invalid, NotFound

PASSPHRASE = "a muniment room has one door"
CHEAP = Argon2(memory_kib=64, passes=1, lanes=1)

Opener = Callable[[], LocalKeys]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of the data."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture(params=[None, PASSPHRASE], ids=["file", "passphrase"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path, home: Path) -> Opener:
    """Opens one key service, each time as a process that starts anew would."""
    LocalKeys.create(tmp_path / "keys", home=home, passphrase=request.param, cost=CHEAP)
    return lambda: LocalKeys(tmp_path / "keys", home=home, passphrase=request.param)


def test_a_wrapped_secret_opens_under_its_key_and_context(reopen: Opener) -> None:
    """Also after a restart."""
    keys = reopen()
    key = keys.generate("kek/credit")
    wrapped = keys.wrap(key, b"secret", {"use": "kek"})
    assert b"secret" not in wrapped
    assert reopen().unwrap(key, wrapped, {"use": "kek"}) == b"secret"


def test_wrapping_twice_gives_different_bytes(reopen: Opener) -> None:
    """Equal secrets do not look equal."""
    keys = reopen()
    key = keys.generate("kek")
    assert keys.wrap(key, b"secret", {}) != keys.wrap(key, b"secret", {})


def test_another_context_key_or_byte_is_refused(reopen: Opener) -> None:
    """What was wrapped is bound to all of these."""
    keys = reopen()
    key, other = keys.generate("kek"), keys.generate("kek")
    assert key != other
    wrapped = keys.wrap(key, b"secret", {"use": "kek"})
    for position in range(len(wrapped)):
        changed = wrapped[:position] + bytes([wrapped[position] ^ 1]) + wrapped[position + 1 :]
        with pytest.raises(IntegrityError):
            keys.unwrap(key, changed, {"use": "kek"})
    for wrong in (wrapped[:-1], wrapped[:5], b"", wrapped + b"x"):
        with pytest.raises(IntegrityError):
            keys.unwrap(key, wrong, {"use": "kek"})
    with pytest.raises(IntegrityError):
        keys.unwrap(key, wrapped, {"use": "names"})
    with pytest.raises(IntegrityError):
        keys.unwrap(other, wrapped, {"use": "kek"})


def test_a_destroyed_key_opens_nothing_in_any_process(reopen: Opener) -> None:
    """Another holder of the same service learns of it at once, and destroying again is no error."""
    keys, elsewhere = reopen(), reopen()
    key = keys.generate("kek")
    wrapped = keys.wrap(key, b"secret", {})
    assert elsewhere.unwrap(key, wrapped, {}) == b"secret"
    keys.destroy(key)
    keys.destroy(key)
    for holder in (keys, elsewhere, reopen()):
        with pytest.raises(NotFound):
            holder.unwrap(key, wrapped, {})


def test_a_signer_is_the_same_for_ever_and_its_signatures_verify(reopen: Opener) -> None:
    """A name has one key, and anyone with the public key can check what it signed."""
    first, again, other = reopen().signer("ledger"), reopen().signer("ledger"), reopen().signer("packs")
    assert first.public_key == again.public_key != other.public_key
    assert len(first.public_key) == 32
    Ed25519PublicKey.from_public_bytes(first.public_key).verify(again.sign(b"checkpoint"), b"checkpoint")


def _generate(path: Path, home: Path, passphrase: str | None, times: int) -> None:
    keys = LocalKeys(path, home=home, passphrase=passphrase)
    for _ in range(times):
        keys.generate("kek")


@pytest.mark.slow
def test_two_processes_lose_no_key(tmp_path: Path, home: Path) -> None:
    """Each change is made on what the other wrote last."""
    path = tmp_path / "keys"
    LocalKeys.create(path, home=home)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_generate, args=(path, home, None, 20)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert len(json.loads(path.read_bytes())["keys"]) == 60


def test_the_key_file_is_the_owners_alone_from_the_start(tmp_path: Path, home: Path) -> None:
    """It is made with mode 0600, and stays so when it changes."""
    keys = LocalKeys.create(tmp_path / "keys", home=home)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o600
    keys.generate("kek")
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o777, 0o700])
def test_a_key_file_with_a_wider_mode_is_refused(tmp_path: Path, home: Path, mode: int) -> None:
    """The platform does not start on keys that others may have read, and says what to do."""
    LocalKeys.create(tmp_path / "keys", home=home)
    (tmp_path / "keys").chmod(mode)
    with pytest.raises(Invalid) as refused:
        LocalKeys(tmp_path / "keys", home=home)
    assert refused.value.code == "MUNI-V103"
    assert refused.value.facts["do"].startswith("chmod 600")


def test_a_mode_that_widens_while_running_is_refused(tmp_path: Path, home: Path) -> None:
    """The next change of the file is not read from a file that others may write."""
    keys = LocalKeys.create(tmp_path / "keys", home=home)
    other = LocalKeys(tmp_path / "keys", home=home)
    other.generate("kek")
    (tmp_path / "keys").chmod(0o666)
    with pytest.raises(Invalid):
        keys.generate("kek")


def test_a_key_file_inside_the_home_folder_is_refused(tmp_path: Path, home: Path) -> None:
    """A copy of the data must not carry its keys: neither directly, nor through a link, nor by dots."""
    (tmp_path / "link").symlink_to(home)
    for path in (
        home / "keys",
        home / "deep" / "keys",
        tmp_path / "link" / "keys",
        tmp_path / "x" / ".." / "home" / "k",
    ):
        with pytest.raises(Invalid) as refused:
            LocalKeys.create(path, home=home)
        assert refused.value.code == "MUNI-V102"
    LocalKeys.create(tmp_path / "outside", home=home)
    (home / "keys").hardlink_to(tmp_path / "outside")
    with pytest.raises(Invalid):
        LocalKeys(home / "keys", home=home)


def test_keys_are_never_overwritten(tmp_path: Path, home: Path) -> None:
    """Making a key file where one stands is refused."""
    LocalKeys.create(tmp_path / "keys", home=home).generate("kek")
    before = (tmp_path / "keys").read_bytes()
    with pytest.raises(Conflict):
        LocalKeys.create(tmp_path / "keys", home=home)
    assert (tmp_path / "keys").read_bytes() == before


def test_a_missing_key_file_is_not_made_in_passing(tmp_path: Path, home: Path) -> None:
    """New keys in place of lost ones would hide the loss."""
    with pytest.raises(NotFound):
        LocalKeys(tmp_path / "keys", home=home)
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("given", [None, "another passphrase"])
def test_without_the_passphrase_nothing_opens(tmp_path: Path, home: Path, given: str | None) -> None:
    """A wrong passphrase and none are told apart, and neither shows a key."""
    LocalKeys.create(tmp_path / "keys", home=home, passphrase=PASSPHRASE, cost=CHEAP)
    with pytest.raises(Invalid) as refused:
        LocalKeys(tmp_path / "keys", home=home, passphrase=given)
    assert refused.value.code == ("MUNI-V106" if given is None else "MUNI-V105")


def test_a_short_passphrase_is_refused(tmp_path: Path, home: Path) -> None:
    """Eleven characters are too few, and no file is made."""
    with pytest.raises(Invalid):
        LocalKeys.create(tmp_path / "keys", home=home, passphrase="short", cost=CHEAP)
    assert not (tmp_path / "keys").exists()


@pytest.mark.slow
def test_a_passphrase_is_stretched_as_promised(tmp_path: Path, home: Path) -> None:
    """Unless told otherwise, guessing one passphrase costs argon2id over 256 MiB."""
    LocalKeys.create(tmp_path / "keys", home=home, passphrase=PASSPHRASE)
    protection = json.loads((tmp_path / "keys").read_bytes())["protection"]
    assert protection["memory_kib"] == 256 * 1024


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"format": "other", "protection": {"kind": "file"}, "keys": {}}', b"\xff\xfe"],
)
def test_a_damaged_key_file_is_refused(tmp_path: Path, home: Path, content: bytes) -> None:
    """What is not a key file stops the start, and is left as it is."""
    LocalKeys.create(tmp_path / "keys", home=home)
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(IntegrityError):
        LocalKeys(tmp_path / "keys", home=home)
    assert (tmp_path / "keys").read_bytes() == content


def test_no_bit_of_a_sealed_key_file_can_be_changed(tmp_path: Path, home: Path) -> None:
    """Salt, cost and keys under a passphrase are authentic, or the file does not open."""
    path = tmp_path / "keys"
    LocalKeys.create(path, home=home, passphrase=PASSPHRASE, cost=CHEAP).generate("kek")
    document = json.loads(path.read_bytes())
    for field, changed in (("memory_kib", 128), ("passes", 2), ("lanes", 2), ("memory_kib", 10**9), ("salt", "AAAA")):
        path.write_text(json.dumps({**document, "protection": {**document["protection"], field: changed}}))
        with pytest.raises((Invalid, IntegrityError)):
            LocalKeys(path, home=home, passphrase=PASSPHRASE)
    sealed = document["sealed"]
    for position in range(0, len(sealed) - 4, 7):
        other = "A" if sealed[position] != "A" else "B"
        path.write_text(json.dumps({**document, "sealed": sealed[:position] + other + sealed[position + 1 :]}))
        with pytest.raises(Invalid):
            LocalKeys(path, home=home, passphrase=PASSPHRASE)
