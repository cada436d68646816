"""The board's report by its verb, on both engines: what the board view says, set as pages, named in the ledger."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

import pypdf
import pytest

from evidencing import Gallery
from muniment.errors import Denied, NotFound
from muniment.kernel.digest import Digest
from muniment.ledger.model import Search
from muniment.testing.platform import PROJECT
from muniment.wire.evidence import BriefBoard
from notary import Notary

MODEL = "model:loans-xgboost"


@pytest.fixture
def house(each_gallery: Gallery) -> Gallery:
    """A platform with a model of which nobody stated anything, once on each engine."""
    return each_gallery


def _briefed(house: Gallery, person: str = "approver") -> bytes:
    house.clock.advance(seconds=1)
    return b"".join(house.people.ask(person, BriefBoard(project=PROJECT)).chunks)


def _text(pdf: bytes) -> str:
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in pypdf.PdfReader(BytesIO(pdf)).pages))


def test_the_board_reads_what_the_inventory_holds(house: Gallery) -> None:
    """An empty inventory is said to be empty; a registered version is in the matrix and in the list."""
    assert "No model version is registered" in _text(_briefed(house))
    Notary(house.people).draft(MODEL)
    text = _text(_briefed(house))
    assert "No model version is registered" not in text
    assert f"{MODEL}@1" in text


def test_the_ledger_names_the_report(house: Gallery) -> None:
    """The entry of the request holds the digest of the very bytes that were handed out."""
    pdf = _briefed(house)
    entries = house.platform.ledger.search(Search(type="muniment.evidence.board.briefed.v1", limit=5))
    facts: dict[str, Any] = entries[0].event["data"]["facts"]
    assert facts["report"] == Digest.of(pdf)


def test_who_may_not_see_the_board_gets_no_report(house: Gallery) -> None:
    """A stranger to the project is refused."""
    with pytest.raises((Denied, NotFound)):
        _briefed(house, "outsider")
