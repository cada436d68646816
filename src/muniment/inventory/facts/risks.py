"""The risk register: what can go wrong with a use or a version, each tied to the test that shows it is held down. Pure.

A test is an expression over facts, fixed with the risk, and judged as a gate is: what a run measured before that counts
for nothing. A risk whose test does not come to *yes* is red; that its test cannot be judged makes it no less red.
Source: Regulation (EU) 2024/1689, Article 9(1), (2), (6), (8).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from muniment.inventory.facts.fact import Absent, Fact, Facts, moment_of
from muniment.inventory.facts.thresholds import Gate, GatePart, judge_fixed
from muniment.inventory.model import Record, RecordKind
from muniment.kernel.expressions import Expression, Outcome, parse
from muniment.kernel.grade import Grade

__all__ = ["FAMILY", "Level", "Likelihood", "Risk", "RiskJudged", "judge_risks", "risk_facts", "risks_in"]

FAMILY: Final = "risk"
"""Of the facts about the register; a test cannot ask for them."""


class Likelihood(StrEnum):
    """How likely the harm is."""

    RARE = "rare"
    POSSIBLE = "possible"
    LIKELY = "likely"


class Level(StrEnum):
    """How grave the harm would be."""

    MINOR = "minor"
    SERIOUS = "serious"
    SEVERE = "severe"


@dataclass(frozen=True, slots=True)
class Risk:
    """A risk, and why it is looked after no more, if it is not."""

    record: Record
    retirement: Record | None = None

    @property
    def name(self) -> str:
        """Its name, unique among the living ones on its subject."""
        return str(self.record.body["name"])

    @property
    def test(self) -> Expression:
        """What shows that it is held down."""
        return parse(self.record.body["test"])

    @property
    def min_grade(self) -> Grade:
        """The least grade of a measurement that its test takes."""
        return Grade(self.record.body["min_grade"])

    @property
    def fixed_at(self) -> datetime:
        """When its test was fixed, to the millisecond, by the clock that also names runs."""
        return moment_of(self.record.id)

    @property
    def living(self) -> bool:
        """Whether it is looked after."""
        return self.retirement is None


@dataclass(frozen=True, slots=True)
class RiskJudged:
    """What the test of a risk comes to for one version."""

    name: str
    test: str
    outcome: Outcome
    parts: tuple[GatePart, ...]
    hindsight: bool
    """Whether something was measured before the test was fixed, and so did not count."""

    record: Record
    """The risk itself, or the gate that is set against it."""

    risk: Risk | None
    """None for one that only a gate names."""

    @property
    def red(self) -> bool:
        """Whether nothing shows that it is held down: *no* and *unknown* alike."""
        return self.outcome is not Outcome.YES

    @property
    def why(self) -> str:
        """What its test found."""
        telling = [part for part in self.parts if (part.outcome is not Outcome.YES) is self.red]
        return "; ".join(part.why for part in telling or self.parts)[:1000]


def risks_in(records: Iterable[Record]) -> list[Risk]:
    """The risks among these records, oldest first; retirements are looked for among the same records."""
    records = list(records)
    ended = {str(r.body["risk"]): r for r in reversed(records) if r.kind is RecordKind.RISK_RETIREMENT}
    stated = sorted((r for r in records if r.kind is RecordKind.RISK), key=lambda record: record.id)
    return [Risk(record, ended.get(record.id)) for record in stated]


def judge_risks(risks: Iterable[Risk], gates: Iterable[Gate], facts: Facts) -> list[RiskJudged]:
    """What the tests of the living risks come to, those included that gates are set against.

    Args:
        risks: those of a version and of its use case.
        gates: those that the version has to pass.
        facts: what is known of the version now.
    """
    found = []
    for risk in risks:
        if risk.living:
            judged = judge_fixed(risk.test, facts, fixed_at=risk.fixed_at, min_grade=risk.min_grade, what="risk's test")
            found.append(RiskJudged(risk.name, str(risk.test), *judged, risk.record, risk))
    for gate in gates:
        if gate.risk:
            judged = judge_fixed(gate.expression, facts, fixed_at=gate.fixed_at, min_grade=gate.min_grade)
            found.append(RiskJudged(gate.risk, str(gate.expression), *judged, gate.record, None))
    return found


def risk_facts(judged: Sequence[RiskJudged], subject: str) -> Iterator[Fact | Absent]:
    """What the register comes to, as facts; without a risk nothing is red and nothing is shown to be green.

    Args:
        judged: the living risks.
        subject: digest of the version.
    """
    names = dict.fromkeys(one.name for one in judged)
    record = str(judged[-1].record.digest) if judged else subject
    text = "of the version, of its use case, and those that gates are set against"
    yield Fact("risk.registered", len(names), Grade.PROVEN, record, text)
    if not judged:
        for name in ("risk.red", "risk.open"):
            yield Absent(name, "no risk is registered")
        return
    red = [one for one in judged if one.red]
    still = list(dict.fromkeys(one.name for one in red))
    record = str(red[-1].record.digest) if red else record
    text = f"without a passing test: {'; '.join(still)}"[:300] if red else "each has a passing test"
    yield Fact("risk.red", len(still), Grade.PROVEN, record, text)
    yield Fact("risk.open", still, Grade.PROVEN, record, text)
