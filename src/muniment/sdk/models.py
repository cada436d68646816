"""Models: what was trained, how it measures, where it comes from, and whether it can be made again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from muniment.sdk.asking import Asking, Watch, reference_of
from muniment.sdk.catalogues import Report, report_on
from muniment.sdk.cells import card, facts, fold, table, tiles
from muniment.sdk.evaluations import Evaluation
from muniment.sdk.evidence import EvidencePack, pack_of, save_pack
from muniment.sdk.explanations import Explanation, ExplanationList, explanation_of
from muniment.sdk.frames import to_frame
from muniment.sdk.lineage import Lineage, Proof, absence_of, lineage_of
from muniment.sdk.reproducing import compared, reproduced
from muniment.sdk.shown import headline, measure
from muniment.sdk.steps import Steps
from muniment.wire import execution as wx
from muniment.wire import inventory as wi
from muniment.wire import promotion as wp
from muniment.wire import validation as wv

__all__ = ["Model", "ModelList", "Models"]


class Model(Steps):
    """One version of a model."""

    def __init__(self, asking: Asking, detail: wi.ModelDetail) -> None:
        self._asking = asking
        self.detail = detail
        """Everything recorded about it."""

    @property
    def reference(self) -> str:
        """``model:name@version``."""
        return self.detail.model

    @property
    def digest(self) -> str:
        """Digest of the model: its identity."""
        return self.detail.digest

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of the newest evaluation; empty when it was never evaluated."""
        return dict(self.detail.evaluations[0].metrics) if self.detail.evaluations else {}

    def evaluate(
        self,
        data: Any,
        *,
        threshold: float | None = None,
        groups: Iterable[str | wx.Grouping] = (),
        favourable: str = "negative",
        reference: Any = None,
        protected: Any = None,
        key: str | None = None,
        watch: Watch | None = None,
    ) -> Evaluation:
        """Measure it on a snapshot; gives the run, whose ``metrics()`` are the result.

        Args:
            data: the snapshot, or its reference.
            threshold: score from which a prediction is positive; None takes the model's.
            groups: columns whose groups of people are compared, by name or with a rule; the model need not have them.
            favourable: which prediction is good for the person: ``negative`` or ``positive``.
            reference: the snapshot that scores and features are compared with for stability.
            protected: a snapshot that says who the people are, one row for each key; only this job sees it.
            key: the column that names a case in both; goes with ``protected``.
            watch: see ``Job.wait``.
        """
        request = wx.EvaluateModel(
            project=self._asking.project,
            model=self.reference,
            data=reference_of(data),
            threshold=threshold,
            groups=[wx.Grouping(column=one) if isinstance(one, str) else one for one in groups],
            favourable=favourable,
            reference=None if reference is None else reference_of(reference),
            protected=None if protected is None else reference_of(protected),
            key=key,
        )
        run = self._asking.start("execution:EvaluateModel", request).wait(watch).checked()
        self.detail = model_at(self._asking, self.reference).detail
        return Evaluation.of(run)

    def explain(
        self,
        data: Any,
        *,
        background: Any = None,
        seed: int = 0,
        rows: int | None = None,
        top: int | None = None,
        watch: Watch | None = None,
    ) -> Explanation:
        """Say what each feature contributes to its output on a snapshot, exactly.

        Args:
            data: the snapshot, or its reference; it need not have the target.
            background: snapshot that a linear model's averages are taken over; None takes the explained rows.
            seed: of every sample.
            rows: most rows to explain; None for 50,000.
            top: features with curves and points; None for 12.
            watch: see ``Job.wait``.
        """
        request = wv.ExplainModel(
            project=self._asking.project,
            model=self.reference,
            data=reference_of(data),
            background=None if background is None else reference_of(background),
            seed=seed,
            rows=rows,
            top=top,
        )
        run = self._asking.start("validation:ExplainModel", request).wait(watch).checked()
        return explanation_of(self.reference, run)

    def explanations(self, limit: int = 10) -> ExplanationList:
        """What was found before, newest first."""
        request = wv.ListExplanations(project=self._asking.project, model=self.reference, limit=limit)
        found = self._asking.ask("validation:ListExplanations", request, wv.Explanations)
        return ExplanationList(Explanation(self.reference, one) for one in found.explanations)

    def reproduce(self, watch: Watch | None = None, *, within: float | None = None) -> dict[str, Any]:
        """Make it again from the record alone; gives the verdict and what it rests on.

        Where other bytes come out, both models score what they were made of: the verdict is then ``equivalent`` within
        the bounds that it names, or ``different``. ``within`` is the largest difference of a score that is still
        equivalent; models that score in single precision need one, such as 1e-5.
        """
        return reproduced(self._asking, self.reference, partial(_ended_well, watch=watch), within=within)

    def compare(
        self, other: Any, *, data: Any = None, within: float | None = None, watch: Watch | None = None
    ) -> dict[str, Any]:
        """Score it and another model on the same rows; gives the verdict, and the first cause of a difference.

        Args:
            other: the other model, or its reference.
            data: rows to score, a snapshot or its reference; None takes what this model was made of.
            within: largest difference of a score that is still equivalent.
            watch: see ``Job.wait``.
        """
        rows = None if data is None else reference_of(data)
        wait = partial(_ended_well, watch=watch)
        return compared(self._asking, self.reference, reference_of(other), wait, data=rows, within=within)

    def lineage(self) -> Lineage:
        """Where it comes from, down to file, code and environment."""
        return lineage_of(self._asking, self.reference)

    def uses(self, data: Any) -> Proof:
        """Whether a snapshot was used, directly or not, to make it."""
        return absence_of(self._asking, data, self)

    def report(self, catalogue: str | None = None) -> Report:
        """What the records answer a supervisor, by one control catalogue, or by all that are in force."""
        return report_on(self._asking, self.reference, catalogue)

    def fetch(self) -> Iterator[bytes]:
        """Its files as a tar, chunk by chunk."""
        request = wi.FetchModel(project=self._asking.project, model=self.reference)
        return self._asking.download("inventory:FetchModel", request)

    def evidence(
        self, file: str | Path, *, checkpoint: int | None = None, since: Iterable[int] = (), cosigned: bool = False
    ) -> EvidencePack:
        """Write its evidence pack to a new file, for somebody who trusts nobody.

        Args:
            file: where to.
            checkpoint: as of a checkpoint of that many entries; None for now. The same gives the same bytes.
            since: sizes of checkpoints that the receiver kept, from which the ledger is shown to go on.
            cosigned: with cosignatures of witnesses, who are asked first.
        """
        chunks = pack_of(self._asking, self.reference, checkpoint=checkpoint, since=since, cosigned=cosigned)
        return save_pack(self.reference, chunks, file)

    def to_frame(self) -> Any:
        """Its evaluations as a data frame, one row each."""
        return to_frame(
            [{"data": e.data, "run": e.run, "at": e.created_at, **e.metrics} for e in self.detail.evaluations],
            ("data", "run", "at"),
        )

    def __repr__(self) -> str:
        d = self.detail
        standing = f"  {standing_of(d)}, tier {d.tier}" if d.state else ""
        lines = [f"{d.model}  {d.algorithm}  grade {d.grade}{standing}", f"  digest {d.digest}"]
        lines += [f"  trained on {reference}" for reference in d.trained_on]
        lines += [
            f"  on {e.data}: " + "  ".join(f"{name} {measure(value)}" for name, value in e.metrics.items())
            for e in d.evaluations
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        d = self.detail
        known = {
            "trained on": d.trained_on,
            "run": d.run,
            "digest": d.digest,
            "made by": d.created_by,
            "made": d.created_at,
        }
        names = list(dict.fromkeys(name for e in d.evaluations for name in e.metrics))
        rows = [[e.data, *(measure(e.metrics[n]) if n in e.metrics else "" for n in names)] for e in d.evaluations]
        newest = d.evaluations[0] if d.evaluations else None
        return card(
            d.model,
            tiles(headline(newest.metrics, 8)) if newest else "",
            facts(known | ({"measured on": newest.data} if newest else {})),
            fold("all evaluations", table(["evaluated on", *names], rows) if rows else ""),
            kind=d.algorithm,
            badges=(d.grade, standing_of(d), f"tier {d.tier}" if d.tier else ""),
        )


def _ended_well(run: Any, watch: Watch | None) -> Any:
    return run.wait(watch).checked()


def standing_of(row: wi.ModelSummary | wi.ModelDetail) -> str:
    """Where a model stands in the inventory, in a word; empty for what is not registered."""
    return "EMERGENCY" if row.emergency else "expired" if row.expired else row.state or ""


class ModelList(tuple[wi.ModelSummary, ...]):
    """A list of models, newest first."""

    __slots__ = ()

    def to_frame(self) -> Any:
        """A data frame, one row per model version, with a column per metric."""
        return to_frame(
            [
                {
                    "model": row.model,
                    "algorithm": row.algorithm,
                    "grade": row.grade,
                    "state": standing_of(row) or None,
                    "tier": row.tier,
                    "use_case": row.use_case,
                    "created": row.created_at,
                    "run": row.run,
                    "digest": row.digest,
                    **row.metrics,
                }
                for row in self
            ],
            ("model", "algorithm", "grade", "state", "tier", "use_case", "created", "run", "digest"),
        )

    def __repr__(self) -> str:
        return "\n".join(f"{row.model:40} {row.algorithm:22} {row.grade:9} {standing_of(row)}".rstrip() for row in self)

    def _repr_html_(self) -> str:
        names = list(dict.fromkeys(name for row in self for name in row.metrics))
        rows = [
            [
                row.model,
                row.algorithm,
                *(measure(row.metrics[n]) if n in row.metrics else "" for n in names),
                row.grade,
                standing_of(row),
                row.tier or "",
            ]
            for row in self
        ]
        return table(["model", "algorithm", *names, "grade", "state", "tier"], rows)


class Models:
    """The models of the project: ``m.models``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def list(self, limit: int = 100) -> ModelList:
        """The models of the project, newest first."""
        request = wi.ListModels(project=self._asking.project, limit=limit)
        return ModelList(self._asking.ask("inventory:ListModels", request, wi.Models).models)

    def get(self, reference: str) -> Model:
        """One version, ``model:credit-pd@4`` or ``credit-pd``."""
        return model_at(self._asking, reference)

    def promote(
        self, model: Any, *, source: str, digest: str | None = None, emergency: bool = False, reason: str = ""
    ) -> wp.Promoted:
        """Bring an approved version from another project into this stricter one, under the approval it has there.

        Args:
            model: the version in the other project, its reference there or its digest.
            source: the other project.
            digest: the digest that one means; another one is refused.
            emergency: say that one knows that it is approved by break-glass alone.
            reason: why.
        """
        request = wp.PromoteModel(
            project=self._asking.project,
            source=source,
            model=reference_of(model),
            digest=digest,
            emergency=emergency,
            reason=reason,
        )
        return self._asking.ask("inventory:PromoteModel", request, wp.Promoted)


def model_at(asking: Asking, reference: str) -> Model:
    """The model that a reference leads to."""
    request = wi.ShowModel(project=asking.project, model=reference)
    return Model(asking, asking.ask("inventory:ShowModel", request, wi.ModelDetail))
