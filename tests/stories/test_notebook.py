"""The notebook page is true: its cells run as a notebook runs them, and show what the page says they show."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import muniment
from muniment.bootstrap import cache_folder
from muniment.sdk.client import Client

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorials" / "notebook.md"
GIVEN = ROOT.parent / "shared" / "data" / "credit_default" / "UCI_Credit_Card.csv.gz"
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def cells() -> list[tuple[str, list[str]]]:
    """Each Python block of the page with the lines that it is said to show."""
    found: list[tuple[str, list[str]]] = []
    for kind, body in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "python":
            found.append((body, []))
        else:
            found[-1][1].extend(line for line in body.splitlines() if line.strip())
    return found


def shown(cell: str, names: dict[str, Any]) -> Any:
    """Run a cell; gives the value of its last line when that is an expression, as a notebook shows it."""
    parsed = ast.parse(cell)
    last = parsed.body.pop() if isinstance(parsed.body[-1], ast.Expr) else None
    exec(compile(parsed, str(PAGE), "exec"), names)
    return eval(compile(ast.Expression(last.value), str(PAGE), "eval"), names) if isinstance(last, ast.Expr) else None


def matches(line: str, text: str) -> bool:
    """Whether a line of the page is in the text: ``…`` stands for anything, runs of blanks for one."""
    parts = [re.escape(" ".join(part.split())) for part in line.split("…")]
    return re.search(".*".join(parts), "\n".join(" ".join(row.split()) for row in text.splitlines())) is not None


class Balanced(HTMLParser):
    """Reads a card, and notices a tag that is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def card(value: Any) -> set[str]:
    """The tags of what a notebook shows of a value; they are well nested."""
    reader = Balanced()
    reader.feed(value._repr_html_())
    reader.close()
    assert reader.open == []
    return reader.seen


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation, and an empty folder to work in."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MUNIMENT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MUNIMENT_CACHE", str(cache_folder()))
    for name in ("MUNI_PROFILE", "MUNI_PROJECT", "MUNI_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    subprocess.run([str(Path(sys.executable).parent / "muni"), "init"], check=True, capture_output=True, timeout=300)
    return tmp_path


@pytest.mark.slow
def test_the_notebook_page_runs_as_it_stands(home: Path) -> None:
    """All cells run in order, each shows the lines below it, and what makes a card makes a sound one."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cards = 0
    assert len(cells()) >= 12, "the page holds cells"
    try:
        for cell, lines in cells():
            value = shown(cell, names)
            missing = [line for line in lines if not matches(line, repr(value))]
            assert missing == [], f"after\n{cell}\nwas shown\n{value!r}"
            if hasattr(value, "_repr_html_") and "muniment" in type(value).__module__:
                cards += bool(card(value))
    finally:
        for client in names.values():
            if isinstance(client, Client):
                client.close()
    assert cards >= 5
    assert (home / "lineage.svg").read_text(encoding="utf-8").startswith("<svg")


def credit_file(folder: Path) -> Path:
    """The credit data that is given beside the repository, or a small file of the same columns' names."""
    if GIVEN.exists():
        return GIVEN
    file = folder / "UCI_Credit_Card.csv"
    rows = "".join(f"{i},{(i * 7919) % 500},{(i * 31) % 50},{int(i % 9 < 2)}\n" for i in range(1200))
    file.write_text("ID,LIMIT_BAL,AGE,default_payment_next_month\n" + rows, encoding="utf-8")
    return file


@pytest.mark.slow
def test_the_promised_notebook_runs_literally(home: Path) -> None:
    """The notebook that the product promises, line by line, on credit data; a finished run draws its lineage."""
    file = credit_file(home)
    m = muniment.connect()
    try:
        credit = m.data.add("credit", file, target="default_payment_next_month")
        parts = credit.split(train=0.6, test=0.2, holdout=0.2, stratify=True, seed=7)
        run = m.train("xgboost", parts.train, experiment="CreditCardDefault", params={"max_depth": 5, "eta": 0.2})
        assert {"img", "details"} <= card(run)
        frame = m.runs("CreditCardDefault").to_frame()
        assert list(frame["model"]) == [run.model.reference]
        assert list(frame["param.max_depth"]) == [5]
        assert "proven" in list(run.model.lineage().to_frame()["grade"])
        proof = m.prove_unused(parts.holdout, run.model)
        assert (proof.unused, proof.verdict, proof.grade) == (True, "unused", "proven")
        assert proof.checkpoint.size > 0
        for value in (credit, parts, m.runs(), run.model, run.model.lineage(), proof, m.models.list(), m.data.list()):
            assert card(value)
    finally:
        m.close()
