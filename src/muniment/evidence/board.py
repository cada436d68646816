"""The whole inventory on a few pages, for those who answer for all of it.

The numbers are those of the board view, which counts them from the inventory's records; nothing is counted a second
time but sums of what is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from muniment.evidence.chapters.subject import Subject, agent, at, code, dicts, text, toned
from muniment.evidence.charts.registry import bar_chart
from muniment.evidence.displaying import count, day, moment
from muniment.evidence.document import (
    Badge,
    Block,
    Callout,
    Document,
    Facts,
    Figure,
    Line,
    Mark,
    Missing,
    Paragraph,
    Part,
    Picture,
    Points,
    Row,
    Shape,
    Table,
    Tiles,
    Tone,
    Value,
    said,
)
from muniment.evidence.wording import STATES

__all__ = ["board_document"]

_SHOWN: Final = 60
"""Rows of one table."""

_SHARED: Final = {
    "input": "data, code or environments that several versions were made from",
    "algorithm": "algorithms",
    "supplier": "suppliers",
    "owner": "owners",
    "use_case": "use cases",
}
_AGED: Final = (("up_to_30_days", "up to a month"), ("up_to_90_days", "up to three months"), ("older", "older"))

Version = Mapping[str, Any]


def board_document(board: Mapping[str, Any]) -> Document:
    """The board's document.

    Args:
        board: the reply of the board view (``project, at, versions, cells, ages, findings, overdue_reviews,
            emergencies, expired, concentration``), its lists in full, with the ``checkpoint`` and the ``installation``
            it belongs to, and where they are known ``registered``, the inventory's list of versions, and
            ``dependencies`` (``upstream, downstream, grade, record``). Every part may be missing.
    """
    view = _Board(board)
    chapters = (
        view.overview(),
        view.findings(),
        view.reviews(),
        view.emergencies(),
        view.concentration(),
        view.dependencies(),
        view.everything(),
        view.reading(),
    )
    return Document(
        title="Model inventory",
        kind="Board report",
        subtitle=said(Value(text(board.get("project")) or "all projects")),
        cover=view.cover(),
        chapters=chapters,
        index=view.subject.citations.lines(),
        footer=said("Model inventory · as of ", Value(day(view.at))),
        author=f"Muniment {text(at(board, 'installation', 'version'))}".strip(),
        keywords=("board report", "model inventory"),
    )


class _Board:
    def __init__(self, board: Mapping[str, Any]) -> None:
        self.board, self.subject = board, Subject(board)
        self.ledger: Mark = self.subject.ledger()
        self.at = text(at(board, "checkpoint", "time")) or text(board.get("at"))
        self.today = _date(self.at)
        self.cells = dicts(board.get("cells"))
        self.late, self.expired = dicts(board.get("overdue_reviews")), dicts(board.get("expired"))
        self.hurried, self.found = dicts(board.get("emergencies")), dicts(board.get("findings"))

    def number(self, of: Any, shape: Shape = Shape.PLAIN) -> Value:
        """A count of the board view."""
        return Value(count(of), self.ledger, shape)

    def cover(self) -> tuple[Block, ...]:
        checkpoint = at(self.board, "checkpoint") or {}
        rows: tuple[tuple[str, Line], ...] = (
            ("Project", said(Value(text(self.board.get("project")) or "all projects", self.ledger))),
            ("As of", said(Value(moment(self.at), self.ledger))),
            ("Checkpoint", said(self.number(checkpoint.get("size")), " ledger entries")),
            ("Ledger", said(code(checkpoint.get("origin"), self.ledger, 60))),
            ("Root", said(code(checkpoint.get("root"), self.ledger, 80))),
        )
        return (Facts(rows), Tiles(tuple(self._tiles())), self._attention())

    def _tiles(self) -> Iterable[tuple[str, Value]]:
        yield "Versions", self.number(self.board.get("versions"))
        yield "Approved", self.number(_sum(self.cells, "versions", state="approved"))
        yield "Expired", self.number(_sum(self.cells, "versions", state="expired"))
        yield "Overdue reviews", self.number(len(self.late))
        yield "Open findings", self.number(_sum(self.found, "open"))
        yield "Emergencies", self.number(len(self.hurried))

    def overview(self) -> Part:
        return Part(
            "Inventory", (Part("By tier and state", (self._matrix(),)), Part("By time in the state", (self._ages(),)))
        )

    def _matrix(self) -> Block:
        if not self.cells:
            return Missing("No model version is registered.")
        present = {text(one.get("state")) for one in self.cells}
        states = [state for state in STATES if state in present] + sorted(present - set(STATES))
        tiers = sorted({one.get("tier") for one in self.cells}, key=lambda tier: (tier is None, text(tier)))
        rows = []
        for tier in tiers:
            own = [one for one in self.cells if one.get("tier") == tier]
            rows.append(self._row(said("tier ", Value(text(tier))) if tier else said("no tier"), own, states))
        rows.append(self._row(said("All"), self.cells, states, strong=True))
        heads = ("", *(state.replace("_", " ") for state in states), "all")
        return Table(heads, tuple(rows), "l" + "r" * (len(states) + 1), mark=self.ledger)

    def _row(self, name: Line, among: Sequence[Version], states: Sequence[str], *, strong: bool = False) -> Row:
        cells = [said(Value(_blank(_sum(among, "versions", state=state)))) for state in states]
        return Row((name, *cells, said(Value(count(_sum(among, "versions")), None, Shape.STRONG))), strong=strong)

    def _ages(self) -> Block:
        ages = dicts(self.board.get("ages"))
        if not ages:
            return Missing("No ages are known.")
        rows = tuple(
            Row(
                (
                    said(
                        Badge(
                            text(one.get("state")).replace("_", " "),
                            Tone(STATES.get(text(one.get("state")), "neutral")),
                        )
                    ),
                    said(Value(count(one.get("versions")))),
                    said(Value(day(one.get("oldest_since")))),
                    said(Value(count(one.get("oldest_days")))),
                )
            )
            for one in ages
        )
        heads = ("State", "Versions", "Longest since", "Days")
        return Table(heads, rows, "lrrr", (0, 0, 0, 0), mark=self.ledger)

    def _attention(self) -> Block:
        high = next((one for one in self.found if text(one.get("severity")) == "high"), {})
        overdue = _sum(self.found, "overdue")
        lines = [
            said(self.number(number, Shape.STRONG), words)
            for number, words in (
                (len(self.late), " versions are past their review."),
                (len(self.expired), " approvals have ended, and their versions are not retired."),
                (_whole(high.get("open")), " findings of high severity are open."),
                (overdue, " findings are past the day by which they were due."),
                (len(self.hurried), " versions run under an emergency approval."),
            )
            if number
        ]
        if not lines:
            return Callout("Points for attention", (Paragraph(said("The inventory gives none.")),), Tone.GOOD)
        return Callout("Points for attention", (Points(tuple(lines)),), Tone.CAREFUL)

    def findings(self) -> Part:
        if not _sum(self.found, "open"):
            return Part("Open findings", (Paragraph(said("No finding is open.")),))
        rows = tuple(
            Row(
                (
                    said(Badge(text(one.get("severity")), toned(text(one.get("severity"))))),
                    said(Value(count(one.get("open")), None, Shape.STRONG)),
                    said(Value(_blank(_whole(one.get("overdue"))))),
                    *(said(Value(_blank(_whole(one.get(name))))) for name, _ in _AGED),
                    said(Value(count(one.get("oldest_days")))),
                )
            )
            for one in self.found
        )
        heads = ("Severity", "Open", "Overdue", *(title for _, title in _AGED), "Oldest, days")
        return Part("Open findings", (Table(heads, rows, "lrrrrrr", (0.0,) * 7, mark=self.ledger),))

    def reviews(self) -> Part:
        if not self.late:
            return Part("Overdue reviews", (Paragraph(said("No review is overdue.")),))
        ranked = sorted(self.late, key=lambda one: (text(one.get("next_review")), text(one.get("model"))))
        rows = []
        for one in ranked[:_SHOWN]:
            due = _date(one.get("next_review"))
            days = (self.today - due).days if self.today and due else None
            rows.append(
                Row(
                    (*self._named(one), said(Value(day(one.get("next_review")))), said(Value(count(days)))),
                    self._mark(one),
                )
            )
        heads = ("Version", "Tier", "Owner", "Was due", "Days late")
        table = Table(heads, tuple(rows), "lclrr", (1, 0, 0, 0, 0), small=True)
        return Part("Overdue reviews", (table, *self._cut(len(ranked))))

    def emergencies(self) -> Part:
        blocks: list[Block] = []
        for title, among, empty in (
            ("Under an emergency approval", self.hurried, "No version runs under an emergency approval."),
            ("Past the end of their approval", self.expired, "No approval has ended."),
        ):
            if not among:
                blocks.append(Part(title, (Paragraph(said(empty)),)))
                continue
            rows = tuple(
                Row((*self._named(one), said(Value(day(one.get("expires"))))), self._mark(one))
                for one in among[:_SHOWN]
            )
            table = Table(("Version", "Tier", "Owner", "Until"), rows, "lclr", (1, 0, 0, 0), small=True)
            blocks.append(Part(title, (table, *self._cut(len(among)))))
        return Part("Emergencies and expired approvals", tuple(blocks))

    def _named(self, one: Version) -> tuple[Line, Line, Line]:
        tier = said(Value(text(one["tier"]))) if one.get("tier") else said("–")
        return said(code(one.get("model"), None, 46)), tier, said(Value(agent(one.get("owner"))))

    def _mark(self, one: Version) -> Mark | None:
        title = f"version {text(one.get('model'))}"
        return self.subject.citations.mark(title, digest=text(one.get("digest")) or None, grade="declared")

    def _cut(self, total: int) -> tuple[Block, ...]:
        return () if total <= _SHOWN else (Paragraph(said("The table is cut: ", self.number(total), " in all.")),)

    def concentration(self) -> Part:
        shared = [one for one in dicts(self.board.get("concentration")) if _whole(one.get("versions")) > 1]
        if not shared:
            return Part("Concentration", (Missing("Nothing is shared by several versions."),))
        intro = said(
            "What several versions rest on. Data, code and environments are told by the lineage and not by a survey: a "
            "fault in one of them would reach every version that was made from it."
        )
        blocks: list[Block] = [Paragraph(intro)]
        for what in (*_SHARED, *sorted({text(one.get("what")) for one in shared} - set(_SHARED))):
            own = sorted(
                (one for one in shared if text(one.get("what")) == what),
                key=lambda one: (-_whole(one.get("versions")), text(one.get("value"))),
            )
            if own:
                rows = [(text(one.get("value")), float(_whole(one.get("versions")))) for one in own[:12]]
                title = f"Shared {_SHARED.get(what, what.replace('_', ' '))}"
                chart = bar_chart(title, "versions", rows)
                blocks.append(Part(title, (Figure((Picture(chart, said("Versions, most first"), self.ledger),)),)))
        return Part("Concentration", tuple(blocks))

    def dependencies(self) -> Part:
        found = dicts(self.board.get("dependencies"))
        if not found:
            return Part("Dependencies between models", (Missing("No version is recorded as feeding another."),))
        rows = tuple(
            Row(
                (said(code(one.get("upstream"), None, 44)), said("feeds"), said(code(one.get("downstream"), None, 44))),
                self.subject.of_record("dependency", one),
            )
            for one in found[:_SHOWN]
        )
        table = Table(("Version", "", "Version"), rows, "lll", (0.5, 0, 0.5), small=True)
        return Part("Dependencies between models", (table, *self._cut(len(found))))

    def everything(self) -> Part:
        listed = dicts(self.board.get("registered"))
        if not listed:
            return Part("Versions in the inventory", (Missing("The list of versions is not part of this report."),))
        ranked = sorted(listed, key=lambda one: (not one.get("tier"), one.get("tier") or 0, text(one.get("model"))))
        rows = tuple(
            Row(
                (
                    *self._named(one),
                    said(_state(one)),
                    said(Value(_dated(one.get("expires")))),
                    said(Value(_dated(one.get("next_review")))),
                ),
                self._mark(one),
            )
            for one in ranked[:_SHOWN]
        )
        heads = ("Version", "Tier", "Owner", "State", "Approved until", "Next review")
        table = Table(heads, rows, "lcllrr", (1, 0, 0, 0, 0, 0), small=True)
        return Part(
            "Versions in the inventory", (Paragraph(said("Most material first.")), table, *self._cut(len(ranked)))
        )

    def reading(self) -> Part:
        points = (
            said(
                "The numbers are counted from the records of the inventory as they stood at the time on the first page."
            ),
            said("Each version counts for itself, also where an earlier one of the same name is still in use."),
            said(
                "For each version a model report and an evidence pack can be made, in which every number has a record."
            ),
        )
        return Part("How to read this report", (Points(points),))


def _state(one: Version) -> Badge:
    state = "expired" if one.get("expired") else text(one.get("state"))
    return Badge(state.replace("_", " ") or "–", Tone(STATES.get(state, "neutral")))


def _sum(among: Iterable[Mapping[str, Any]], name: str, **where: str) -> int:
    return sum(
        _whole(one.get(name)) for one in among if all(text(one.get(key)) == value for key, value in where.items())
    )


def _whole(of: Any) -> int:
    return of if isinstance(of, int) else 0


def _date(of: Any) -> date | None:
    try:
        return datetime.fromisoformat(text(of)).date()
    except ValueError:
        return None


def _dated(of: Any) -> str:
    found = _date(of)
    return found.isoformat() if found else "–"


def _blank(number: int) -> str:
    return count(number) if number else "·"
