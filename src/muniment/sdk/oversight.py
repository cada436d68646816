"""Oversight of models: gates, findings, effective challenge, reviews that are due, and changes between versions."""

from __future__ import annotations

from typing import Any, Final

from muniment.sdk.asking import Asking, reference_of
from muniment.sdk.cells import card, fold, note, table
from muniment.sdk.frames import to_frame
from muniment.sdk.shown import brief, visible
from muniment.wire import oversight as wo

__all__ = ["Challenge", "Changes", "Findings", "GateAnswer", "Gates", "Reviews", "VersionChange"]

_PART: Final = ("gate", "test", "outcome", "why")
_DIFFERENCE: Final = ("section", "name", "before", "after", "size", "unit")


class GateAnswer:
    """What the gates say of a version: look at ``open``."""

    def __init__(self, reply: wo.GateCheck) -> None:
        self.reply = reply
        """The answer in full."""

    @property
    def open(self) -> bool:
        """Whether every gate is open."""
        return self.reply.open

    @property
    def closed(self) -> list[str]:
        """Names of the gates that are closed."""
        return [gate.name for gate in self.reply.gates if not gate.open]

    def to_frame(self) -> Any:
        """A data frame, one row for each part of each gate."""
        rows = [
            {"gate": gate.name, "test": part.text, "outcome": part.outcome, "why": part.why}
            for gate in self.reply.gates
            for part in gate.parts
        ]
        return to_frame(rows, _PART)

    def __repr__(self) -> str:
        lines = [f"{self.reply.model}  gates {'open' if self.open else 'closed'}"]
        for gate in self.reply.gates:
            lines.append(f"  {visible(gate.name)}@{gate.version}  {'open' if gate.open else 'closed'}")
            lines += [f"    {part.outcome:8}{visible(part.text)}  ({brief(part.why, 200)})" for part in gate.parts]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [
            [gate.name, "open" if gate.open else "closed", part.text, part.outcome, part.why]
            for gate in self.reply.gates
            for part in gate.parts
        ]
        shown = table(["gate", "", "asks", "answer", "found"], rows)
        return card(self.reply.model, shown, kind="gates", badges=("open" if self.open else "closed",))


