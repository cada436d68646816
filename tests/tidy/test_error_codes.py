"""Error codes: literal, unique, in the branch their number says, and each with one meaning."""

from __future__ import annotations

import ast
import re
from collections import defaultdict

from reference import raised
from sources import PACKAGE, calls, modules, where

BRANCH = {
    "1": {"Invalid"},
    "2": {"NotFound"},
    "3": {"Conflict"},
    "4": {"Denied", "Unauthenticated"},
    "5": {"IntegrityError", "Unavailable", "MunimentError"},
}
ROOMS = {
    "K": {"kernel"},
    "I": {"identity"},
    "P": {"policy"},
    "V": {"vault", "adapters/kms", "adapters/blob"},
    "L": {"ledger", "adapters/ledger", "adapters/witness"},
    "G": {"gate"},
    "C": {"catalog"},
    "X": {"execution", "data/interpreting", "inventory/interpreting"},
    "B": {"adapters/sandbox"},
    "D": {"data", "programs", "analytics"},
    "M": {"inventory"},
    "S": {"adapters/sql"},
    "T": {"validation"},
    "F": {"data", "programs", "analytics"},
    "O": {"data", "programs", "analytics"},
    "J": {"data", "programs", "analytics", "adapters/sources"},
    "N": {"tuning", "programs", "analytics"},
    "Q": {"search"},
    "R": {"tracking"},
    "W": {"stewardship", "programs", "analytics"},
    "Y": {"gateways"},
    "E": {"evidence", "adapters/typeset"},
    "H": {"http"},
    "A": {"cli", "sdk", "connecting", "bootstrap", "founding", "adapters/git", "testing"},
}
"""Where the codes of a letter may be raised, besides the SQL repositories, which raise those of their room."""
KINDS = {
    "Unauthenticated",
    "Denied",
    "NotFound",
    "Conflict",
    "Invalid",
    "IntegrityError",
    "Unavailable",
    "MunimentError",
}


def test_every_code_has_the_form_and_branch_it_says() -> None:
    """``MUNI-<letter><3 digits>``; the first digit says which branch of the tree the error is."""
    offenders = [
        one
        for one in raised()
        if not re.fullmatch(r"MUNI-[A-Z][1-5]\d\d", one.code) or one.kind not in BRANCH[one.code[6]]
    ]
    assert offenders == []


def test_one_code_has_one_meaning() -> None:
    """Wherever a code is raised, it is the same kind of error with the same message."""
    meanings = defaultdict(set)
    for one in raised():
        meanings[one.code].add((one.kind, one.message))
    assert {code: sorted(found) for code, found in meanings.items() if len(found) > 1} == {}


def test_the_letter_names_the_room() -> None:
    """The letter of a code says in which room to look."""
    offenders = []
    for one in raised():
        parts = one.where.split(".")[1:]
        if parts[:2] != ["adapters", "sql"] and not {parts[0], "/".join(parts[:2])} & ROOMS[one.code[5]]:
            offenders.append((one.code, one.where))
    assert offenders == []


def test_every_code_is_literal() -> None:
    """A code is always a literal first argument, so that a reader and this test can find it."""
    offenders = [
        where(path, call)
        for path, module in modules()
        if path != PACKAGE / "errors.py"
        for name, call in calls(module)
        if name.split(".")[-1] in KINDS and not (call.args and isinstance(call.args[0], ast.Constant))
    ]
    assert offenders == []
