"""What the jobs of data stewards leave: counts of a person's rows, and a snapshot without them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from muniment.data.interpreting import snapshot_product
from muniment.execution.judging import Interpreter, read_document, report_product
from muniment.execution.model import Outcome, Product, ResolvedJob, Run


def scan(run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
    """The counts, a report."""
    read_document(outcome, "output/data/report.json")
    return report_product(outcome, role="scan")


def redact(run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
    """The next version of the snapshot, without the person."""
    facts = {"classification": run.facts.get("classification", "confidential")}
    made = snapshot_product(outcome, "output/data", "snapshot", "snapshot", run.name, facts)
    return (made, *report_product(outcome))


INTERPRETERS: Final[Mapping[str, Interpreter]] = {"scan": scan, "redact": redact}