class Gates:
    """What must hold of a version before it passes a stage: ``m.gates``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def set(
        self,
        name: str,
        expression: str,
        *,
        stage: str = "approve",
        use_case: str | None = None,
        min_grade: str = "proven",
        reason: str = "",
        risk: str = "",
    ) -> wo.GateView:
        """Fix a gate, or its next version; only what is measured afterwards counts for it.

        Args:
            name: its name.
            expression: what must hold, such as ``metric.auc >= 0.75``.
            stage: ``submit`` or ``approve``.
            use_case: the use case whose versions it judges; None for all of the project.
            min_grade: the least grade of measurements that it takes.
            reason: why it says this.
            risk: the risk of the register that it is set against.
        """
        request = wo.SetGate(
            project=self._asking.project,
            name=name,
            expression=expression,
            stage=stage,
            use_case=use_case,
            min_grade=min_grade,
            reason=reason,
            risk=risk,
        )
        return self._asking.ask("inventory:SetGate", request, wo.GateView)

    def withdraw(self, name: str, reason: str, *, use_case: str | None = None) -> wo.GateView:
        """Let a gate judge no more."""
        request = wo.WithdrawGate(project=self._asking.project, name=name, reason=reason, use_case=use_case)
        return self._asking.ask("inventory:WithdrawGate", request, wo.GateView)

    def list(self, use_case: str | None = None, *, history: bool = False) -> wo.Gates:
        """The gates in force, or with ``history`` every version of them."""
        request = wo.ShowGates(project=self._asking.project, use_case=use_case, history=history)
        return self._asking.ask("inventory:ShowGates", request, wo.Gates)

    def check(self, model: Any, *, stage: str | None = None) -> GateAnswer:
        """Whether a version passes its gates now."""
        request = wo.CheckGates(project=self._asking.project, model=reference_of(model), stage=stage)
        return GateAnswer(self._asking.ask("inventory:CheckGates", request, wo.GateCheck))

    def risks(self, model: Any) -> dict[str, str]:
        """The risk register of a version: ``green`` where every test passes that the risk is tied to, else ``red``."""
        results = [result for result in self.check(model).reply.gates if result.risk]
        red = {result.risk for result in results if not result.open}
        return {result.risk: "red" if result.risk in red else "green" for result in results}

    def facts(self, model: Any, *, at: str | None = None) -> wo.FactList:
        """What is known of a version by the names that gates ask for; ``at`` a past moment in ISO 8601."""
        request = wo.ShowFacts(project=self._asking.project, model=reference_of(model), at=at)
        return self._asking.ask("inventory:ShowFacts", request, wo.FactList)


class Findings:
    """What is not as it should be: ``m.findings``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def open(self, model: Any, title: str, *, severity: str, owner: str, due: str, text: str = "") -> wo.FindingView:
        """Record a finding; an open one of high severity closes every gate.

        Args:
            model: the version.
            title: what is wrong, in one line.
            severity: ``high``, ``medium`` or ``low``.
            owner: account that answers for the remedy.
            due: last day on which it is in time, ``2026-12-31``.
            text: more of it.
        """
        request = wo.OpenFinding(
            project=self._asking.project,
            model=reference_of(model),
            title=title,
            severity=severity,
            owner=owner,
            due=due,
            text=text,
        )
        return self._asking.ask("inventory:OpenFinding", request, wo.FindingView)

    def close(self, finding: str, *, evidence: Any, text: str) -> wo.FindingView:
        """Record that a finding is remedied; ``evidence`` is something that exists, such as a run or a model."""
        request = wo.CloseFinding(
            project=self._asking.project, finding=finding, evidence=reference_of(evidence), text=text
        )
        return self._asking.ask("inventory:CloseFinding", request, wo.FindingView)

    def list(
        self,
        model: Any = None,
        *,
        state: str = "open",
        severity: str | None = None,
        owner: str | None = None,
        limit: int = 100,
    ) -> list[wo.FindingView]:
        """Findings, newest first; ``state`` is ``open``, ``overdue``, ``closed`` or ``all``."""
        request = wo.ListFindings(
            project=self._asking.project,
            model=None if model is None else reference_of(model),
            state=state,
            severity=severity,
            owner=owner,
            limit=limit,
        )
        return self._asking.ask("inventory:ListFindings", request, wo.Findings).findings

    def get(self, finding: str) -> wo.FindingDetail:
        """One finding with what was said about it."""
        request = wo.ShowFinding(project=self._asking.project, finding=finding)
        return self._asking.ask("inventory:ShowFinding", request, wo.FindingDetail)


class Challenge:
    """Effective challenge of a version, thread by thread: ``m.challenge``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def ask(self, model: Any, text: str) -> wo.CommentView:
        """Ask something about a version, or about a finding: ``finding:<id>``."""
        reference = reference_of(model)
        about: dict[str, Any] = {"finding" if reference.startswith("finding:") else "model": reference}
        return self._said(wo.Comment(project=self._asking.project, text=text, **about))

    def answer(self, comment: str, text: str) -> wo.CommentView:
        """Answer a comment."""
        return self._said(wo.Comment(project=self._asking.project, text=text, in_reply_to=comment))

    def resolve(self, comment: str, text: str) -> wo.CommentView:
        """Say that a question of one's own is answered, and how."""
        request = wo.Comment(project=self._asking.project, text=text, in_reply_to=comment, resolved=True)
        return self._said(request)

    def threads(self, model: Any) -> wo.Threads:
        """The threads about a version and its findings, or about one finding."""
        reference = reference_of(model)
        about: dict[str, Any] = {"finding" if reference.startswith("finding:") else "model": reference}
        request = wo.ListComments(project=self._asking.project, **about)
        return self._asking.ask("inventory:ListComments", request, wo.Threads)

    def _said(self, request: wo.Comment) -> wo.CommentView:
        return self._asking.ask("inventory:Comment", request, wo.CommentView)


