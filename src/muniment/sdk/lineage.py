"""Lineage, and proofs that something was not used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from muniment.errors import Unavailable
from muniment.sdk.asking import Asking, reference_of
from muniment.sdk.cells import card, facts, fold, note, picture, table
from muniment.sdk.frames import to_frame
from muniment.sdk.shown import brief, short, visible
from muniment.wire import catalog as wc
from muniment.wire import lineage as wl

__all__ = ["Lineage", "Proof", "Trace"]

_LINK: Final = ("level", "node", "kind", "relation", "role", "by", "at", "grade", "id", "again", "side")
_COLUMN: Final = ("source", "source_column", "target", "target_column", "how", "grade", "run")
_STEP: Final = ("source", "relation", "role", "target", "grade")

_MEANINGS: Final = {
    "unused": "Neither it nor any of its rows could be read on the way to the model.",
    "unused-object": "It could not be read itself, but rows of it may have come another way.",
    "used": "It, a copy or a piece of it, or all of its rows could be read on the way to the model.",
}


class Lineage:
    """Where something comes from (upstream), what was made of it (downstream), or both."""

    def __init__(
        self,
        view: wc.LineageView,
        export: Callable[[str], bytes] | None = None,
        trace: Callable[[], Trace] | None = None,
    ) -> None:
        self.view = view
        """Nodes and edges as they were answered."""
        self._export, self._trace = export, trace

    @property
    def past(self) -> wc.Past | None:
        """The point of the past at which it is told, with the checkpoint that covers it; None for now."""
        return self.view.past

    def prov(self) -> dict[str, Any]:
        """The same lineage as W3C PROV-JSON; ``prov.model.ProvDocument`` reads it."""
        document: dict[str, Any] = json.loads(self._exported("prov"))
        return document

    def openlineage(self) -> list[dict[str, Any]]:
        """The same lineage as OpenLineage run events: start and end of each activity, by time."""
        return [json.loads(line) for line in self._exported("openlineage").splitlines()]

    def in_toto(self) -> dict[str, Any]:
        """How it was made, as in-toto states it: of a model that was made here signed (DSSE), else a bare statement."""
        document: dict[str, Any] = json.loads(self._exported("in-toto"))
        return document

    def ro_crate(self, file: str | Path) -> Path:
        """Write the same lineage as an RO-Crate (Process Run Crate, a zip); gives its path."""
        path = Path(file)
        path.write_bytes(self._exported("ro-crate"))
        return path

    def trace(self) -> Trace:
        """The whole way back to the sources as a story: who, when, from where, and what must not be overlooked."""
        if self._trace is None:
            raise _alone()
        return self._trace()

    def columns(self) -> Any:
        """A data frame, one row per column that rests on another; empty unless asked for with ``columns=True``."""
        return to_frame(self.column_rows(), _COLUMN)

    def column_rows(self) -> list[dict[str, Any]]:
        """The same as plain rows."""
        return [
            {
                "source": one.source_label,
                "source_column": one.source_column,
                "target": one.target_label,
                "target_column": one.target_column,
                "how": one.how,
                "grade": one.grade,
                "run": one.run,
            }
            for one in self.view.columns
        ]

    def _exported(self, form: str) -> bytes:
        if self._export is None:
            raise _alone()
        return self._export(form)

    @property
    def grade(self) -> str:
        """The weakest grade of all its links."""
        return self.view.grade

    @property
    def svg(self) -> str | None:
        """The picture, when it was asked for."""
        return self.view.svg

    def save(self, file: str | Path) -> Path:
        """Write the picture to a file; gives its path."""
        path = Path(file)
        path.write_text(self.view.svg or "", encoding="utf-8")
        return path

    def rows(self) -> list[dict[str, Any]]:
        """The links as a tree in reading order, one row each; a node met again is not unfolded a second time.

        Both ways at once are two trees, first what it comes from and then what was made of it.
        """
        sides = ("upstream", "downstream") if self.view.direction == "both" else (self.view.direction,)
        return [row for side in sides for row in self._side(side)]

    def _side(self, side: str) -> list[dict[str, Any]]:
        nodes = {node.id: node for node in self.view.nodes}
        links: dict[str, list[tuple[str, wc.LineageEdge]]] = {}
        for edge in self.view.edges:
            near, far = (edge.source, edge.target) if side == "upstream" else (edge.target, edge.source)
            links.setdefault(near, []).append((far, edge))
        start = next((node.id for node in self.view.nodes if node.depth == 0), "")
        seen: set[str] = set()

        def walk() -> Iterator[dict[str, Any]]:
            waiting: list[tuple[int, str, wc.LineageEdge | None]] = [(0, start, None)]
            while waiting:
                level, name, edge = waiting.pop()
                node, again = nodes.get(name), name in seen
                if node is None:
                    continue
                seen.add(name)
                yield {
                    "level": level,
                    "node": node.label if node.type == "entity" else node.id,
                    "kind": node.kind,
                    "relation": edge.relation if edge else "",
                    "role": edge.role if edge else "",
                    "by": node.agent or "",
                    "at": node.at or "",
                    "grade": edge.grade if edge else "",
                    "id": node.id,
                    "again": again,
                    "side": side,
                }
                if not again:
                    waiting += [(level + 1, far, link) for far, link in reversed(links.get(name, []))]

        return list(walk())

    def to_frame(self) -> Any:
        """A data frame, one row per link."""
        return to_frame(self.rows(), _LINK)

    def __repr__(self) -> str:
        lines = [
            "  " * row["level"]
            + "  ".join(filter(None, (visible(short(row["node"])), row["kind"], visible(row["role"]), row["grade"])))
            for row in self.rows()
        ]
        return "\n".join([*lines, f"grade {self.grade}"])

    def _repr_html_(self) -> str:
        rows = [
            [
                "\u2003" * row["level"] + short(row["node"]),
                row["kind"],
                row["relation"],
                row["role"],
                row["by"],
                row["grade"],
            ]
            for row in self.rows()
        ]
        links = table(["", "kind", "relation", "role", "by", "grade"], rows)
        title = f"{self.view.direction} of {short(self.view.reference)}"
        told = facts(_as_of(self.view.past)) if self.view.past else ""
        columns = fold(
            f"{len(self.view.columns)} columns and what they rest on",
            table(_COLUMN, [[row[name] for name in _COLUMN] for row in self.column_rows()])
            if self.view.columns
            else "",
        )
        if not self.svg:
            return card(title, told, links, columns, badges=(self.grade,))
        drawn = picture(self.svg, f"lineage, {title}")
        return card(title, told, drawn, fold("as a list", links), columns, badges=(self.grade,))


def _alone() -> Unavailable:
    return Unavailable("MUNI-A527", "this lineage was not asked of a platform, so it has no other form")


def _as_of(past: wc.Past) -> dict[str, Any]:
    return {
        "as of": past.moment,
        "entries then": past.entries,
        "covered by the checkpoint of": f"{past.checkpoint.size} entries",
        "root": past.checkpoint.root,
    }


class Trace:
    """The way of something back to its sources: a page that reads from top to bottom."""

    def __init__(self, view: wl.Trace) -> None:
        self.view = view
        """What was answered."""

    @property
    def grade(self) -> str:
        """The weakest link of the whole way."""
        return self.view.grade

    @property
    def sources(self) -> list[wl.TraceSource]:
        """Where the way ends."""
        return self.view.sources

    @property
    def marks(self) -> list[wl.TraceMark]:
        """What a reader must not overlook: declared links, overrides, what people stated."""
        return self.view.marks

    def to_frame(self) -> Any:
        """A data frame, one row per step, nearest first."""
        return to_frame(self.rows(), _TRACED)

    def rows(self) -> list[dict[str, Any]]:
        """The steps as plain rows."""
        return [
            {
                "run": one.run,
                "kind": one.kind,
                "by": one.by,
                "ended_at": one.ended_at,
                "used": ", ".join(f"{used.reference} as {used.role}" for used in one.used),
                "made": ", ".join(f"{made.reference} as {made.role}" for made in one.made),
                "commit": (one.code or {}).get("commit") or "",
                "grade": one.grade,
            }
            for one in self.view.steps
        ]

    def __repr__(self) -> str:
        lines = [f"{self.view.reference}  grade {self.grade}"]
        lines += [
            "  ".join(
                (
                    "  " + row["kind"],
                    visible(row["made"]),
                    "from",
                    visible(row["used"]),
                    "by",
                    row["by"],
                    row["ended_at"],
                )
            )
            for row in self.rows()
        ]
        lines += [f"  source  {visible(origin_of(one))}" for one in self.view.sources]
        lines += [f"  {one.kind}  {visible(one.what)}" for one in self.view.marks]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        told = facts(_as_of(self.view.past)) if self.view.past else ""
        steps = table(_TRACED, [[row[name] for name in _TRACED] for row in self.rows()])
        sources = table(
            ["source", "kind", "origin", "by", "at", "grade"],
            [[one.reference, one.kind, origin_of(one), one.by, one.at, one.grade] for one in self.view.sources],
        )
        marks = table(
            ["", "what", "by", "at", "reason"],
            [[one.kind, one.what, one.by, one.at, one.reason] for one in self.view.marks],
        )
        known = {"ledger": self.view.origin, "checkpoint": f"{self.view.size}", "root": self.view.root}
        return card(
            f"the way of {self.view.reference}", told, steps, sources, marks, facts(known), badges=(self.grade,)
        )


_TRACED: Final = ("kind", "made", "used", "by", "ended_at", "commit", "grade", "run")


def origin_of(source: wl.TraceSource) -> str:
    """Where the bytes of a source came from, in one line: the word of whoever brought them."""
    said = source.origin or {}
    parts = [f"{said.get('kind')} {said.get('location')}"] if said.get("location") else []
    parts += [f"{name} {said[name]}" for name in ("query", "version", "at", "read_at") if said.get(name)]
    if source.filename and source.filename not in str(said.get("location")):
        parts.append(f"file {source.filename}")
    return ", ".join(parts)


class Proof:
    """Whether something was used to make a model, at a state of the ledger: look at ``verdict`` and ``grade``."""

    def __init__(self, reply: wc.AbsenceReply) -> None:
        self.reply = reply
        """The answer in full."""

    @property
    def verdict(self) -> str:
        """What the search came to.

        - ``used``: the model's making could read it, a copy of it, a piece of it or what it is a piece of, or all of
          its rows under another name (what was split into it, the file it came from).
        - ``unused-object``: it could not be read itself, but rows of it may have come another way; ``path`` shows
          which. Such an answer is never better than declared.
        - ``unused``: neither it nor any of its rows could be read, as far as common descent can tell; ``scope`` says
          what that does not cover.
        """
        return self.reply.verdict

    @property
    def unused(self) -> bool:
        """Whether it was out of reach as an object: True for the verdicts ``unused`` and ``unused-object``.

        Only ``unused`` says that its rows were out of reach too: whoever asks about rows looks at ``verdict``.
        """
        return self.reply.unused

    @property
    def grade(self) -> str:
        """The weakest fact that the answer rests on."""
        return self.reply.grade

    @property
    def scope(self) -> str:
        """What was looked at, and what the answer does not say."""
        return self.reply.scope

    @property
    def checkpoint(self) -> wc.Checkpoint:
        """The signed state of the ledger at which it holds."""
        return self.reply.checkpoint

    @property
    def path(self) -> list[wc.ProofStep]:
        """For ``used`` the way on which it came, for ``unused-object`` the way on which rows of it may have come."""
        return self.reply.path

    def __repr__(self) -> str:
        mark, r = self.checkpoint, self.reply
        state = f"checkpoint=({mark.size}, {mark.root!r})"
        return f"Proof(unused={r.unused}, verdict={r.verdict!r}, grade={r.grade!r}, {state})"

    def to_frame(self) -> Any:
        """The way as a data frame, one row per step; empty when there is none."""
        return to_frame([dict(zip(_STEP, row, strict=True)) for row in self._rows()], _STEP)

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (step.source_label, step.relation.replace("_", " "), step.role, step.target_label, step.grade)
            for step in self.path
        ]

    def _repr_html_(self) -> str:
        r = self.reply
        meaning = _MEANINGS.get(r.verdict, "")
        known = {
            "searched": f"{r.entities} entities, {r.activities} runs",
            "checkpoint": f"{r.checkpoint.size}",
            "root": r.checkpoint.root,
            "weakest link": r.weakest,
            "proven disjoint": [f"{one.part} and {one.other}" for one in r.disjointness],
        }
        return card(
            f"{r.reference} in {r.model}",
            note(meaning),
            facts(known),
            fold("the way", table(_STEP, self._rows()) if self.path else ""),
            fold("what was searched, and what the answer does not say", note(r.scope)),
            badges=(r.verdict, r.grade),
        )


def lineage_of(
    asking: Asking,
    what: Any,
    *,
    direction: str = "upstream",
    depth: int | None = None,
    picture: bool = True,
    columns: bool = False,
    at: str | None = None,
) -> Lineage:
    """Where something comes from, or what was made of it; see ``Client.lineage``."""
    reference = then_called(reference_of(what), at)
    request = wc.GetLineage(
        project=asking.project,
        reference=reference,
        direction=direction,
        depth=depth,
        picture=picture,
        columns=columns,
        at=at,
    )
    return Lineage(
        asking.ask("catalog:GetLineage", request, wc.LineageView),
        lambda form: b"".join(exported(asking, what, form, direction=direction, depth=depth, at=at)),
        lambda: trace_of(asking, what, at=at),
    )


def exported(
    asking: Asking,
    what: Any,
    form: str,
    *,
    direction: str = "upstream",
    depth: int | None = None,
    at: str | None = None,
) -> Iterator[bytes]:
    """A lineage in an open format, piece by piece; see ``ExportLineage`` for the formats."""
    reference = then_called(reference_of(what), at)
    request = wl.ExportLineage(
        project=asking.project, reference=reference, form=form, direction=direction, depth=depth, at=at
    )
    return asking.download("evidence:ExportLineage", request)


def trace_of(asking: Asking, what: Any, *, at: str | None = None) -> Trace:
    """The way of something back to its sources; see ``Lineage.trace``."""
    reference = then_called(reference_of(what), at)
    request = wl.TraceOrigin(project=asking.project, reference=reference, at=at)
    return Trace(asking.ask("evidence:TraceOrigin", request, wl.Trace))


def then_called(reference: str, at: str | None) -> str:
    """A name without version as it was meant at a moment; a size of the ledger names no moment, so nothing is added."""
    bare = not reference.startswith(("sha256:", "run:")) and "@" not in reference
    if at is None or not bare or at.isdecimal():
        return reference
    return f"{reference}@{at}T00:00:00Z" if len(at) == _DAY else f"{reference}@{at}"


_DAY: Final = len("2026-11-01")


def absence_of(asking: Asking, what: Any, model: Any) -> Proof:
    """Whether something was used to make a model; see ``Client.prove_unused``."""
    request = wc.ProveUnused(project=asking.project, reference=reference_of(what), model=reference_of(model))
    return Proof(asking.ask("catalog:ProveUnused", request, wc.AbsenceReply))


def steps(proof: Proof) -> list[str]:
    """The path of a proof, one line per step: how one thing is linked to the next."""
    return [
        f"{step.relation.replace('_', ' ')} {brief(step.target_label)}"
        + (f" as {brief(step.role)}" if step.role else "")
        + f" ({step.grade})"
        for step in proof.path
    ]
