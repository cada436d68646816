"""Lineage, and proofs that something was not used."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from muniment.sdk.asking import Asking, reference_of
from muniment.sdk.frames import to_frame
from muniment.sdk.shown import brief, facts_html, short, table_html, visible
from muniment.wire import catalog as wc

__all__ = ["Lineage", "Proof"]


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
        return to_frame(self.rows())

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
        caption = f"{self.view.direction} of {self.view.reference}, grade {self.grade}"
        table = table_html(["", "kind", "relation", "role", "by", "grade"], rows, caption=caption)
        if self.svg is None:
            return table
        picture = b64encode(self.svg.encode()).decode()
        return f'<img alt="lineage" src="data:image/svg+xml;base64,{picture}"><details>{table}</details>'


class Proof:
    """Whether something was used to make a model, at a state of the ledger."""

    def __init__(self, reply: wc.AbsenceReply) -> None:
        self.reply = reply
        """The answer in full."""

    @property
    def unused(self) -> bool:
        """True when neither it nor any of its rows could be read on the way to the model."""
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
        """If it was used: the way on which it came."""
        return self.reply.path

    def __repr__(self) -> str:
        mark = self.checkpoint
        return f"Proof(unused={self.unused}, grade={self.grade!r}, checkpoint=({mark.size}, {mark.root!r}))"

    def _repr_html_(self) -> str:
        r = self.reply
        facts = {
            "verdict": r.verdict,
            "grade": r.grade,
            "searched": f"{r.entities} entities, {r.activities} runs",
            "scope": r.scope,
            "weakest link": r.weakest,
            "checkpoint": f"{r.checkpoint.size} / {r.checkpoint.root}",
        }
        known = {name: value for name, value in facts.items() if value}
        path = [[s.source_label, s.relation, s.role, s.target_label, s.grade] for s in r.path]
        title = f"{r.reference} in {r.model}"
        return facts_html(title, known) + (table_html(["", "relation", "role", "", "grade"], path) if path else "")


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
