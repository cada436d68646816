"""Assurance: risks tied to tests, instructions for use, internal audit, governance, and the impact on people."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from muniment.sdk.asking import Asking, reference_of
from muniment.sdk.cells import card, facts, fold, note, table
from muniment.sdk.frames import to_frame
from muniment.sdk.shown import brief, visible
from muniment.wire import assurance as wa
from muniment.wire import inventory as wi

__all__ = [
    "Audits",
    "Governance",
    "Impacts",
    "InstructionText",
    "Instructions",
    "RiskList",
    "Risks",
    "digest_of_file",
]

_RISK: Final = ("risk", "name", "about", "likelihood", "severity", "owner", "test", "red", "why")


class RiskList(tuple[wa.RiskView, ...]):
    """Risks; for a version each says whether it is red."""

    __slots__ = ()

    @property
    def red(self) -> list[str]:
        """Names of those that are red; empty where no version was named."""
        return list(dict.fromkeys(one.name for one in self if one.red))

    def to_frame(self) -> Any:
        """A data frame, one row per risk."""
        return to_frame([{name: getattr(one, name) for name in _RISK} for one in self], _RISK)

    def __repr__(self) -> str:
        return "\n".join(f"{_light(one):7}{visible(one.name):30} {visible(one.test)}" for one in self)

    def _repr_html_(self) -> str:
        rows = [[_light(one), one.name, one.severity, one.owner, one.test, brief(one.why, 200)] for one in self]
        return table(["", "risk", "severity", "owner", "test", "found"], rows)


class Risks:
    """What can go wrong, tied to tests: ``m.risks``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def add(
        self,
        name: str,
        test: str,
        *,
        description: str,
        harm: str,
        owner: str,
        model: Any = None,
        use_case: str | None = None,
        likelihood: str = "possible",
        severity: str = "serious",
        mitigation: str = "",
        min_grade: str = "proven",
    ) -> wa.RiskView:
        """Register a risk of a version or of a use case; only what is measured afterwards counts for its test.

        Args:
            name: a short name.
            test: over facts, what shows that it is held down.
            description: what can go wrong.
            harm: who is harmed by it, and how.
            owner: account that answers for it.
            model: the version; this or the use case.
            use_case: the use case whose versions all have it.
            likelihood: ``rare``, ``possible`` or ``likely``.
            severity: ``minor``, ``serious`` or ``severe``.
            mitigation: what is done against it.
            min_grade: the least grade of measurements that the test takes.
        """
        request = wa.AddRisk(
            project=self._asking.project,
            name=name,
            description=description,
            harm=harm,
            test=test,
            model=None if model is None else reference_of(model),
            use_case=use_case,
            likelihood=likelihood,
            severity=severity,
            mitigation=mitigation,
            owner=owner,
            min_grade=min_grade,
        )
        return self._asking.ask("inventory:AddRisk", request, wa.RiskView)

    def retire(self, risk: str, reason: str) -> wa.RiskView:
        """Let a risk be looked after no more; never by who had a part in the model."""
        request = wa.RetireRisk(project=self._asking.project, risk=risk, reason=reason)
        return self._asking.ask("inventory:RetireRisk", request, wa.RiskView)

    def list(
        self, model: Any = None, *, use_case: str | None = None, risk: str | None = None, retired: bool = False
    ) -> RiskList:
        """Risks of the project, of a use case, or of a version with those of its use case and which are red."""
        request = wa.ListRisks(
            project=self._asking.project,
            model=None if model is None else reference_of(model),
            use_case=use_case,
            risk=risk,
            retired=retired,
        )
        return RiskList(self._asking.ask("inventory:ListRisks", request, wa.Risks).risks)


