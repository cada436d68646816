"""What the outputs of training, of a user's script, of an evaluation and of a comparison are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from muniment.errors import Invalid
from muniment.execution.judging import Interpreter, files_product, read_document, report_product
from muniment.execution.model import Outcome, Product, ResolvedJob, Run

_DESCRIBED: Final = ("algorithm", "target", "classes", "canonical_digest")


def train(run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
    """One model, named, and the report of its training."""
    description = read_document(outcome, "model/model.json")
    features = description.get("features")
    facts: dict[str, Any] = {key: description[key] for key in _DESCRIBED if key in description}
    facts["features"] = len(features) if isinstance(features, list) else 0
    model = files_product(outcome.outputs, "model", kind="model", role="model", name=run.name, facts=facts)
    if model is None:
        raise Invalid("MUNI-M101", "the training left no model", run=run.id)
    return (model, *report_product(outcome))


def script(run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
    """A model when the script left one, and everything else it wrote as one artifact.

    Nothing that the script says of its model is taken over: facts of a model are what the platform stands behind.
    """
    facts = {"algorithm": f"script {job.entry}"}
    model = files_product(outcome.outputs, "model", kind="model", role="model", name=run.name, facts=facts)
    others = files_product(outcome.outputs, "output/data", kind="artifact", role="output", name=None, facts={})
    return tuple(product for product in (model, others) if product is not None)


def evaluate(run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
    """The report of the measurement."""
    read_document(outcome, "output/data/report.json")
    return report_product(outcome, role="evaluation")


def compare(run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
    """The report of the comparison."""
    read_document(outcome, "output/data/report.json")
    return report_product(outcome, role="comparison")


INTERPRETERS: Final[Mapping[str, Interpreter]] = {
    "train": train,
    "run": script,
    "evaluate": evaluate,
    "compare": compare,
}
