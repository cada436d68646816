"""Compare the groups of a snapshot with those of a reference population.

Channels ``data`` and ``reference`` hold snapshots. Result: ``report.json`` (``muniment.representation/1``).
"""

from __future__ import annotations

from typing import Final

from muniment.analytics.content import content_digest
from muniment.analytics.representation import AMBER, represent
from muniment.programs.contract import Job, run
from muniment.programs.parameters import Kind, Parameter
from muniment.programs.snapshots import read_snapshot

PARAMETERS: Final = (
    Parameter("columns", Kind.NAMES, "columns that form groups", required=True),
    Parameter("bound", Kind.NUMBER, "greatest population stability index that is fine", AMBER, low=0, high=10),
)


def representation(job: Job) -> None:
    """Read both, compare and report."""
    given = job.parameters(PARAMETERS)
    data, reference = read_snapshot(job.channel("data")), read_snapshot(job.channel("reference"))
    report = represent(data, reference, given["columns"], bound=given["bound"])
    job.metrics(None, {f"psi.{one['columns'][0]}": one["psi"] for one in report["columns"] if one["psi"] is not None})
    digests = {"content_digest": content_digest(data), "reference_digest": content_digest(reference)}
    job.write("report.json", {**report, **digests})


if __name__ == "__main__":
    run(representation)
