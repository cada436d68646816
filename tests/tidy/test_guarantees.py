"""The numbered guarantees are kept by tests that exist."""

from __future__ import annotations

import re

from sources import ROOT

TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
GUARANTEE = re.compile(r"^### G(\d+)\. (.+)$", re.MULTILINE)


def test_guarantees_are_numbered_without_gaps() -> None:
    """G1, G2, G3 …: a number once given stays."""
    numbers = [int(number) for number, _ in GUARANTEE.findall(TEXT)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 10


def test_each_guarantee_names_its_mechanism_and_tests_that_exist() -> None:
    """Each guarantee says what enforces it and names at least one test file, and every named file exists."""
    for section in re.split(r"^### ", TEXT, flags=re.MULTILINE)[1:]:
        title = section.splitlines()[0]
        assert "*Enforced by*" in section, title
        named = re.findall(r"`((?:tests|src)/[\w/.]+)`", section)
        assert any(name.startswith("tests/") for name in named), title
        assert [name for name in named if not (ROOT / name).exists()] == [], title
