"""Whether a tracked run stands in the tables as the ledger tells of its end. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from muniment.catalog.model import ActivityKind, Relation
from muniment.execution.auditing import Ends, Kept, Told
from muniment.kernel.canonical import digest_of
from muniment.kernel.grade import Grade
from muniment.tracking.telling import end_run, role_of

_LATER: Final = ("record", "products")
"""What stands in the result of a run beside the evidence that its record digests."""


def differences(told: Told, kept: Kept) -> Iterator[str]:
    """How the tables contradict what the ledger tells of a tracked run."""
    run, activity = kept.run, kept.activity
    if run is None or activity is None:
        yield "it is missing from the database"
        return
    if not told.facts["plan"] == str(digest_of(dict(run.job))) == str(run.plan) == str(activity.plan):
        yield "what it was declared to be is not what was recorded"
    evidence = {name: value for name, value in run.result.items() if name not in _LATER}
    if str(digest_of(evidence)) != told.facts["record"]:
        yield "what was told of it is not what was recorded"
        return
    if run.status.value != told.facts["status"] or activity.kind is not ActivityKind.TRACK:
        yield "its status is not the recorded one"
    if activity.agent != run.requested_by:
        yield "who told of it is told differently"
    used = {(one["role"][:64], one["digest"]) for one in evidence["inputs"]}
    made = {(role_of(one["path"]), one["digest"]) for one in evidence["artifacts"]}
    for relation, wanted in ((Relation.USED, used), (Relation.GENERATED, made)):
        found = {(edge.role, str(edge.entity)) for edge in kept.edges if edge.relation is relation}
        for role, digest in sorted(wanted - found):
            yield f"that it {relation.value} {digest} as {role} is missing"
        for role, digest in sorted(found - wanted):
            yield f"that it {relation.value} {digest} as {role} was added"
    if {edge.grade for edge in kept.edges} - {Grade.DECLARED}:
        yield "its lineage is graded stronger than its word"


ENDS: Final = Ends({end_run.event: differences})
"""The entries by which tracked runs end."""
