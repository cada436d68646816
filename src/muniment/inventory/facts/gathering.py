"""What is known of a model version, as facts that gates, catalogues and reports ask for by name."""

from __future__ import annotations

from datetime import datetime

from muniment.inventory.facts.deriving import facts_from
from muniment.inventory.facts.fact import Fact, Facts
from muniment.inventory.facts.known import Known, load
from muniment.inventory.facts.thresholds import Gate, judge_all, standing_facts
from muniment.kernel.digest import Digest
from muniment.kernel.verb import Call

__all__ = ["Fact", "Facts", "gates_for", "gather_facts"]


def gather_facts(call: Call, digest: Digest, at: datetime | None = None) -> Facts:
    """Every fact about a model version, from what is recorded.

    Args:
        call: the request.
        digest: the version.
        at: as far as it was known then; None for now. What belongs to the installation, such as its keys, is of now.

    Raises:
        NotFound: the project has no such model.
    """
    known = load(call, digest, at)
    found = [*facts_from(known)]
    facts = Facts(found)
    results = judge_all(gates_for(call, known), facts)
    return Facts([*found, *standing_facts(results, facts)])


def gates_for(call: Call, known: Known) -> list[Gate]:
    """The gates that a version has to pass: those of the project, and those of its use case."""
    return list(known.gates)
