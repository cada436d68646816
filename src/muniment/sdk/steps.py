"""What people do to a registered model: each step takes a signature, which is made here with one's own key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from muniment.sdk.asking import Asking
from muniment.sdk.signing import act
from muniment.wire import inventory as wi

__all__ = ["Steps"]

_ACTS: Final[Mapping[str, tuple[str, type[Any]]]] = {
    "determined": ("inventory:DetermineModel", wi.DetermineModel),
    "submitted for validation": ("inventory:SubmitModel", wi.SubmitModel),
    "validated": ("inventory:ReviewModel", wi.ReviewModel),
    "approved": ("inventory:ApproveModel", wi.ApproveModel),
    "rejected": ("inventory:RejectModel", wi.RejectModel),
    "retired": ("inventory:RetireModel", wi.RetireModel),
    "break-glass": ("inventory:BreakGlass", wi.BreakGlass),
}
"""The verb and the request of each meaning that a signature can have."""


class Steps:
    """A model on its way from draft to approved and retired."""

    _asking: Asking

    @property
    def reference(self) -> str:
        """``model:name@version``."""
        raise NotImplementedError

    def register(
        self,
        *,
        use_case: str | None = None,
        owner: str | None = None,
        description: str = "",
        assumptions: Iterable[str] = (),
        limits: Iterable[str] = (),
        model_kind: str = "model",
    ) -> wi.Registered:
        """Enter it into the inventory, as a draft; a draft can be registered anew.

        Args:
            use_case: what it is for.
            owner: who answers for it; None for oneself.
            description: what it does, in a few sentences.
            assumptions: what it rests on.
            limits: what it must not be relied on for.
            model_kind: ``model``, ``non-model`` or ``eut`` (end-user tool).
        """
        request = wi.RegisterModel(
            project=self._asking.project,
            model=self.reference,
            owner=owner,
            use_case=use_case,
            model_kind=model_kind,
            description=description,
            assumptions=list(assumptions),
            limits=list(limits),
        )
        return self._asking.ask("inventory:RegisterModel", request, wi.Registered)

    def determine(self, answers: Mapping[str, bool], text: str = "") -> wi.VersionState:
        """Determine by answers, which are signed, whether it is a model; ``m.inventory.questions()`` lists them."""
        return self._act("determined", {"answers": dict(answers), "text": text})

    def submit(self, note: str = "") -> wi.VersionState:
        """Submit it for validation."""
        return self._act("submitted for validation", {"note": note})

    def review(self, outcome: str, text: str, *, scope: str = "", conceptual_soundness: str = "") -> wi.VersionState:
        """Record what an independent validation found.

        Args:
            outcome: ``satisfactory``, ``satisfactory with findings`` or ``unsatisfactory``.
            text: what was found.
            scope: what was looked at.
            conceptual_soundness: whether theory, data and method fit the purpose.
        """
        terms = {"outcome": outcome, "text": text, "scope": scope, "conceptual_soundness": conceptual_soundness}
        return self._act("validated", terms)

    def approve(
        self, *, conditions: Iterable[str] = (), use_limits: Iterable[str] = (), expires: str | None = None
    ) -> wi.VersionState:
        """Approve it, on conditions, within limits, until a day; by default as long as its tier allows."""
        terms = {"conditions": list(conditions), "use_limits": list(use_limits), "expires": expires}
        return self._act("approved", terms)

    def reject(self, reason: str) -> wi.VersionState:
        """Reject it for good."""
        return self._act("rejected", {"reason": reason})

    def retire(self, reason: str) -> wi.VersionState:
        """Take it out of use for good."""
        return self._act("retired", {"reason": reason})

    def break_glass(self, reason: str, *, days: int = 7) -> wi.VersionState:
        """Sign an emergency approval; a second administrator signs too, within a day."""
        return self._act("break-glass", {"reason": reason, "days": days})

    def approval(self, *, files: bool = False) -> wi.Approval:
        """Whether it may be loaded and used now, and why; with ``files`` each is read to its end too."""
        request = wi.CheckApproval(project=self._asking.project, model=self.reference, files=files)
        return self._asking.ask("inventory:CheckApproval", request, wi.Approval)

    def standing(self) -> wi.VersionDetail:
        """Where it stands in the inventory: registration, tier, every step so far, who may not judge it."""
        request = wi.ShowVersion(project=self._asking.project, model=self.reference)
        return self._asking.ask("inventory:ShowVersion", request, wi.VersionDetail)

    def _act(self, meaning: str, terms: Mapping[str, Any]) -> wi.VersionState:
        action, request = _ACTS[meaning]
        return act(self._asking, action, request, model=self.reference, meaning=meaning, terms=terms)
