"""Lineage, and proofs that something was not used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from muniment.sdk.asking import Asking, reference_of
from muniment.sdk.cells import card, facts, fold, note, picture, table
from muniment.sdk.frames import to_frame
from muniment.sdk.shown import brief, short, visible
from muniment.wire import catalog as wc

__all__ = ["Lineage", "Proof"]

_LINK: Final = ("level", "node", "kind", "relation", "role", "by", "at", "grade", "id", "again")
_STEP: Final = ("source", "relation", "role", "target", "grade")

_MEANINGS: Final = {
    "unused": "Neither it nor any of its rows could be read on the way to the model.",
    "unused-object": "It could not be read itself, but rows of it may have come another way.",
    "used": "It, a copy or a piece of it, or all of its rows could be read on the way to the model.",
}


class Lineage:
    """Where something comes from (upstream), or what was made of it (downstream)."""

    def __init__(self, view: wc.LineageView) -> None:
        self.view = view
        """Nodes and edges as they were answered."""

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
        """The links as a tree in reading order, one row each; a node met again is not unfolded a second time."""
        nodes = {node.id: node for node in self.view.nodes}
        links: dict[str, list[tuple[str, wc.LineageEdge]]] = {}
        for edge in self.view.edges:
            near, far = (edge.source, edge.target) if self.view.direction == "upstream" else (edge.target, edge.source)
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
        if not self.svg:
            return card(title, links, badges=(self.grade,))
        return card(title, picture(self.svg, f"lineage, {title}"), fold("as a list", links), badges=(self.grade,))


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
    asking: Asking, what: Any, *, direction: str = "upstream", depth: int | None = None, picture: bool = True
) -> Lineage:
    """Where something comes from, or what was made of it; see ``Client.lineage``."""
    request = wc.GetLineage(
        project=asking.project, reference=reference_of(what), direction=direction, depth=depth, picture=picture
    )
    return Lineage(asking.ask("catalog:GetLineage", request, wc.LineageView))


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
