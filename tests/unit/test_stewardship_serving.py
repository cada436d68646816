"""How a person is found among online values."""

from __future__ import annotations

from typing import Any

import pytest

from muniment.stewardship.serving import same


@pytest.mark.parametrize(
    ("held", "value", "kind", "found"),
    [
        (42, "42", "int64", True),
        (42, " 42.0 ", "int64", True),
        (42, "043", "int64", False),
        (42, "4 2", "int64", False),
        (42.5, "42.50", "float64", True),
        ("42.50", "42.5", "decimal(12,2)", True),
        ("K-7", " K-7", "string", True),
        ("K-7", "k-7", "string", False),
        ("00042", "42", "string", True),
        ("42", "0042", "string", True),
        ("42.0", "42", "string", False),
        (True, "true", "bool", True),
        (False, "true", "bool", False),
        (1, "true", "int64", False),
        (None, "None", "string", False),
        (10**18 + 1, str(10**18), "int64", False),
        ("2026-01-01", "2026-01-01", "date32", True),
        (1, "NaN", "int64", False),
    ],
)
def test_the_rule_is_that_of_the_search_in_snapshots(held: Any, value: str, kind: str, found: bool) -> None:
    """Numbers by value and exactly, texts but for the space around them, whole numbers without leading zeros."""
    assert same(held, value, kind) is found