class InstructionText:
    """The instructions for use of a version, as its records write them."""

    def __init__(self, reply: wa.Instructions) -> None:
        self.reply = reply
        """All of it."""

    @property
    def text(self) -> str:
        """Markdown."""
        return self.reply.text

    @property
    def digest(self) -> str:
        """Digest of the text: what readers sign."""
        return self.reply.instructions

    @property
    def readers(self) -> list[str]:
        """Who acknowledged the text of now, and had no part in the version."""
        return sorted({one.by for one in self.reply.acknowledged if one.current and one.independent})

    def __repr__(self) -> str:
        return f"{self.text}\n({self.digest})"

    def _repr_html_(self) -> str:
        known = {"digest": self.digest, "it tells nothing of": ", ".join(self.reply.missing)}
        read = [[one.by, one.at[:16], "yes" if one.current else "an older text"] for one in self.reply.acknowledged]
        return card(
            f"instructions for {self.reply.model}",
            facts(known),
            note(self.text),
            fold("who read them", table(["by", "at", "the text of now"], read)),
        )


class Instructions:
    """Instructions for use: ``m.instructions``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def of(self, model: Any) -> InstructionText:
        """The text, its digest, and who acknowledged it."""
        request = wa.ShowInstructions(project=self._asking.project, model=reference_of(model))
        return InstructionText(self._asking.ask("inventory:ShowInstructions", request, wa.Instructions))

    def acknowledge(self, model: Any, digest: str) -> InstructionText:
        """Sign that one read and understood the text with this digest; refused when it has changed since."""
        reference = reference_of(model)
        terms = {"instructions": digest}
        signed = _signed_of_model(self._asking, reference, "read and understood", terms)
        request = wa.AcknowledgeInstructions(project=self._asking.project, model=reference, **signed)
        return InstructionText(self._asking.ask("inventory:AcknowledgeInstructions", request, wa.Instructions))


class Audits:
    """What internal audit examined: ``m.audits``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def examine(
        self,
        model: Any = None,
        *,
        scope: Iterable[str],
        period: tuple[str, str],
        outcome: str,
        text: str,
        next_due: str,
        recommendations: Iterable[str] = (),
    ) -> wa.Examination:
        """Record what was examined of a version, or without one of how the project manages model risk; it is signed.

        Args:
            model: the version; None for the whole.
            scope: ``records``, ``validation``, ``approval``, ``findings``, ``data``, ``ledger``, ``policies``,
                ``inventory``: at least one.
            period: first and last day that was looked at, ``2026-01-01``.
            outcome: ``satisfactory``, ``satisfactory with findings`` or ``unsatisfactory``.
            text: what was found.
            next_due: day by which it is examined again.
            recommendations: what should be done.
        """
        terms = {
            "scope": list(scope),
            "period_from": period[0],
            "period_to": period[1],
            "outcome": outcome,
            "text": text,
            "next_due": next_due,
            "recommendations": list(recommendations),
        }
        if model is None:
            signed = _signed_of_project(self._asking, "examined", terms)
            whole = wa.ExamineManagement(project=self._asking.project, **signed)
            return self._asking.ask("inventory:ExamineManagement", whole, wa.Examination)
        reference = reference_of(model)
        signed = _signed_of_model(self._asking, reference, "examined", terms)
        request = wa.RecordExamination(project=self._asking.project, model=reference, **signed)
        return self._asking.ask("inventory:RecordExamination", request, wa.Examination)

    def list(self, model: Any = None, *, limit: int = 100) -> list[wa.Examination]:
        """Examinations, newest first."""
        reference = None if model is None else reference_of(model)
        request = wa.ListExaminations(project=self._asking.project, model=reference, limit=limit)
        return self._asking.ask("inventory:ListExaminations", request, wa.Examinations).examinations


