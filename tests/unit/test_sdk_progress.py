"""While a job runs a person sees how it stands, in the way that fits where they sit."""

from __future__ import annotations

import io
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from muniment.sdk import progress
from muniment.sdk.client import Client
from muniment.testing.transport import ScriptedTransport
from scripted import detail


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


class Cell:
    """A notebook's output cell, as IPython's ``display`` gives it: shown once, then updated."""

    def __init__(self) -> None:
        self.shown: list[Any] = []

    def __call__(self, value: Any, *, display_id: bool) -> Cell:
        """Show the first value."""
        assert display_id
        return self.update(value)

    def update(self, value: Any) -> Cell:
        """Show another value in its place."""
        self.shown.append(value)
        return self


def waited(*states: str) -> Client:
    """A client whose one run goes through these states."""
    return Client(ScriptedTransport({"execution:ShowRun": [detail(state) for state in states]}), project="main")


def kernel(cell: Cell, monkeypatch: pytest.MonkeyPatch, **shell: Any) -> None:
    """Let this process look like IPython with such a shell."""
    module: Any = ModuleType("IPython")
    module.get_ipython = lambda: SimpleNamespace(**shell)
    module.display = SimpleNamespace(display=cell)
    monkeypatch.setitem(sys.modules, "IPython", module)


def test_a_notebook_shows_the_card_of_the_run_and_takes_it_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The card renews itself below the cell; when the run has ended well its place is empty, for its value is shown."""
    cell = Cell()
    kernel(cell, monkeypatch, kernel=object())
    waited("queued", "running", "running", "ok").run("run:1").wait()
    cards = [shown._repr_html_() for shown in cell.shown]
    assert "running" in cards[0]
    assert (cards[-1], repr(cell.shown[-1])) == ("", "")
    assert all("proven" not in card for card in cards), "a run has no grade before its end"


def test_a_run_that_ended_badly_stays_on_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """What went wrong is seen below the cell, not only in the error."""
    cell = Cell()
    kernel(cell, monkeypatch, kernel=object())
    waited("queued", "running", "failed").run("run:1").wait()
    assert "failed" in cell.shown[-1]._repr_html_()
    assert "failed" in repr(cell.shown[-1])


def test_a_run_that_has_ended_already_leaves_no_empty_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for what has ended shows nothing."""
    cell = Cell()
    kernel(cell, monkeypatch, kernel=object())
    waited("ok").run("run:1").wait()
    assert cell.shown == []


def test_a_terminal_gets_one_line_and_a_pipe_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the line rewrites itself and ends with the run; IPython without a notebook is a terminal too."""
    cell, screen = Cell(), Screen()
    kernel(cell, monkeypatch)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert progress.picture() is progress.quiet
    monkeypatch.setattr(sys, "stderr", screen)
    waited("queued", "running", "ok").run("run:1").wait()
    assert cell.shown == []
    assert screen.getvalue().startswith("\r\x1b[Krun:1  xgboost  running  auc 0.7700")
    assert screen.getvalue().endswith("\n")
