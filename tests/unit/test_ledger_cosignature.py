"""Cosignatures: what other witnesses of the world sign verifies here, and nothing but that."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from ledgering import ORIGIN, PrivateKey
from muniment.errors import IntegrityError, Invalid
from muniment.evidence.verify import ZERO, add, decode, encode
from muniment.ledger.cosignature import cosign, names_key, verify_cosignature, witness_key
from muniment.ledger.note import sign_checkpoint, verifier_key
from muniment.ledger.tree import EMPTY_ROOT
from muniment.ledger.verifier import _SMALL, KeyType, VerifierKey, parse_key

WORLD_TEXT = """\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=
"""
WORLD = {
    "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM": (
        "2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ=="
    ),
    "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO": (
        "pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ=="
    ),
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2": (
        "2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw=="
    ),
    "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv": (
        "Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg=="
    ),
}
"""What four public witnesses cosigned of a public log in May 2026, and the keys that they publish."""

NOW = datetime(2026, 11, 26, 12, 0, 0, 999, tzinfo=UTC)
NAME = "audit.example/w1"
NOTE = sign_checkpoint(ORIGIN, 0, EMPTY_ROOT, PrivateKey()).note
KEY = witness_key(NAME, PrivateKey(9).public_key)
LINE = cosign(NOTE, NAME, PrivateKey(9), NOW)


@pytest.mark.parametrize("key", WORLD)
def test_what_witnesses_of_the_world_cosigned_verifies(key: str) -> None:
    """Four implementations that are not ours made lines that verify here, with the time that they state."""
    line = f"\N{EM DASH} {key.partition('+')[0]} {WORLD[key]}\n"
    assert verify_cosignature(WORLD_TEXT, line, key) == datetime(2026, 5, 23, 21, 50, 24, tzinfo=UTC)
    assert str(parse_key(key, KeyType.WITNESS)) == key
    with pytest.raises(IntegrityError, match="does not verify"):
        verify_cosignature(WORLD_TEXT.replace("1432088532", "1432088533"), line, key)


def test_the_example_of_the_specification_has_the_form_that_is_read() -> None:
    """The line that C2SP tlog-cosignature shows holds a key id, the time 1679315147 and a signature."""
    raw = base64.b64decode(
        "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="
    )
    assert (len(raw), int.from_bytes(raw[4:12], "big")) == (76, 1679315147)
    ours = base64.b64decode(LINE.split(" ")[2])
    assert (len(ours), ours[:4]) == (76, KEY.id)


def test_a_cosignature_says_when_to_the_second() -> None:
    """What is signed verifies over the text and over the whole note, with whole seconds."""
    assert verify_cosignature(NOTE, LINE, KEY) == NOW.replace(microsecond=0)
    assert verify_cosignature(NOTE.partition("\n\n")[0] + "\n", LINE.rstrip("\n"), str(KEY)) == NOW.replace(
        microsecond=0
    )
    assert verify_cosignature(NOTE + LINE, LINE, KEY) == NOW.replace(microsecond=0)


def test_no_flipped_bit_of_a_cosignature_passes() -> None:
    """Each bit of key id, time and signature counts."""
    raw = base64.b64decode(LINE.split(" ")[2])
    for at in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises(IntegrityError):
            verify_cosignature(NOTE, f"\N{EM DASH} {NAME} {base64.b64encode(bytes(flipped)).decode()}\n", KEY)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "\n",
        LINE.replace("\N{EM DASH}", "-"),
        LINE.replace(NAME, "audit.example/w2"),
        LINE + LINE,
        LINE.replace("=", ""),
        " " + LINE,
        LINE[:-1] + " \n",
        f"\N{EM DASH} {NAME} \n",
        f"\N{EM DASH} {NAME} AAAA\n",
    ],
)
def test_a_line_of_another_form_is_none(line: str) -> None:
    """Only the one form of a line is read."""
    with pytest.raises(IntegrityError, match="does not verify"):
        verify_cosignature(NOTE, line, KEY)


def test_a_time_beyond_all_calendars_is_refused() -> None:
    """A line whose time no calendar has does not verify, though its signature does."""
    for seconds in (2**62, 2**64 - 1):
        message = f"cosignature/v1\ntime {seconds}\n{NOTE.partition(chr(10) * 2)[0]}\n".encode()
        raw = KEY.id + seconds.to_bytes(8, "big") + PrivateKey(9).sign(message)
        with pytest.raises(IntegrityError):
            verify_cosignature(NOTE, f"\N{EM DASH} {NAME} {base64.b64encode(raw).decode()}\n", KEY)


def test_a_note_is_never_a_cosignature() -> None:
    """The two kinds of signature do not stand for one another, even when one key makes both."""
    plain = sign_checkpoint(NAME, 0, EMPTY_ROOT, PrivateKey(9)).note
    line = plain.rpartition("\n\n")[2]
    assert not names_key(line, witness_key(NAME, PrivateKey(9).public_key))
    with pytest.raises(IntegrityError):
        verify_cosignature(plain, line, witness_key(NAME, PrivateKey(9).public_key))


def test_earlier_and_later_cosignatures_differ() -> None:
    """The time is signed: the same checkpoint cosigned later is another line."""
    later = cosign(NOTE, NAME, PrivateKey(9), NOW + timedelta(seconds=1))
    assert later != LINE
    assert verify_cosignature(NOTE, later, KEY) - verify_cosignature(NOTE, LINE, KEY) == timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "MUNI-L110"),
        ("witness", "MUNI-L110"),
        (str(KEY)[:-4], "MUNI-L110"),
        (str(KEY).replace("+B", "+!", 1), "MUNI-L110"),
        (str(KEY).replace(KEY.id.hex(), "00000000"), "MUNI-L112"),
        (str(KEY).replace(NAME, "audit.example/w2"), "MUNI-L112"),
        (verifier_key(NAME, PrivateKey(9).public_key), "MUNI-L111"),
    ],
)
def test_a_damaged_key_is_told_from_another(text: str, code: str) -> None:
    """A key that was cut, mistyped or is of a ledger is refused, each with its reason."""
    with pytest.raises(Invalid) as refused:
        parse_key(text, KeyType.WITNESS)
    assert refused.value.code == code


def test_keys_under_which_anybody_signs_are_refused() -> None:
    """All eight points of small order are refused; they are all there are."""
    points = set()
    for y in _SMALL:
        for sign in (0, 1):
            raw = (y | sign << 255).to_bytes(32, "little")
            with pytest.raises(Invalid, match="anybody"):
                parse_key(VerifierKey(NAME, KeyType.WITNESS, raw).text, KeyType.WITNESS)
            try:
                point = decode(raw)
            except ValueError:
                continue
            for _ in range(3):
                point = add(point, point)
            assert encode(point) == encode(ZERO)
            points.add(raw)
    assert len(points) == 8
