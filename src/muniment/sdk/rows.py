"""Rows of snapshots: what two share, how two differ, and whether any was in what a model was made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from muniment.errors import Conflict, Invalid
from muniment.sdk.asking import Asking, Job, Watch, reference_of
from muniment.sdk.cells import card, facts, fold, note, table, tiles
from muniment.sdk.frames import to_frame
from muniment.sdk.shown import count, visible
from muniment.wire import data as wd
from muniment.wire import rows as wr
from muniment.wire.execution import Started

__all__ = ["Difference", "Overlap", "RowProof", "absence_of_rows", "all_but", "difference_of", "overlap_of"]

Attend = Callable[[Job], Any]
"""Waits for a job that must end well."""

_ROUNDS: Final = 5
"""So often fingerprints may be missing again: somebody may erase them meanwhile."""

_WAYS: Final = {
    "names": "whole rows, column by column by name",
    "values": "whole rows by their values, whatever the columns are called",
    "keys": "the key columns alone",
}
_MEANINGS: Final = {
    "rows-unused": "No row of it stood in anything that was read on the way to the model, as far as was searched.",
    "rows-used": "Rows of it stood in something that was read on the way to the model.",
    "rows-unclear": "Rows of it agree with rows that were read in the columns that these still have; "
    "whether they are the same rows only more columns could tell.",
}
_SEARCH: Final = ("input", "compared", "columns", "found", "once", "of", "rows", "grade")
_SIDE: Final = ("", "rows", "different", "also in the other", "share")


class Overlap:
    """How many rows two snapshots share."""

    def __init__(self, run: Job) -> None:
        report = run.detail.report or {}
        question, counts = report.get("question") or {}, (report.get("pairs") or {}).get("rows") or {}
        self._run = run
        rows_a, rows_b = (int(question.get(f"rows_{side}") or 0) for side in "ab")
        self.document: dict[str, Any] = {
            **{name: question.get(name) for name in ("a", "b", "a_digest", "b_digest")},
            "rows_a": rows_a,
            "rows_b": rows_b,
            **{name: int(counts.get(name, 0)) for name in ("shared", "a_in_b", "b_in_a")},
            "share_a": counts.get("a_in_b", 0) / rows_a if rows_a else None,
            "share_b": counts.get("b_in_a", 0) / rows_b if rows_b else None,
            **{
                name: int(counts.get(name, 0))
                for name in ("distinct_a", "distinct_b", "distinct_shared", "once_a", "once_a_in_b")
            },
            **{name: int(counts.get(name, 0)) for name in ("left_out_a", "left_out_b")},
            **{
                name: question.get(name)
                for name in ("by", "columns", "keys", "only_a", "only_a_columns", "only_b", "only_b_columns")
            },
            "run": run.reference,
            "grade": run.detail.grade,
        }
        """Everything that was counted, by name."""

    @property
    def shared(self) -> int:
        """Rows of the multiset intersection: what A has three times and B twice counts twice."""
        return int(self.document["shared"])

    @property
    def partial(self) -> bool:
        """Whether columns that only one side has took no part."""
        return bool(
            self.document["by"] == "names" and (self.document["only_a_columns"] or self.document["only_b_columns"])
        )

    def rows(self) -> list[tuple[Any, ...]]:
        """One line for each side: rows, different ones, those that occur in the other, and their share."""
        d = self.document
        return [
            (
                d[side],
                d[f"rows_{side}"],
                d[f"distinct_{side}"],
                d["a_in_b" if side == "a" else "b_in_a"],
                d[f"share_{side}"],
            )
            for side in ("a", "b")
        ]

    def facts(self) -> dict[str, Any]:
        """What was compared, in words."""
        d = self.document
        left = "; ".join(
            f"{side} alone has {d[f'only_{side}_columns']}: {', '.join(d[f'only_{side}'][:6])}"
            + (" …" if d[f"only_{side}_columns"] > 6 else "")
            for side in ("a", "b")
            if d["by"] == "names" and d[f"only_{side}_columns"]
        )
        nobody = d["left_out_a"] + d["left_out_b"]
        return {
            "shared": count(d["shared"]),
            "different rows shared": count(d["distinct_shared"]),
            "compared": f"{_WAYS.get(str(d['by']), d['by'])} ({d['columns']} columns)",
            "keys": ", ".join(d["keys"] or []),
            "left out": left,
            "without any key": count(nobody) if nobody else None,
        }

    def to_frame(self) -> Any:
        """A data frame, one row per side."""
        return to_frame([dict(zip(("data", *_SIDE[1:]), row, strict=True)) for row in self.rows()])

    def __repr__(self) -> str:
        d = self.document
        lines = [
            f"{visible(name)}  {count(rows)} rows, {count(found)} of them also in the other"
            for name, rows, _, found, _ in self.rows()
        ]
        return "\n".join([f"shared {count(d['shared'])} rows", *lines, f"grade {d['grade']}"])

    def _repr_html_(self) -> str:
        lines = [[n, count(r), count(k), count(f), "" if s is None else f"{s:.2%}"] for n, r, k, f, s in self.rows()]
        warning = "Only columns that both have were compared." if self.partial else ""
        return card(
            "shared rows", facts(self.facts()), table(_SIDE, lines), note(warning), badges=(self.document["grade"],)
        )


class Difference:
    """How a snapshot differs from another: schema, counts, distributions, rows added, removed and changed."""

    def __init__(self, a: str, b: str, run: Job) -> None:
        self.a, self.b = a, b
        self.run = run
        """The run that compared them."""
        self.report: dict[str, Any] = dict(run.detail.report or {})
        """The whole report, format ``muniment.difference/1``."""

    @property
    def document(self) -> dict[str, Any]:
        """The report with what was compared, for scripts."""
        return {"a": self.a, "b": self.b, **self.report, "run": self.run.reference, "grade": self.run.detail.grade}

    @property
    def rows(self) -> dict[str, int]:
        """How many rows were added, removed, changed (with keys) and left as they were."""
        return dict(self.report.get("rows", {}))

    @property
    def columns(self) -> list[dict[str, Any]]:
        """The columns that both have, those that moved most first."""
        found: list[dict[str, Any]] = list(self.report.get("columns", []))
        return sorted(found, key=lambda one: -(one.get("psi") or 0.0))

    def schema(self) -> list[tuple[str, str, str]]:
        """What became of the columns: which, what happened, and the types."""
        told = self.report.get("schema", {})
        return [
            *((one["name"], "added", one["type"]) for one in told.get("added", [])),
            *((one["name"], "removed", one["type"]) for one in told.get("removed", [])),
            *((one["name"], "retyped", f"{one['from']} → {one['to']}") for one in told.get("retyped", [])),
        ]

    def facts(self) -> dict[str, Any]:
        """The counts, in words."""
        report, rows = self.report, self.rows
        return {
            "rows": f"{count(report.get('rows_a', 0))} → {count(report.get('rows_b', 0))}",
            **{name: count(rows[name]) for name in ("added", "removed", "changed", "unchanged") if name in rows},
            "rows told by": ", ".join(report.get("keys", [])) or "all their common columns",
            "content": "equal" if report.get("content_equal") else None,
            "columns in another order": "yes" if report.get("schema", {}).get("reordered") else None,
        }

    def to_frame(self) -> Any:
        """A data frame, one row per column that both have."""
        return to_frame([{k: v for k, v in one.items() if not k.startswith("quantiles")} for one in self.columns])

    def __repr__(self) -> str:
        known = "  ".join(f"{name} {value}" for name, value in self.facts().items() if value)
        moved = [f"{visible(one['name'])} {one['psi']:.3f}" for one in self.columns[:5] if one.get("psi")]
        return "\n".join([f"{self.a} → {self.b}", f"  {known}", f"  moved most (PSI): {', '.join(moved) or 'nothing'}"])

    def _repr_html_(self) -> str:
        counted = {name: float(value) for name, value in self.rows.items() if not name.startswith("duplicates")}
        moved = table(["column", *MEASURES], [[one["name"], *measures(one)] for one in self.columns])
        changes = self.schema()
        return card(
            f"{self.a} → {self.b}",
            tiles(counted),
            facts({name: value for name, value in self.facts().items() if name not in counted}),
            fold("schema", table(["column", "change", "type"], changes) if changes else ""),
            moved,
            badges=(self.run.detail.grade,),
        )


MEASURES: Final = ("nulls", "mean", "median", "PSI", "changed")
"""What is shown of a column that both snapshots have."""


def measures(column: Mapping[str, Any]) -> list[str]:
    """A column in words: shares of nulls, means and medians before and after, PSI, and in how many rows it changed."""
    medians = [(column.get(f"quantiles_{side}") or {}).get("0.5") for side in "ab"]
    rates = [column.get(f"null_rate_{side}") for side in "ab"]
    index, changed = column.get("psi"), column.get("changed")
    return [
        "" if not any(rates) else " → ".join("–" if rate is None else f"{rate:.1%}" for rate in rates),
        _moved(column.get("mean_a"), column.get("mean_b")),
        _moved(*medians),
        "" if index is None else f"{index:.3f}",
        "" if changed is None else count(changed),
    ]


def _number(value: float) -> str:
    return count(int(value)) if float(value).is_integer() and abs(value) < 1e12 else f"{value:,.6g}"


def _moved(before: float | None, after: float | None) -> str:
    if before is None and after is None:
        return ""
    shown = ["–" if value is None else _number(value) for value in (before, after)]
    return shown[0] if shown[0] == shown[1] else " → ".join(shown)


class RowProof:
    """Whether rows of a snapshot stood in what a model was made from: look at ``verdict``, ``grade`` and ``scope``."""

    def __init__(self, reply: wr.RowProof) -> None:
        self.reply = reply
        """The answer in full."""

    @property
    def unused(self) -> bool:
        """Whether no row was found, whole or in the columns that an input still has."""
        return self.reply.unused

    @property
    def verdict(self) -> str:
        """``rows-unused``, ``rows-used`` or ``rows-unclear``."""
        return self.reply.verdict

    @property
    def meaning(self) -> str:
        """The verdict in a sentence."""
        return _MEANINGS.get(self.verdict, self.verdict)

    @property
    def grade(self) -> str:
        """The weakest fact that the answer rests on."""
        return self.reply.grade

    def rows(self) -> list[list[Any]]:
        """One line for each look into each input."""
        return [
            [s.label, _way(s), s.columns, s.found, s.found_once, s.distinct, s.rows, s.grade] for s in self.reply.inputs
        ]

    def facts(self) -> dict[str, Any]:
        """The answer by its parts."""
        r = self.reply
        scope, _, uncovered = r.scope.partition(" Not covered: ")
        return {
            "unused": r.unused,
            "verdict": f"{r.verdict}: {self.meaning}",
            "grade": r.grade,
            "not covered": uncovered.removesuffix(".") if r.unused else None,
            "rows": f"{count(r.rows)} of {r.reference}; {count(r.found)} found",
            "repeated": f"{count(r.repeated)} rows have an equal one within {r.reference}" if r.repeated else None,
            "as an object": r.objects,
            "not searched": tuple(f"{one.label}: {one.why}" for one in r.unsearched),
            "scope": scope if r.unused else r.scope,
            "weakest link": r.weakest,
            "checkpoint": f"{r.checkpoint.size} entries, root {r.checkpoint.root}",
            "run": r.run,
        }

    def to_frame(self) -> Any:
        """A data frame, one row for each look into each input."""
        return to_frame([dict(zip(_SEARCH, row, strict=True)) for row in self.rows()], _SEARCH)

    def __repr__(self) -> str:
        r = self.reply
        return f"{r.verdict}  {count(r.found)} of {count(r.rows)} rows of {r.reference} in {r.model}  grade {r.grade}"

    def _repr_html_(self) -> str:
        r = self.reply
        shown = {
            name: value
            for name, value in self.facts().items()
            if name not in ("grade", "verdict", "not searched", "scope", "checkpoint")
        }
        looks = [[*row[:2], *(count(number) for number in row[2:7]), row[7]] for row in self.rows()]
        known_at = f"Holds at checkpoint {r.checkpoint.size}, root {r.checkpoint.root}."
        missing = note("; ".join(f"{one.label}: {one.why}" for one in r.unsearched))
        return card(
            f"rows of {r.reference} in {r.model}",
            note(self.meaning),
            facts(shown),
            table(_SEARCH, looks),
            missing,
            fold("scope", note(r.scope) + note(known_at)),
            badges=(r.verdict, r.grade),
        )


def _way(search: wr.RowSearch) -> str:
    return search.by if search.whole else f"{search.by}, {len(search.missing)} missing"


SEARCHED: Final = _SEARCH
"""Headings of ``RowProof.rows``."""


def all_but(asking: Asking, data: Any, left: Sequence[str]) -> list[str]:
    """The columns of a snapshot without some, to be compared as keys.

    Raises:
        Invalid: it has no such column, or no other.
    """
    shown = asking.ask(
        "data:ShowDataset", wd.ShowDataset(project=asking.project, dataset=reference_of(data)), wd.DatasetDetail
    )
    names = [column.name for column in shown.columns]
    without = frozenset(left)
    rest = [name for name in names if name not in without]
    if strangers := sorted(without - set(names)):
        raise Invalid(
            "MUNI-A131",
            f"{shown.dataset} has no column {visible(strangers[0])!r}",
            columns=names[:20],
            do="leave out columns that are there",
        )
    if not rest:
        raise Invalid("MUNI-A132", f"{shown.dataset} has no other column", left_out=list(left), do="leave out fewer")
    return rest


def overlap_of(
    asking: Asking,
    a: Any,
    b: Any,
    *,
    keys: Sequence[str] = (),
    ignore_names: bool = False,
    watch: Watch | None = None,
    attend: Attend | None = None,
) -> Overlap:
    """How many rows two snapshots share; see ``Data.overlap``."""
    request = wr.CompareRows(
        project=asking.project, a=reference_of(a), b=reference_of(b), keys=list(keys), ignore_names=ignore_names
    )
    return Overlap(_counted(asking, "data:CompareRows", request, attend or _patient(watch)))


def difference_of(
    asking: Asking,
    a: Any,
    b: Any,
    *,
    keys: Sequence[str] = (),
    watch: Watch | None = None,
    attend: Attend | None = None,
) -> Difference:
    """How two snapshots differ; see ``Data.diff``."""
    request = wr.DiffDatasets(project=asking.project, a=reference_of(a), b=reference_of(b), keys=list(keys))
    run = Job(asking, asking.ask("data:DiffDatasets", request, Started).run)
    (attend or _patient(watch))(run)
    return Difference(request.a, request.b, run)


def absence_of_rows(
    asking: Asking,
    what: Any,
    model: Any,
    *,
    keys: Sequence[str] = (),
    watch: Watch | None = None,
    attend: Attend | None = None,
) -> RowProof:
    """Whether rows of a snapshot were in what a model was made from; see ``Data.prove_rows_unused``."""
    request = wr.ProveRowsUnused(
        project=asking.project, reference=reference_of(what), model=reference_of(model), keys=list(keys)
    )
    run = _counted(asking, "data:ProveRowsUnused", request, attend or _patient(watch))
    shown = wr.ShowRowProof(project=asking.project, run=run.reference)
    return RowProof(asking.ask("data:ShowRowProof", shown, wr.RowProof))


def _patient(watch: Watch | None) -> Attend:
    return lambda job: job.wait(watch).checked()


def _counted(asking: Asking, action: str, request: msgspec.Struct, attend: Attend) -> Job:
    """Ask until the fingerprints are there and the rows are counted; the run that counted them."""
    asked = asking.ask(action, request, wr.RowsAsked)
    for _ in range(_ROUNDS):
        if asked.run is not None:
            job = Job(asking, asked.run)
            attend(job)
            return job
        for waiting in asked.waiting:
            attend(Job(asking, waiting))
        asked = asking.ask(action, request, wr.RowsAsked)
    raise Conflict("MUNI-A312", "fingerprints vanish as fast as they are made", waiting=asked.waiting, do="try again")