class Reviews:
    """When versions must be looked at again: ``m.reviews``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def schedule(self, model: Any, due: str, reason: str, *, trigger: str = "date") -> wo.ReviewView:
        """Fix the last day, ``2027-05-31``, by which a version must be looked at again."""
        request = wo.ScheduleReview(
            project=self._asking.project, model=reference_of(model), due=due, reason=reason, trigger=trigger
        )
        return self._asking.ask("inventory:ScheduleReview", request, wo.ReviewView)

    def complete(
        self, model: Any, outcome: str, text: str, *, next_due: str | None = None, review: str | None = None
    ) -> list[wo.ReviewView]:
        """Record what came of looking again; settles all that was due, or the one ``review``."""
        request = wo.CompleteReview(
            project=self._asking.project,
            model=reference_of(model),
            outcome=outcome,
            text=text,
            next_due=next_due,
            review=review,
        )
        return self._asking.ask("inventory:CompleteReview", request, wo.Reviews).reviews

    def list(self, model: Any = None, *, state: str = "waiting", limit: int = 100) -> list[wo.ReviewView]:
        """Reviews, the next due first; ``state`` is ``waiting``, ``overdue``, ``done`` or ``all``."""
        request = wo.ListReviews(
            project=self._asking.project,
            model=None if model is None else reference_of(model),
            state=state,
            limit=limit,
        )
        return self._asking.ask("inventory:ListReviews", request, wo.Reviews).reviews


class VersionChange:
    """What differs between two versions, the proposed class and the decision."""

    def __init__(self, reply: wo.VersionComparison) -> None:
        self.reply = reply
        """The answer in full."""

    @property
    def proposed_class(self) -> str:
        """``material``, ``notify before``, ``notify after`` or ``minor``."""
        return self.reply.proposed_class

    @property
    def decided_class(self) -> str | None:
        """What a person decided; None before that."""
        return self.reply.decided_class

    def to_frame(self) -> Any:
        """A data frame, one row for each difference."""
        rows = [{name: getattr(one, name) for name in _DIFFERENCE} for one in self.reply.differences]
        return to_frame(rows, _DIFFERENCE)

    def __repr__(self) -> str:
        r = self.reply
        lines = [f"{r.base} -> {r.model}: {len(r.differences)} differences, proposed {r.proposed_class}"]
        lines += [f"  {reason.change_class}: {brief(reason.because, 200)}" for reason in r.reasons]
        if r.decided_class:
            lines.append(f"  decided {r.decided_class} by {r.decided_by}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        r = self.reply
        rows = [[one.section, one.name, one.before, one.after, one.size] for one in r.differences]
        reasons = table(["class", "because"], [[reason.change_class, reason.because] for reason in r.reasons])
        decided = f"decided {r.decided_class} by {r.decided_by}: {r.decision}" if r.decided_class else ""
        shown = fold("all differences", table(["section", "name", "before", "after", "size"], rows))
        return card(f"{r.base} → {r.model}", reasons, note(decided), shown, kind="change", badges=(r.proposed_class,))


class Changes:
    """Changes between versions of a model: ``m.changes``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def compare(self, base: Any, model: Any) -> VersionChange:
        """What differs between a version and a later one."""
        request = wo.CompareVersions(project=self._asking.project, model=reference_of(model), base=reference_of(base))
        return VersionChange(self._asking.ask("inventory:CompareVersions", request, wo.VersionComparison))

    def decide(self, base: Any, model: Any, change_class: str, reason: str = "") -> VersionChange:
        """Decide the class of a change; another one than the proposed needs a reason."""
        request = wo.ClassifyChange(
            project=self._asking.project,
            model=reference_of(model),
            base=reference_of(base),
            change_class=change_class,
            reason=reason,
        )
        return VersionChange(self._asking.ask("inventory:ClassifyChange", request, wo.VersionComparison))
