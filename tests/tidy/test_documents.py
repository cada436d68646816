"""The documents are whole: links lead somewhere, generated pages are fresh, fragments are well-formed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import reference
from sources import PACKAGE, ROOT, tracked

PAGES = sorted(path for path in tracked() if path.suffix == ".md")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
KINDS = ("added", "changed", "fixed", "removed", "security")


def _anchors(page: Path) -> set[str]:
    """The anchors that the headings of a page make."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page leads to a file that exists, and its anchor to a heading of it."""
    broken = []
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in _anchors(file)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("name", sorted(reference.pages()))
def test_generated_pages_are_fresh(name: str) -> None:
    """Each generated reference page equals what the source says now; ``make docs`` writes it."""
    path = reference.PAGES / name
    assert path.exists(), "run make docs"
    assert path.read_text(encoding="utf-8") == reference.pages()[name](), "run make docs"


def test_every_setting_is_documented() -> None:
    """Every environment variable that the product reads stands in the settings page, and nothing else does."""
    form = re.compile(r"\bMUNI(?:MENT)?_[A-Z][A-Z_]*\b")
    read = {name for path in PACKAGE.rglob("*.py") for name in form.findall(path.read_text(encoding="utf-8"))}
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(MUNI[A-Z_]+)` \|", page, re.MULTILINE))
    assert documented == read


def test_changelog_fragments_are_well_formed() -> None:
    """A fragment is ``changes/<slug>.<kind>.md`` and holds one paragraph that ends with a full stop."""
    fragments = [path for path in (ROOT / "changes").iterdir() if path.name != "README.md"]
    wrong = [
        path.name
        for path in fragments
        if not re.fullmatch(rf"[a-z0-9-]+\.({'|'.join(KINDS)})\.md", path.name)
        or not re.fullmatch(r"[A-Z][^\n]*(\n[^\n]+)*\.\n", path.read_text(encoding="utf-8"))
    ]
    assert wrong == []
    assert fragments, "a release without a fragment has changed nothing"


def test_decision_records_are_numbered_and_whole() -> None:
    """Decision records are numbered without gaps and each has context, options, decision and what it costs."""
    records = sorted(path for path in (ROOT / "docs" / "adr").glob("*.md") if path.name != "README.md")
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    for path in records:
        text = path.read_text(encoding="utf-8")
        for heading in ("## Context", "## Options", "## Decision", "## What it costs"):
            assert heading in text, f"{path.name} lacks {heading}"
