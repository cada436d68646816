"""Events become entries: one text for one event, one line for people, and nothing that could mean two things."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledgering import ORIGIN
from muniment.errors import Invalid
from muniment.kernel.canonical import canonical
from muniment.kernel.digest import Digest
from muniment.kernel.principal import PrincipalKind
from muniment.ledger.model import ENTRY_BYTES, Entry, Event, columns

TIME = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
KEYS = st.text(st.characters(max_codepoint=127), max_size=8)


class Count(IntEnum):
    """A number of a type of its own."""

    MANY = 2**53
    NONE = 0
    LESS = -7


TYPED = st.binary(max_size=4).map(Digest.of) | st.sampled_from(PrincipalKind) | st.sampled_from(Count)
VALUES = st.recursive(
    st.text(max_size=20) | st.booleans() | st.integers(-(2**53), 2**53) | TYPED,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def _event(data: dict[str, Any], subject: str = "Dataset:credit@3") -> Event:
    return Event("01kqz3w3e0000000000000000", "muniment.data.dataset.read.v1", TIME, subject, data)


@given(st.dictionaries(KEYS, VALUES, max_size=6), st.text(max_size=30))
def test_an_entry_is_canonical_json(data: dict[str, Any], subject: str) -> None:
    """The bytes are those of the kernel's canonical JSON, and read back they are the event."""
    body = _event(data, subject).body(ORIGIN)
    document = json.loads(body)
    assert body == canonical(document)
    assert b"\n" not in body
    assert document["data"] == data
    assert document["subject"] == subject
    assert (document["specversion"], document["source"]) == ("1.0", ORIGIN)


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.text(max_size=40), st.text(max_size=300))
def test_no_value_starts_a_line_in_what_people_read(data: dict[str, Any], subject: str, principal: str) -> None:
    """The line of an entry is one line, whatever stands in it, and every character of it prints."""
    body = _event(data | {"principal": principal}, subject).body(ORIGIN)
    line = Entry(3, json.loads(body), body).line
    assert line.isprintable()
    assert len(line.splitlines()) == 1


@given(st.text(max_size=300), st.text(max_size=300))
def test_search_columns_are_bounded_and_print(principal: str, project: str) -> None:
    """No column is longer than 200 characters or holds a control character, and the entry says the same as its row."""
    row = _event({"principal": principal, "project": project}).row(ORIGIN)
    for value in row[2:]:
        assert value is None or (len(value) <= 200 and value.isprintable())
    assert columns(json.loads(row.body), row.body) == row


@pytest.mark.parametrize(
    "value", [1.5, float("nan"), 2**53 + 1, b"bytes", {1: "x"}, {"ä": 1}, {"a": [object()]}, TIME, {"x"}]
)
def test_what_has_no_single_form_is_refused(value: object) -> None:
    """Floats, huge integers, bytes, keys that are not ASCII text: none becomes an entry."""
    with pytest.raises(Invalid):
        _event({"value": value}).body(ORIGIN)


def test_what_is_absent_is_left_out() -> None:
    """A member that is None is not written, at any depth."""
    body = _event({"project": None, "inner": {"a": None, "b": 1}}).body(ORIGIN)
    assert json.loads(body)["data"] == {"inner": {"b": 1}}


def test_text_without_utf8_form_is_refused() -> None:
    """A lone surrogate has no bytes."""
    with pytest.raises(Invalid, match="UTF-8"):
        _event({"value": "\ud800"}).body(ORIGIN)


def test_endless_depth_is_refused() -> None:
    """An event is no deeper than sixteen levels."""
    value: Any = "x"
    for _ in range(40):
        value = [value]
    with pytest.raises(Invalid, match="too deep"):
        _event({"value": value}).body(ORIGIN)


def test_an_entry_fits_its_bundle() -> None:
    """65,535 bytes are the most, to the byte."""
    empty = len(_event({"value": ""}).body(ORIGIN))
    assert len(_event({"value": "x" * (ENTRY_BYTES - empty)}).body(ORIGIN)) == ENTRY_BYTES
    with pytest.raises(Invalid, match="at most"):
        _event({"value": "x" * (ENTRY_BYTES - empty + 1)}).body(ORIGIN)
