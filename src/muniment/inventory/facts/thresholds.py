"""Gates: what must hold of a version before it may pass a stage, fixed before the measurement that they judge. Pure.

Four rules keep a gate honest:

1. A gate is open when its expression comes to *yes*; *no* and *unknown* both close it.
2. What a run measured counts only when the run was asked for after the gate, in the version that judges, was fixed. So
   a threshold cannot be fitted to a result, and a looser version of a gate never lets in what a stricter one refused:
   it has to be measured again. Source: Regulation (EU) 2024/1689, Article 9(8), "prior defined metrics and
   probabilistic thresholds".
3. What rests on runs counts only with the grade that the gate asks for, ``proven`` unless it says otherwise.
4. An open finding of high severity and an overdue review close every gate; no expression opens them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from muniment.inventory.facts.fact import MEASURED, Fact, Facts, family_of, moment_of
from muniment.inventory.model import Record
from muniment.kernel.expressions import And, Expression, Not, Or, Outcome, Part, evaluate, parse
from muniment.kernel.grade import Grade, weakest

__all__ = [
    "CORE",
    "Gate",
    "GatePart",
    "GateResult",
    "Stage",
    "gates_in",
    "judge",
    "judge_all",
    "judge_fixed",
    "standing_facts",
]

PROJECT: Final = "project"
"""Subject of a gate that every version of a project passes."""


class Stage(StrEnum):
    """What a gate stands before."""

    SUBMIT = "submit"
    APPROVE = "approve"


@dataclass(frozen=True, slots=True)
class Gate:
    """One version of a gate."""

    record: Record

    @property
    def name(self) -> str:
        """Its name, unique on its subject."""
        return str(self.record.body["name"])

    @property
    def version(self) -> int:
        """From 1 on."""
        return int(self.record.body["version"])

    @property
    def expression(self) -> Expression:
        """What must hold."""
        return parse(self.record.body["expression"])

    @property
    def stage(self) -> Stage:
        """What it stands before."""
        return Stage(self.record.body["stage"])

    @property
    def use_case(self) -> str | None:
        """The use case whose versions it judges; None for all of the project."""
        subject = self.record.subject
        return None if subject == PROJECT else subject.removeprefix("usecase:")

    @property
    def min_grade(self) -> Grade:
        """The least grade of a measurement that it takes."""
        return Grade(self.record.body.get("min_grade", Grade.PROVEN))

    @property
    def risk(self) -> str:
        """The risk that it is set against; empty for none."""
        return str(self.record.body.get("risk", ""))

    @property
    def withdrawn(self) -> bool:
        """Whether this version says that it judges no more."""
        return bool(self.record.body.get("withdrawn"))

    @property
    def fixed_at(self) -> datetime:
        """When this version was fixed, to the millisecond, by the clock that also names runs."""
        return moment_of(self.record.id)


@dataclass(frozen=True, slots=True)
class GatePart:
    """One test of a gate: what was asked, what came out, what was found."""

    text: str
    outcome: Outcome
    """*yes* is what helps the gate to open, also of a test below a ``not``."""

    why: str
    found: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a gate says of a version."""

    name: str
    version: int
    """0 for the built-in ones."""

    stage: Stage | None
    """None for what closes every stage."""

    use_case: str | None
    expression: str
    outcome: Outcome
    parts: tuple[GatePart, ...]
    record: str | None
    """Digest of the record that fixed it; None for the built-in ones."""

    fixed_at: datetime | None
    min_grade: Grade
    hindsight: bool
    """Whether something was measured before the gate was fixed, and so did not count."""

    risk: str = ""
    """The risk that it is set against: without a passing test it is red."""

    @property
    def open(self) -> bool:
        """Whether it lets the version pass."""
        return self.outcome is Outcome.YES

    @property
    def why(self) -> str:
        """Why it is closed, in one line; what was found when it is open."""
        telling = [part for part in self.parts if (part.outcome is Outcome.YES) is self.open]
        return "; ".join(part.why for part in telling or self.parts)[:1000]

    def document(self) -> dict[str, Any]:
        """As it stands in an error or a record: no floats."""
        return {
            "gate": self.name,
            "version": self.version,
            "open": self.open,
            "expression": self.expression,
            "parts": [{"text": p.text, "outcome": p.outcome.value, "why": p.why[:300]} for p in self.parts],
            "record": self.record,
        }


_GRADED: Final = (*MEASURED, "reproduction", "holdout", "data.split_disjoint", "usecase.kpis_met")
"""Families and facts that rest on what runs did: for a gate they count only with the grade that it asks for."""

CORE: Final[Mapping[str, str]] = {
    "core/findings": "findings.high = 0",
    "core/review": "review.overdue = false",
}
"""Always on: by name, what must hold at every stage."""


def gates_in(records: Iterable[Record]) -> list[Gate]:
    """The gates in force among these records: the newest version of each, without those that were withdrawn."""
    newest = {}
    for record in sorted(records, key=lambda record: record.id):
        newest[(record.subject, record.body["name"])] = Gate(record)
    return [gate for _, gate in sorted(newest.items()) if not gate.withdrawn]


def judge_all(gates: Sequence[Gate], facts: Facts) -> tuple[GateResult, ...]:
    """What the built-in gates and these say, in that order."""
    return (*(_judge_core(name, text, facts) for name, text in CORE.items()), *(judge(gate, facts) for gate in gates))


