"""The verb of the board's report: the board view, set as pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from muniment.catalog.ports import Checkpoints
from muniment.evidence.ports import Typesetter
from muniment.evidence.reporting import board_report
from muniment.inventory.board import list_versions, show_board
from muniment.inventory.model import RecordKind
from muniment.inventory.ports import Records
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.release import VERSION
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Download, Effect, Later, verb
from muniment.ledger.service import Ledger
from muniment.wire import evidence as wire
from muniment.wire import inventory as wi

__all__ = ["VERBS"]

_TOP: Final = 100
_MOST: Final = 10_000
_PIECE: Final = 1 << 20


@verb(
    "evidence:BriefBoard",
    on=PROJECT,
    request=wire.BriefBoard,
    reply=Download,
    event="board.briefed",
    group="catalog:read",
    effect=Effect.READ,
)
def brief_board(call: Call, request: wire.BriefBoard) -> Later:
    """Set the inventory at a glance as a report for a board, as PDF/A; its digest stands in the ledger."""
    board = msgspec.to_builtins(show_board.run(call, wi.ShowBoard(project=request.project, top=_TOP)))
    board |= {
        "overdue_reviews": _listed(call, request, overdue=True),
        "emergencies": _listed(call, request, emergency=True),
        "expired": _listed(call, request, expired=True),
        "registered": _listed(call, request),
        "installation": {"version": VERSION},
    }
    board["dependencies"] = list(_dependencies(call, board["registered"]))
    size, root = call.use(Checkpoints).covering()
    checkpoint = {"origin": call.use(Ledger).origin, "size": size, "root": root, "time": format_time(call.now)}
    typesetter = call.use(Typesetter)

    def make() -> Download:
        pdf = board_report({**board, "checkpoint": checkpoint}, typesetter)
        call.note(report=str(Digest.of(pdf)), bytes=len(pdf), size=size, root=root)
        pieces = (pdf[at : at + _PIECE] for at in range(0, len(pdf), _PIECE))
        return Download(f"{call.project}-board.pdf", "application/pdf", pieces)

    return Later(make)


def _listed(call: Call, request: wire.BriefBoard, **wanted: Any) -> list[dict[str, Any]]:
    found = list_versions.run(call, wi.ListVersions(project=request.project, limit=_MOST, **wanted))
    listed: list[dict[str, Any]] = msgspec.to_builtins(found)["versions"]
    return listed


def _dependencies(call: Call, registered: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Which versions feed which, as people stated where the lineage cannot know it."""
    known = {one["digest"]: one["model"] for one in registered}
    for record in call.use(Records).of_kind(call.project, RecordKind.DEPENDENCY):
        feeding = str(record.body.get("on"))
        yield {
            "upstream": known.get(feeding, feeding),
            "downstream": known.get(record.subject, record.subject),
            "grade": record.grade.value,
            "record": str(record.digest),
        }


VERBS: Final = (brief_board,)
