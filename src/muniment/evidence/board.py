"""The whole inventory on a few pages, for those who answer for all of it.

Every number is counted here from the rows of the inventory, so that two of them can never disagree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from muniment.evidence.chapters.subject import Subject, agent, at, code, dicts, text, texts, toned
from muniment.evidence.charts.registry import bar_chart
from muniment.evidence.displaying import count, day, moment, percent
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
_STATES: Final = ("draft", "submitted", "in_validation", "approved", "expired", "rejected", "retired")
_AGES: Final = (
    (90, "under three months"),
    (365, "three to twelve months"),
    (730, "one to two years"),
    (1095, "two to three years"),
    (10**9, "over three years"),
)

Version = Mapping[str, Any]


def board_document(board: Mapping[str, Any]) -> Document:
    """The board's document.

    Args:
        board: ``checkpoint``, ``installation`` and ``scope`` (a project, or null for all); ``versions``, one mapping a
            registered version with the columns of the inventory's list (``project, digest, name, version, use_case,
            model_kind, origin, owner, tier, state, registered_at, approved_at, expires, next_review, findings_high,
            findings_open, emergency``); optionally ``findings``, records of open findings with their ``model``,
            ``concentration`` (``reference, kind, models[]``: what several versions rest on, from their lineage) and
            ``dependencies`` (``upstream, downstream, grade, record``).
    """
    view = _Board(board)
    chapters = (
        view.overview(),
        view.attention(),
        view.reviews(),
        view.findings(),
        view.emergencies(),
        view.concentration(),
        view.dependencies(),
        view.everything(),
        view.reading(),
    )
    return Document(
        title="Model inventory",
        kind="Board report",
        subtitle=said(Value(text(board.get("scope")) or "all projects of the installation")),
        cover=view.cover(),
        chapters=chapters,
        index=view.subject.citations.lines(),
        footer=said("Model inventory · as of ", Value(day(at(board, "checkpoint", "time")))),
        author=f"Muniment {text(at(board, 'installation', 'version'))}".strip(),
        keywords=("board report", "model inventory"),
    )


class _Board:
    def __init__(self, board: Mapping[str, Any]) -> None:
        self.board, self.subject = board, Subject(board)
        self.ledger: Mark = self.subject.ledger()
        self.today = _date(at(board, "checkpoint", "time"))
        self.versions: list[Version] = [dict(one, state=self._state(one)) for one in dicts(board.get("versions"))]
        self.living = [one for one in self.versions if one["state"] not in ("retired", "rejected")]

    def _state(self, one: Version) -> str:
        state, expires = text(one.get("state")) or "draft", _date(one.get("expires"))
        return "expired" if state == "approved" and expires and self.today and expires < self.today else state

    def total(self, of: Iterable[Any]) -> Value:
        """How many there are."""
        return Value(count(sum(1 for _ in of)), self.ledger)

    def overdue(self) -> list[Version]:
        """Versions in use whose review is past its date, longest first."""
        late = [
            one for one in self.living if self.today and (due := _date(one.get("next_review"))) and due < self.today
        ]
        return sorted(late, key=lambda one: (text(one.get("next_review")), text(one.get("name"))))

    def cover(self) -> tuple[Block, ...]:
        checkpoint = at(self.board, "checkpoint") or {}
        rows: tuple[tuple[str, Line], ...] = (
            ("Scope", said(Value(text(self.board.get("scope")) or "all projects", self.ledger))),
            ("As of", said(Value(moment(checkpoint.get("time")), self.ledger))),
            ("Checkpoint", said(Value(count(checkpoint.get("size")), self.ledger), " ledger entries")),
            ("Ledger", said(code(checkpoint.get("origin"), self.ledger, 60))),
            ("Root", said(code(checkpoint.get("root"), self.ledger, 80))),
        )
        return (Facts(rows), Tiles(tuple(self._tiles())))

    def _tiles(self) -> Iterable[tuple[str, Value]]:
        yield "Versions registered", self.total(self.versions)
        yield "Approved", self.total(one for one in self.versions if one["state"] == "approved")
        yield "Reviews overdue", self.total(self.overdue())
        yield "Open findings", Value(count(sum(int(one.get("findings_open") or 0) for one in self.living)), self.ledger)
        yield (
            "High among them",
            Value(count(sum(int(one.get("findings_high") or 0) for one in self.living)), self.ledger),
        )
        yield "Emergencies", self.total(one for one in self.versions if one.get("emergency"))

    def overview(self) -> Part:
        if not self.versions:
            return Part("Inventory", (Missing("No model version is registered."),))
        tiers = sorted({one.get("tier") for one in self.versions}, key=lambda tier: (tier is None, tier or 0))
        states = [state for state in _STATES if any(one["state"] == state for one in self.versions)]
        states += sorted({one["state"] for one in self.versions} - set(states))
        rows = [
            self._row(
                said("tier ", Value(text(tier))) if tier is not None else said("no tier"),
                [one for one in self.versions if one.get("tier") == tier],
                states,
            )
            for tier in tiers
        ]
        rows.append(self._row(said("All"), self.versions, states, strong=True))
        heads = ("", *(state.replace("_", " ") for state in states), "all")
        matrix = Table(heads, tuple(rows), "l" + "r" * (len(states) + 1), mark=self.ledger)
        return Part(
            "Inventory",
            (
                Part("By tier and state", (matrix,)),
                Part("By age", (self._ages(),)),
                Part("By kind, origin and use case", (self._kinds(),)),
            ),
        )

    def _row(self, name: Line, among: Sequence[Version], states: Sequence[str], *, strong: bool = False) -> Row:
        cells = [said(Value(_blank(sum(1 for one in among if one["state"] == state)))) for state in states]
        return Row((name, *cells, said(Value(count(len(among)), None, Shape.STRONG))), strong=strong)

    def _ages(self) -> Block:
        counted: Counter[str] = Counter()
        for one in self.living:
            since = _date(one.get("registered_at"))
            if since and self.today:
                counted[next(label for days, label in _AGES if (self.today - since).days < days)] += 1
        if not counted:
            return Missing("No age is known.")
        rows = [(label, float(counted[label])) for _, label in _AGES]
        return Figure(
            (
                Picture(
                    bar_chart("Versions by age", "versions not retired, by time since registration", rows),
                    said("Age of the versions in the inventory"),
                    self.ledger,
                ),
            )
        )

    def _kinds(self) -> Block:
        rows = []
        for title, of in (
            ("Kind", "model_kind"),
            ("Origin", "origin"),
            ("Use case", "use_case"),
            ("Project", "project"),
        ):
            counted = Counter(text(one.get(of)) or "none" for one in self.versions)
            for name, number_ in sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:12]:
                share = number_ / len(self.versions)
                rows.append(
                    Row((said(title), said(Value(name)), said(Value(count(number_))), said(Value(percent(share)))))
                )
        return Table(("By", "", "Versions", "Share"), tuple(rows), "llrr", (0, 1, 0, 0), mark=self.ledger, small=True)

    def attention(self) -> Part:
        lines: list[Line] = []
        expired = [one for one in self.versions if one["state"] == "expired"]
        for found, words in (
            (self.overdue(), " versions are past their review."),
            (expired, " approvals have expired and their versions are not retired."),
            (
                [one for one in self.living if int(one.get("findings_high") or 0)],
                " versions bear an open finding of high severity.",
            ),
            ([one for one in self.versions if one.get("emergency")], " versions run under an emergency approval."),
            ([one for one in self.living if one.get("tier") is None], " versions have no materiality tier."),
            ([one for one in self.living if not one.get("use_case")], " versions are bound to no use case."),
            (
                [one for one in self.living if text(one.get("origin")) in ("vendor", "off-platform")],
                " versions come from outside, so what is known of their making is declared.",
            ),
        ):
            if found:
                lines.append(said(Value(count(len(found)), self.ledger, Shape.STRONG), words))
        if not lines:
            return Part("Points for attention", (Paragraph(said("The inventory gives none.")),))
        return Part("Points for attention", (Callout("", (Points(tuple(lines)),), Tone.CAREFUL),))

    def reviews(self) -> Part:
        late = self.overdue()
        if not late:
            return Part("Overdue reviews", (Paragraph(said("No review is overdue.")),))
        rows = []
        for one in late[:_SHOWN]:
            due = _date(one.get("next_review"))
            days = (self.today - due).days if self.today and due else 0
            cells = (*self._named(one), said(Value(day(one.get("next_review")))), said(Value(count(days))))
            rows.append(Row(cells, self._mark(one)))
        table = Table(
            ("Version", "Tier", "Owner", "Was due", "Days late"), tuple(rows), "lclrr", (1, 0, 0, 0, 0), small=True
        )
        return Part("Overdue reviews", (table, *self._cut(len(late))))

    def _named(self, one: Version) -> tuple[Line, Line, Line]:
        name = (
            f"{text(one.get('name')) or '–'} @{text(one.get('version'))}"
            if one.get("version") is not None
            else text(one.get("name"))
        )
        tier = text(one.get("tier")) if one.get("tier") is not None else "–"
        return said(code(name, None, 46)), said(Value(tier)), said(Value(agent(one.get("owner"))))

    def _mark(self, one: Version) -> Mark | None:
        title = f"version {text(one.get('name'))} @{text(one.get('version'))}"
        return self.subject.citations.mark(
            title, digest=text(one.get("digest")) or None, grade=text(one.get("grade")) or "declared"
        )

    def _cut(self, total: int) -> tuple[Block, ...]:
        return (
            ()
            if total <= _SHOWN
            else (Paragraph(said("The table is cut: ", Value(count(total), self.ledger), " in all.")),)
        )

    def findings(self) -> Part:
        bearing = [one for one in self.living if int(one.get("findings_open") or 0)]
        if not bearing:
            return Part("Open findings", (Paragraph(said("No finding is open.")),))
        blocks: list[Block] = []
        named = dicts(self.board.get("findings"))
        if named:
            order = {"high": 0, "medium": 1, "low": 2}
            ranked = sorted(named, key=lambda one: (order.get(text(one.get("severity")), 3), text(one.get("due"))))
            rows = tuple(
                Row(
                    (
                        said(Badge(text(one.get("severity")) or "–", toned(text(one.get("severity"))))),
                        said(Value(text(one.get("title")) or "–")),
                        said(code(one.get("model"), None, 34)),
                        said(Value(agent(one.get("owner")))),
                        said(Value(day(one.get("due")))),
                    ),
                    self.subject.of_record("finding", one),
                )
                for one in ranked[:_SHOWN]
            )
            blocks += [
                Table(("Severity", "Finding", "Version", "Owner", "Due"), rows, "lllll", (0, 1, 0, 0, 0), small=True),
                *self._cut(len(named)),
            ]
        ranked_versions = sorted(
            bearing, key=lambda one: (-int(one.get("findings_high") or 0), -int(one.get("findings_open") or 0))
        )
        rows = tuple(
            Row(
                (
                    *self._named(one),
                    said(Value(count(int(one.get("findings_high") or 0)))),
                    said(Value(count(int(one.get("findings_open") or 0)))),
                ),
                self._mark(one),
            )
            for one in ranked_versions[:_SHOWN]
        )
        blocks.append(
            Table(("Version", "Tier", "Owner", "High", "All open"), rows, "lclrr", (1, 0, 0, 0, 0), small=True)
        )
        return Part("Open findings", (*blocks, *self._cut(len(bearing))))

    def emergencies(self) -> Part:
        found = [one for one in self.versions if one.get("emergency")]
        if not found:
            return Part("Emergency approvals", (Paragraph(said("No version runs under an emergency approval.")),))
        rows = tuple(
            Row((*self._named(one), said(Value(day(one.get("expires"))))), self._mark(one)) for one in found[:_SHOWN]
        )
        return Part(
            "Emergency approvals",
            (
                Table(("Version", "Tier", "Owner", "Until"), rows, "lclr", (1, 0, 0, 0), small=True),
                *self._cut(len(found)),
            ),
        )

    def concentration(self) -> Part:
        shared = sorted(
            dicts(self.board.get("concentration")),
            key=lambda one: (-len(_list(one.get("models"))), text(one.get("reference"))),
        )
        if not shared:
            return Part("Concentration", (Missing("No data set, code or environment is shared by several versions."),))
        rows = [(text(one.get("reference")), float(len(_list(one.get("models"))))) for one in shared]
        chart = bar_chart("Concentration", "versions that rest on it", rows[:16])
        lines = tuple(
            Row(
                (
                    said(code(one.get("reference"), None, 40)),
                    said(Value(text(one.get("kind")) or "–")),
                    said(Value(count(len(_list(one.get("models")))))),
                    said(Value(_some(texts(one.get("models"))))),
                ),
                self.subject.citations.mark(
                    f"shared {text(one.get('kind'))}", digest=text(one.get("digest")) or None, grade="proven"
                ),
            )
            for one in shared[:_SHOWN]
        )
        intro = said(
            "What several versions rest on, told by their lineage and not by a survey. A fault in one of these would "
            "reach all of them."
        )
        return Part(
            "Concentration",
            (
                Paragraph(intro),
                Figure((Picture(chart, said("Versions by what they share"), self.ledger),)),
                Table(("What", "Kind", "Versions", "Among them"), lines, "llrl", (0, 0, 0, 1), small=True),
                *self._cut(len(shared)),
            ),
        )

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
        return Part(
            "Dependencies between models",
            (Table(("Version", "", "Version"), rows, "lll", (0.5, 0, 0.5), small=True), *self._cut(len(found))),
        )

    def everything(self) -> Part:
        ranked = sorted(
            self.living,
            key=lambda one: (
                one.get("tier") is None,
                one.get("tier") or 0,
                text(one.get("name")),
                one.get("version") or 0,
            ),
        )
        if not ranked:
            return Part("Versions in the inventory", (Missing("No version is in use or on its way there."),))
        rows = tuple(
            Row(
                (
                    *self._named(one),
                    said(Badge(one["state"].replace("_", " "), Tone(STATES.get(one["state"], "neutral")))),
                    said(Value(_date_or_dash(one.get("expires")))),
                    said(Value(_date_or_dash(one.get("next_review")))),
                ),
                self._mark(one),
            )
            for one in ranked[:_SHOWN]
        )
        table = Table(
            ("Version", "Tier", "Owner", "State", "Approved until", "Next review"),
            rows,
            "lcllrr",
            (1, 0, 0, 0, 0, 0),
            small=True,
        )
        return Part(
            "Versions in the inventory",
            (Paragraph(said("Not retired and not rejected, most material first.")), table, *self._cut(len(ranked))),
        )

    def reading(self) -> Part:
        points = (
            said(
                "All numbers are counted from the inventory as it stood at the checkpoint on the first page; two of "
                "them cannot "
                "disagree."
            ),
            said("A version of its own counts once, also where an earlier one of the same name is still in use."),
            said("For each version a model report and an evidence pack can be made from the same checkpoint."),
        )
        return Part("How to read this report", (Points(points),))


def _date(of: Any) -> date | None:
    try:
        return datetime.fromisoformat(text(of)).date()
    except ValueError:
        return None


def _date_or_dash(of: Any) -> str:
    found = _date(of)
    return found.isoformat() if found else "–"


def _blank(number_: int) -> str:
    return count(number_) if number_ else "·"


def _list(of: Any) -> list[Any]:
    return list(of) if isinstance(of, (list, tuple)) else []


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
