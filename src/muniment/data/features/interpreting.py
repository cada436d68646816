"""What the outputs of the feature store's jobs are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from muniment.data.interpreting import snapshot_product
from muniment.errors import Invalid
from muniment.execution.judging import Interpreter, read_document, report_product
from muniment.execution.model import Outcome, Part, Product, ResolvedJob, Run

_MOST_FACTS: Final = 200
"""Features whose columns stand among the facts of the rows; the report has them all."""


def transform(run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
    """The rows of a view, and the report of how they came about."""
    report = read_document(outcome, "output/data/report.json")
    lineage = report.get("column_lineage")
    if not isinstance(lineage, dict) or not isinstance(lineage.get("features"), dict):
        raise Invalid("MUNI-F140", "the build does not say which columns its features rest on", run=run.id)
    facts = {
        "classification": run.facts.get("classification", "confidential"),
        "features": {
            "view": str(job.inputs["view"]),
            "clocks": report.get("clocks"),
            "entities": report.get("entities"),
        },
        "column_lineage": {
            "method": lineage.get("method"),
            "grade": lineage.get("grade"),
            "features": dict(list(lineage["features"].items())[:_MOST_FACTS]),
        },
    }
    return (snapshot_product(outcome, "output/data", "snapshot", "rows", run.name, facts), *report_product(outcome))


def join(run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
    """The requests with their features, and the report of how they were answered."""
    report = read_document(outcome, "output/data/report.json")
    facts = {
        "classification": run.facts.get("classification", "confidential"),
        "joined": {"time": report.get("time"), "from": run.facts.get("columns", {})},
    }
    return (snapshot_product(outcome, "output/data", "snapshot", "joined", run.name, facts), *report_product(outcome))


def publish(run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
    """What was picked for the online table."""
    picked = outcome.output("output/data/online.jsonl")
    if picked is None:
        raise Invalid("MUNI-F143", "the job picked nothing for the online table", run=run.id)
    part = Part("online.jsonl", picked.sealed.digest, picked.sealed.size)
    facts = {"what": "values for the online table", "classification": run.facts.get("classification", "confidential")}
    product = Product(kind="artifact", digest=part.digest, role="online", parts=(part,), facts=facts)
    return (product, *report_product(outcome))


def compared(run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
    """A comparison, a report."""
    read_document(outcome, "output/data/report.json")
    return tuple(replace(one, role=run.kind) for one in report_product(outcome))


INTERPRETERS: Final[Mapping[str, Interpreter]] = {
    "transform": transform,
    "join": join,
    "publish": publish,
    "skew": compared,
    "drift": compared,
}
