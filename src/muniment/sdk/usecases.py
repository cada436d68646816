"""Use cases: what models may be used for. A job outside its use case is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from muniment.sdk.asking import Asking
from muniment.sdk.cells import card, facts, table
from muniment.sdk.frames import to_frame
from muniment.wire import inventory as wi

__all__ = ["UseCase", "UseCaseList", "UseCases"]

_COLUMNS = ("use_case", "purpose", "purpose_class", "exposure", "currency", "owner", "retired")


class UseCase:
    """A use case in its newest version."""

    def __init__(self, detail: wi.UseCase) -> None:
        self.detail = detail
        """Everything stated about it."""

    @property
    def name(self) -> str:
        """Its name."""
        return self.detail.name

    @property
    def version(self) -> int:
        """From 1 on."""
        return self.detail.version

    def __repr__(self) -> str:
        d = self.detail
        end = f"  retired {d.retired[:10]}" if d.retired else ""
        return f"{d.use_case}  {d.purpose}  exposure {d.exposure:,} {d.currency}  owner {d.owner}{end}"

    def _repr_html_(self) -> str:
        d = self.detail
        known = {
            "purpose": d.purpose,
            "class": d.purpose_class,
            "exposure": f"{d.exposure:,} {d.currency}",
            "owner": d.owner,
            "allowed algorithms": d.allowed_algorithms or ["any"],
            "prohibited attributes": d.prohibited_attributes,
            "legal": d.legal,
            "jurisdiction": d.jurisdiction,
            "intended use": d.intended_use,
            "out of scope": d.out_of_scope,
        }
        kpis = table(["key figure", "must hold"], [[kpi.name, kpi.expression] for kpi in d.kpis]) if d.kpis else ""
        return card(d.use_case, facts(known), kpis, kind="use case", badges=("retired",) if d.retired else ())


class UseCaseList(tuple[UseCase, ...]):
    """Use cases, by name."""

    __slots__ = ()

    def to_frame(self) -> Any:
        """A data frame, one row per use case."""
        return to_frame([{name: getattr(one.detail, name) for name in _COLUMNS} for one in self], _COLUMNS)

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))

    def _repr_html_(self) -> str:
        return table(_COLUMNS, [[getattr(one.detail, name) or "" for name in _COLUMNS] for one in self])


class UseCases:
    """The use cases of the project: ``m.use_cases``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def add(
        self,
        name: str,
        *,
        purpose: str,
        owner: str,
        kpis: Mapping[str, str] | None = None,
        legal: Iterable[str] = (),
        jurisdiction: Iterable[str] = (),
        allow: Iterable[str] = (),
        prohibit: Iterable[str] = (),
        exposure: int = 0,
        currency: str = "EUR",
        purpose_class: str = "operations",
        intended_use: str = "",
        out_of_scope: str = "",
    ) -> UseCase:
        """State what models may be used for; under a name that is there, its next version.

        Args:
            name: a name.
            purpose: in a sentence.
            owner: name of the person who answers for it.
            kpis: key figures by name, each an expression such as ``metric.auc >= 0.75``.
            legal: constraints that the law sets.
            jurisdiction: whose law.
            allow: algorithms; none allows any. ``script`` stands for a script of one's own.
            prohibit: columns that no model may learn from.
            exposure: what is decided or measured with such a model, in whole units of currency.
            currency: three letters.
            purpose_class: such as ``credit-decision``; with the exposure it makes the tier.
            intended_use: for whom, in which processes.
            out_of_scope: what it must not be used for.
        """
        request = wi.AddUseCase(
            project=self._asking.project,
            name=name,
            purpose=purpose,
            owner=owner,
            kpis=[wi.Kpi(name=kpi, expression=text) for kpi, text in (kpis or {}).items()],
            legal=list(legal),
            jurisdiction=list(jurisdiction),
            allowed_algorithms=list(allow),
            prohibited_attributes=list(prohibit),
            exposure=exposure,
            currency=currency,
            purpose_class=purpose_class,
            intended_use=intended_use,
            out_of_scope=out_of_scope,
        )
        return UseCase(self._asking.ask("inventory:AddUseCase", request, wi.UseCase))

    def list(self, *, retired: bool = True) -> UseCaseList:
        """The use cases of the project, by name."""
        request = wi.ListUseCases(project=self._asking.project, retired=retired)
        found = self._asking.ask("inventory:ListUseCases", request, wi.UseCases).use_cases
        return UseCaseList(map(UseCase, found))

    def get(self, name: str) -> UseCase:
        """One use case, in its newest version."""
        return UseCase(self.show(name).use_case)

    def show(self, name: str) -> wi.UseCaseDetail:
        """One use case with its history, its experiments and its models."""
        request = wi.ShowUseCase(project=self._asking.project, name=name)
        return self._asking.ask("inventory:ShowUseCase", request, wi.UseCaseDetail)

    def retire(self, name: str, reason: str) -> UseCase:
        """End a use case: nothing new may name it."""
        request = wi.RetireUseCase(project=self._asking.project, name=name, reason=reason)
        return UseCase(self._asking.ask("inventory:RetireUseCase", request, wi.UseCase))

    def bind(self, experiment: str, use_case: str | None) -> wi.Binding:
        """Let every job of an experiment belong to a use case; with None free it."""
        request = wi.BindExperiment(project=self._asking.project, experiment=experiment, use_case=use_case)
        return self._asking.ask("inventory:BindExperiment", request, wi.Binding)
