"""The verbs of gates, and the check that submission and approval pass through. The rules stand in ``thresholds``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from muniment.catalog.naming import label
from muniment.catalog.resources import MODEL
from muniment.errors import Conflict, Invalid, NotFound
from muniment.inventory.citing import model_of, one_of, text_of
from muniment.inventory.facts.deriving import facts_from
from muniment.inventory.facts.fact import FAMILIES, NAMES, Fact, Facts, family_of, near
from muniment.inventory.facts.gathering import gates_for, gather_facts
from muniment.inventory.facts.known import load
from muniment.inventory.facts.thresholds import CORE, PROJECT, Gate, GatePart, GateResult, Stage, gates_in, judge_all
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.inventory.recording import keep
from muniment.inventory.usecases import living_use_case, subject_of
from muniment.kernel.digest import Digest
from muniment.kernel.expressions import parse
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import check_name, format_time, parse_time
from muniment.kernel.resources import PROJECT as WHOLE_PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import oversight as wire

_OF_GATES: Final = frozenset({"gate"})
"""Facts that gates come to, and so cannot ask for."""

OF_RISKS: Final = frozenset({"gate", "risk"})
"""Facts that the tests of risks come to, and so cannot ask for."""

__all__ = ["OF_RISKS", "VERBS", "GateResult", "Stage", "check", "check_names", "part_view", "require_open"]


def check(call: Call, digest: Digest, stage: str | None = None) -> tuple[GateResult, ...]:
    """What every gate of a stage says of a version now; the built-in ones come first.

    Args:
        call: the request.
        digest: the version.
        stage: ``submit`` or ``approve``; None for both.

    Raises:
        NotFound: the project has no such model.
    """
    known = load(call, digest)
    gates = [gate for gate in gates_for(call, known) if stage is None or gate.stage == stage]
    return judge_all(gates, Facts(facts_from(known)))


def require_open(call: Call, digest: Digest, stage: str) -> tuple[GateResult, ...]:
    """Like ``check``, for whoever goes on only when every gate is open.

    Raises:
        Conflict: one is closed; the facts name each closed gate, its parts and what was found.
    """
    results = check(call, digest, stage)
    closed = [result for result in results if not result.open]
    if closed:
        raise Conflict(
            "MUNI-M351",
            f"a gate is closed: {', '.join(result.name for result in closed)}",
            model=label(call.session, call.project, digest),
            stage=stage,
            closed=[result.document() for result in closed],
            because=[f"{result.name}: {result.why}" for result in closed],
            do="muni gate check MODEL shows each part",
        )
    return results


@verb(
    "inventory:SetGate",
    on=WHOLE_PROJECT,
    request=wire.SetGate,
    reply=wire.GateView,
    event="gate.set",
    group="inventory:manage",
)
def set_gate(call: Call, request: wire.SetGate) -> wire.GateView:
    """Fix what must hold of a version before it passes a stage; only what is measured afterwards counts."""
    name = check_name(request.name, "gate")
    expression = parse(request.expression)
    check_names(expression.names, _OF_GATES, "a gate")
    stage = one_of(Stage, request.stage, "stage")
    grade = one_of(Grade, request.min_grade, "min_grade")
    risk = request.risk.strip()[:500]
    if risk:
        check_names(expression.names, OF_RISKS, "the test of a risk")
    subject = _subject(call, request.use_case)
    before = _versions(call, subject, name)
    if before:
        newest = Gate(before[-1])
        said = (str(newest.expression), newest.stage, newest.min_grade, newest.risk)
        if said == (str(expression), stage, grade, risk) and not newest.withdrawn:
            raise Conflict(
                "MUNI-M352",
                f"the gate {name!r} says this already",
                gate=name,
                version=newest.version,
                do="fixing it anew would only ask for new measurements: leave it as it is",
            )
    body = {
        "name": name,
        "version": len(before) + 1,
        "expression": str(expression),
        "stage": stage.value,
        "min_grade": grade.value,
        "reason": request.reason.strip()[:2000],
        "risk": risk,
    }
    record = keep(call, RecordKind.GATE, subject, body)
    call.note(gate=f"{name}@{body['version']}", subject=subject)
    return _view(record)


@verb(
    "inventory:WithdrawGate",
    on=WHOLE_PROJECT,
    request=wire.WithdrawGate,
    reply=wire.GateView,
    event="gate.withdrawn",
    group="inventory:manage",
)
def withdraw_gate(call: Call, request: wire.WithdrawGate) -> wire.GateView:
    """Let a gate judge no more; every version of it stays in the record."""
    subject = PROJECT if request.use_case is None else subject_of(request.use_case)
    before = _versions(call, subject, request.name)
    if not before or Gate(before[-1]).withdrawn:
        raise NotFound("MUNI-M253", f"there is no gate {request.name[:80]!r}", gate=request.name[:200], subject=subject)
    body = {
        **before[-1].body,
        "version": len(before) + 1,
        "reason": text_of(request.reason, "reason"),
        "withdrawn": True,
    }
    record = keep(call, RecordKind.GATE, subject, body)
    call.note(gate=f"{request.name}@{body['version']}", subject=subject)
    return _view(record)


@verb(
    "inventory:ShowGates",
    on=WHOLE_PROJECT,
    request=wire.ShowGates,
    reply=wire.Gates,
    event="gates.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_gates(call: Call, request: wire.ShowGates) -> wire.Gates:
    """Show the gates of a project, or those that versions of a use case pass."""
    records = call.use(Records).of_kind(call.project, RecordKind.GATE)
    if request.use_case is not None:
        living_use_case(call.session, call.project, request.use_case)
        records = [r for r in records if r.subject in (PROJECT, subject_of(request.use_case))]
    if not request.history:
        records = [gate.record for gate in gates_in(records)]
    ordered = sorted(records, key=lambda record: (record.subject, record.body["name"], -record.body["version"]))
    return wire.Gates(gates=[_view(record) for record in ordered], always=dict(CORE))


@verb(
    "inventory:CheckGates",
    on=MODEL,
    request=wire.CheckGates,
    reply=wire.GateCheck,
    event="gates.checked",
    group="catalog:read",
    effect=Effect.READ,
)
def check_gates(call: Call, request: wire.CheckGates) -> wire.GateCheck:
    """Say whether a version passes its gates now, with each part, the value found and why."""
    stage = None if request.stage is None else one_of(Stage, request.stage, "stage").value
    model = model_of(call, request.model)
    results = check(call, model.digest, stage)
    closed = [result.name for result in results if not result.open]
    call.note(model=str(model.digest), open=not closed, closed=closed)
    return wire.GateCheck(
        model=label(call.session, call.project, model.digest),
        digest=str(model.digest),
        open=not closed,
        gates=[_result(result) for result in results],
    )


@verb(
    "inventory:ShowFacts",
    on=MODEL,
    request=wire.ShowFacts,
    reply=wire.FactList,
    event="facts.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_facts(call: Call, request: wire.ShowFacts) -> wire.FactList:
    """Show what is known of a version by the names that gates ask for, each with its grade and its record."""
    model = model_of(call, request.model)
    facts = gather_facts(call, model.digest, None if request.at is None else parse_time(request.at))
    call.note(model=str(model.digest), facts=len(facts))
    return wire.FactList(
        model=label(call.session, call.project, model.digest),
        digest=str(model.digest),
        facts=[_fact(fact) for fact in facts.values()],
        absent=facts.absent(),
    )


def check_names(names: Iterable[str], forbidden: frozenset[str], what: str) -> None:
    """Refuse an expression that could never hold because it asks for what no fact is called, or for itself.

    Args:
        names: of the facts that it asks for.
        forbidden: families that it cannot ask for, as they come of it.
        what: what the expression is, in words.
    """
    for name in sorted(names):
        alike = near(name)
        if alike is not None or family_of(name) in forbidden:
            raise Invalid(
                "MUNI-M155",
                f"no fact is called {name[:80]!r}, or {what} cannot ask for it",
                name=name[:200],
                near=alike or [],
                families=sorted({*map(family_of, NAMES), *FAMILIES} - forbidden),
                do="muni gate facts MODEL lists what is known",
            )


def _subject(call: Call, use_case: str | None) -> str:
    if use_case is None:
        return PROJECT
    return subject_of(living_use_case(call.session, call.project, use_case).name)


def _versions(call: Call, subject: str, name: str) -> list[Record]:
    """Every version of a gate, oldest first."""
    records = call.use(Records).about(call.project, [subject], RecordKind.GATE)
    return [record for record in records if record.body["name"] == name]


def _view(record: Record) -> wire.GateView:
    gate = Gate(record)
    return wire.GateView(
        name=gate.name,
        version=gate.version,
        expression=str(record.body["expression"]),
        stage=gate.stage.value,
        use_case=gate.use_case,
        min_grade=gate.min_grade.value,
        reason=str(record.body.get("reason", "")),
        fixed_at=format_time(record.at),
        fixed_by=record.by,
        record=str(record.digest),
        withdrawn=gate.withdrawn,
        risk=gate.risk,
    )


def _result(result: GateResult) -> wire.GateResult:
    return wire.GateResult(
        name=result.name,
        version=result.version,
        stage=None if result.stage is None else result.stage.value,
        use_case=result.use_case,
        expression=result.expression,
        open=result.open,
        why=result.why,
        parts=[part_view(part) for part in result.parts],
        record=result.record,
        fixed_at=None if result.fixed_at is None else format_time(result.fixed_at),
        min_grade=result.min_grade.value,
        risk=result.risk,
    )


def part_view(part: GatePart) -> wire.GatePart:
    """A test as it is shown."""
    return wire.GatePart(
        text=part.text, outcome=part.outcome.value, why=part.why, found=[_fact(fact) for fact in part.found]
    )


def _fact(fact: Fact) -> wire.FactView:
    return wire.FactView(name=fact.name, value=fact.value, grade=fact.grade.value, record=fact.record, text=fact.text)


VERBS: Final = (set_gate, withdraw_gate, show_gates, check_gates, show_facts)
