"""Signed notes: the form that other implementations read, and nothing but that."""

from __future__ import annotations

import base64

import pytest

from ledgering import ORIGIN, PrivateKey
from muniment.errors import IntegrityError, Invalid
from muniment.ledger.note import (
    check_origin,
    open_checkpoint,
    open_note,
    sign_checkpoint,
    sign_note,
    verifier_key,
)
from muniment.ledger.tree import EMPTY_ROOT

NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NEUMANN_NOTE = (
    f"{NEUMANN_TEXT}\n\N{EM DASH} PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
"""The note and key that Go's package golang.org/x/mod/sumdb/note publishes as its example."""


def test_a_note_of_another_implementation_opens() -> None:
    """The published example of the format verifies, and its key has the id that is published with it."""
    public_key = base64.b64decode(NEUMANN.split("+", 2)[2])[1:]
    assert open_note(NEUMANN_NOTE, "PeterNeumann", public_key) == NEUMANN_TEXT
    assert verifier_key("PeterNeumann", public_key) == NEUMANN


def test_a_checkpoint_says_origin_size_and_root() -> None:
    """Three lines, an empty one and the signature (C2SP tlog-checkpoint)."""
    signed = sign_checkpoint(ORIGIN, 0, EMPTY_ROOT, PrivateKey())
    text, _, signature = signed.note.partition("\n\n")
    assert text == f"{ORIGIN}\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert signature.startswith(f"\N{EM DASH} {ORIGIN} ")
    assert open_checkpoint(signed.note, ORIGIN, PrivateKey().public_key) == signed


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace("\n0\n", "\n1\n"),
        lambda note: note.replace("\n0\n", "\n00\n"),
        lambda note: note[:-1],
        lambda note: note + "\n",
        lambda note: note.replace("\n\n", "\n"),
        lambda note: note.replace(ORIGIN, "other.example/ledger"),
        lambda note: note[:-2] + "A" + note[-1],
        lambda note: "",
    ],
)
def test_a_changed_checkpoint_does_not_open(change: object) -> None:
    """Whatever is changed about a checkpoint, it is no checkpoint of this ledger any more."""
    assert callable(change)
    note = change(sign_checkpoint(ORIGIN, 0, EMPTY_ROOT, PrivateKey()).note)
    with pytest.raises(IntegrityError):
        open_checkpoint(note, ORIGIN, PrivateKey().public_key)


def test_another_key_does_not_open_it() -> None:
    """A checkpoint signed with another key of the same name is refused."""
    signed = sign_checkpoint(ORIGIN, 0, EMPTY_ROOT, PrivateKey(seed=8))
    with pytest.raises(IntegrityError, match="does not verify"):
        open_checkpoint(signed.note, ORIGIN, PrivateKey().public_key)


def test_a_signed_note_that_is_no_checkpoint_is_refused() -> None:
    """The key also signs manifests of exports: none passes as a checkpoint."""
    note = sign_note("muniment ledger export v1\nx\n3 y\n", ORIGIN, PrivateKey())
    with pytest.raises(IntegrityError, match="not a checkpoint"):
        open_checkpoint(note, ORIGIN, PrivateKey().public_key)


@pytest.mark.parametrize("origin", ["", "two words", "a+b", "a\nb", "näme", "x" * 201])
def test_names_that_cannot_stand_in_a_note(origin: str) -> None:
    """A ledger's name has neither space nor plus nor anything that does not print."""
    with pytest.raises(Invalid, match="not a name"):
        check_origin(origin)
