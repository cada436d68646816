"""What the outputs of a suggestion are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from muniment.errors import Invalid
from muniment.execution.judging import Interpreter, read_document, report_product
from muniment.execution.model import Outcome, Product, ResolvedJob, Run

FORMAT: Final = "muniment.suggestion/1"


def suggest(run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
    """The report of what is to be tried next, or of what mattered.

    Raises:
        Invalid: the job left no report of the format that a suggestion has.
    """
    report = read_document(outcome, "output/data/report.json")
    if report.get("format") != FORMAT:
        raise Invalid("MUNI-N121", "the job left no suggestion", run=run.id, expected=FORMAT)
    return report_product(outcome, role="suggestion")


INTERPRETERS: Final[Mapping[str, Interpreter]] = {"suggest": suggest}
