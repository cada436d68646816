"""What the outputs of an explanation are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from muniment.errors import Invalid
from muniment.execution.judging import Interpreter, read_document, report_product
from muniment.execution.model import Outcome, Product, ResolvedJob, Run

FORMAT: Final = "muniment.explanation/1"


def explain(run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
    """The report of what each feature contributes.

    Raises:
        Invalid: the job left no report of the format that an explanation has.
    """
    report = read_document(outcome, "output/data/report.json")
    if report.get("format") != FORMAT:
        raise Invalid("MUNI-T101", "the job left no explanation", run=run.id, expected=FORMAT)
    return report_product(outcome, role="explanation")


INTERPRETERS: Final[Mapping[str, Interpreter]] = {"explain": explain}