class Governance:
    """The board's appetite, who is accountable, and what was laid before the board: ``m.governance``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def show(self) -> wa.Governance:
        """What is stated, newest first."""
        request = wa.ShowGovernance(project=self._asking.project)
        return self._asking.ask("inventory:ShowGovernance", request, wa.Governance)

    def state(self, *, appetite: str, accountable: str, policy: str, adopted: str, text: str = "") -> wa.Governance:
        """Record what the board decided, with one's signature.

        Args:
            appetite: how much model risk it takes, in its words.
            accountable: the accountable senior manager, with his function.
            policy: reference of the model risk policy.
            adopted: day of the decision.
            text: more of it.
        """
        terms = {"appetite": appetite, "accountable": accountable, "policy": policy, "adopted": adopted, "text": text}
        signed = _signed_of_project(self._asking, "stated as governance", terms)
        request = wa.StateGovernance(project=self._asking.project, **signed)
        return self._asking.ask("inventory:StateGovernance", request, wa.Governance)

    def lay(self, report: Path | str, day: str, *, before: str = "board", note: str = "") -> wa.Governance:
        """Record that a report was laid before the board on a day, with one's signature.

        Args:
            report: the file, or the digest of its bytes.
            day: ``2026-11-26``.
            before: the board or committee.
            note: what was decided on it.
        """
        digest = report if isinstance(report, str) else digest_of_file(report)
        terms = {"report": digest, "day": day, "before": before, "note": note}
        signed = _signed_of_project(self._asking, "laid before the board", terms)
        request = wa.LayBoardReport(project=self._asking.project, **signed)
        return self._asking.ask("inventory:LayBoardReport", request, wa.Governance)


class Impacts:
    """What a use does to people and to society: ``m.impacts``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def assess(
        self,
        use_case: str,
        *,
        scopes: Iterable[str],
        process: str,
        period: str,
        affected: Iterable[str],
        harms: Iterable[str],
        oversight: str,
        measures: Iterable[str],
        next_due: str,
        legal_basis: str = "",
    ) -> wa.ImpactView:
        """Record an assessment of a use case.

        Args:
            use_case: its name.
            scopes: ``fundamental rights``, ``data protection``, ``people and society``.
            process: what is decided with it, and how.
            period: for how long and how often it is used.
            affected: kinds of people and groups that it may affect.
            harms: what may happen to them.
            oversight: who watches over it, and what he can do.
            measures: what is done when a harm comes about, complaints included.
            next_due: day by which it is assessed again.
            legal_basis: for processing personal data.
        """
        request = wa.AssessImpact(
            project=self._asking.project,
            use_case=use_case,
            scopes=list(scopes),
            process=process,
            period=period,
            affected=list(affected),
            harms=list(harms),
            oversight=oversight,
            measures=list(measures),
            legal_basis=legal_basis,
            next_due=next_due,
        )
        return self._asking.ask("inventory:AssessImpact", request, wa.ImpactView)

    def list(self, use_case: str | None = None) -> list[wa.ImpactView]:
        """Assessments, newest first."""
        request = wa.ListImpacts(project=self._asking.project, use_case=use_case)
        return self._asking.ask("inventory:ListImpacts", request, wa.Impacts).assessments


def digest_of_file(file: Path) -> str:
    """Digest of a file's bytes."""
    with file.open("rb") as content:
        return "sha256:" + hashlib.file_digest(content, "sha256").hexdigest()


def _signed_of_model(asking: Asking, model: str, meaning: str, terms: Mapping[str, Any]) -> dict[str, str]:
    request = wi.PrepareSignature(project=asking.project, model=model, meaning=meaning, terms=dict(terms))
    return _signed(asking, asking.ask("inventory:PrepareSignature", request, wi.Statement))


def _signed_of_project(asking: Asking, meaning: str, terms: Mapping[str, Any]) -> dict[str, str]:
    request = wi.PrepareProjectSignature(project=asking.project, meaning=meaning, terms=dict(terms))
    return _signed(asking, asking.ask("inventory:PrepareProjectSignature", request, wi.Statement))


def _signed(asking: Asking, prepared: wi.Statement) -> dict[str, str]:
    return {"statement": prepared.statement, "signature": asking.sign(prepared.statement)}


def _light(one: wa.RiskView) -> str:
    if one.retired is not None:
        return "retired"
    return "" if one.red is None else ("red" if one.red else "green")