def judge(gate: Gate, facts: Facts) -> GateResult:
    """What one gate says of a version.

    Args:
        gate: the version of the gate that judges.
        facts: what is known of the version now.
    """
    expression = gate.expression
    outcome, parts, late = judge_fixed(expression, facts, fixed_at=gate.fixed_at, min_grade=gate.min_grade)
    return GateResult(
        name=gate.name,
        version=gate.version,
        stage=gate.stage,
        use_case=gate.use_case,
        expression=str(expression),
        outcome=outcome,
        parts=parts,
        record=str(gate.record.digest),
        fixed_at=gate.fixed_at,
        min_grade=gate.min_grade,
        hindsight=late,
        risk=gate.risk,
    )


def judge_fixed(
    expression: Expression, facts: Facts, *, fixed_at: datetime, min_grade: Grade, what: str = "gate"
) -> tuple[Outcome, tuple[GatePart, ...], bool]:
    """What an expression that was fixed at a moment comes to: the outcome, its parts, and whether something that was
    measured before that moment was left out.

    Args:
        expression: what must hold.
        facts: what is known of the version now.
        fixed_at: what a run measured counts only when the run was asked for after it.
        min_grade: the least grade of a measurement that counts.
        what: what the expression is, in words.
    """
    withheld, late = {}, False
    for name in sorted(expression.names & facts.keys()):
        fact = facts[name]
        if family_of(name) in MEASURED and fact.run is not None and moment_of(fact.run) <= fixed_at:
            withheld[name] = f"measured before the {what} was fixed: evaluate again"
            late = True
        elif (family_of(name) in _GRADED or name in _GRADED) and _weaker(fact.grade, min_grade):
            withheld[name] = f"its grade is {fact.grade}, and this {what} asks for {min_grade}"
    outcome, parts = _judge(expression, facts, withheld)
    return outcome, parts, late


def standing_facts(results: Sequence[GateResult], facts: Facts) -> list[Fact]:
    """What the gates themselves come to, as facts."""
    set_ = [result for result in results if result.record is not None]
    record = next((r.record for r in set_ if r.record), next(iter(facts.values())).record if facts else "")
    closed = [f"{result.name}@{result.version}" for result in results if not result.open]
    found = [
        Fact("gate.defined", bool(set_), Grade.PROVEN, record, f"{len(set_)} gates are set"),
        Fact("gate.open", not closed, Grade.PROVEN, record, f"closed: {', '.join(closed)}" if closed else "all open"),
    ]
    if set_:
        late = [f"{result.name}@{result.version}" for result in set_ if result.hindsight]
        text = f"measured before: {', '.join(late)}" if late else "what they judge was measured after they were fixed"
        found.append(Fact("gate.preregistered", not late, Grade.PROVEN, record, text))
    return found


def _judge(expression: Expression, facts: Facts, withheld: Mapping[str, str]) -> tuple[Outcome, tuple[GatePart, ...]]:
    """Kleene's logic over the tests; one that asks for what is withheld is unknown, whatever it asks."""
    plain = facts.plain()
    parts: list[GatePart] = []

    def come_to(one: Expression, turned: bool) -> Outcome:
        match one:
            case And(inner):
                return _least([come_to(part, turned) for part in inner])
            case Or(inner):
                return _negated(_least([_negated(come_to(part, turned)) for part in inner]))
            case Not(inner):
                return _negated(come_to(inner, not turned))
        (part,) = evaluate(one, plain).parts
        found = tuple(facts[name] for name in sorted(one.names) if name in facts)
        judged = _part(part, sorted(one.names), found, facts, withheld)
        parts.append(_turned(judged) if turned else judged)
        return judged.outcome

    return come_to(expression, False), tuple(parts)


def _turned(part: GatePart) -> GatePart:
    """A test below a ``not``, told so that *yes* is what helps the gate to open (De Morgan)."""
    return GatePart(f"not {part.text}", _negated(part.outcome), part.why, part.found)


def _part(
    part: Part, names: Sequence[str], found: tuple[Fact, ...], facts: Facts, withheld: Mapping[str, str]
) -> GatePart:
    reasons = [f"{name}: {withheld[name]}" for name in names if name in withheld]
    if reasons:
        return GatePart(part.text, Outcome.UNKNOWN, f"{part.why}; {'; '.join(reasons)}", found)
    if part.outcome is Outcome.UNKNOWN:
        missing = [f"{name}: {facts.why_absent(name)}" for name in names if name not in facts]
        return GatePart(part.text, part.outcome, "; ".join(missing) or part.why, found)
    return GatePart(part.text, part.outcome, part.why, found)


def _judge_core(name: str, text: str, facts: Facts) -> GateResult:
    outcome, parts = _judge(parse(text), facts, {})
    return GateResult(name, 0, None, None, text, outcome, parts, None, None, Grade.DECLARED, hindsight=False)


def _least(outcomes: Sequence[Outcome]) -> Outcome:
    order = (Outcome.NO, Outcome.UNKNOWN, Outcome.YES)
    return min(outcomes, key=order.index)


def _negated(outcome: Outcome) -> Outcome:
    return {Outcome.YES: Outcome.NO, Outcome.NO: Outcome.YES}.get(outcome, Outcome.UNKNOWN)


def _weaker(grade: Grade, than: Grade) -> bool:
    return grade is not than and weakest((grade, than)) is grade
