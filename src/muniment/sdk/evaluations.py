"""Evaluations: how good a model is, how stable its world, and how it treats groups of people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from muniment.sdk.asking import Job
from muniment.sdk.cells import fold, note, table
from muniment.sdk.frames import to_frame
from muniment.sdk.shown import count

__all__ = ["Evaluation"]

_GROUP = ("column", "group", "rows", "compared", "selection_rate", "air", "spd", "smd", "p_fisher", "tpr", "fpr")
_BAND = ("band", "low", "high", "rows", "positives", "rate", "mean_score", "capture", "lift")


class Evaluation(Job):
    """A run that measured a model; besides everything a run has, its tables."""

    @classmethod
    def of(cls, run: Job) -> Self:
        """The evaluation that a run is."""
        found = cls(run._asking, run.reference)
        found._detail = run.detail
        return found

    @property
    def report(self) -> dict[str, Any]:
        """The whole report."""
        return dict(self.detail.report or {})

    @property
    def groups(self) -> list[dict[str, Any]]:
        """How groups fare, one document per column that was asked for."""
        return list(self.report.get("groups") or [])

    @property
    def stability(self) -> dict[str, Any] | None:
        """How far scores and features have moved from the reference; None when there was none."""
        return self.report.get("stability")

    def groups_frame(self) -> Any:
        """A data frame, one row per group."""
        rows = [{"column": one["column"], **group} for one in self.groups for group in one["groups"]]
        return to_frame([{name: row.get(name) for name in _GROUP} for row in rows], _GROUP)

    def bands_frame(self) -> Any:
        """A data frame, one row per score band, the riskiest first."""
        return to_frame([{name: band.get(name) for name in _BAND} for band in self._bands()], _BAND)

    def _repr_html_(self) -> str:
        bands = [
            [
                f"{band['low']:.3f} to {band['high']:.3f}",
                count(band["rows"]),
                _share(band["rate"]),
                _share(band["mean_score"]),
                _share(band["capture"]),
                "–" if band["lift"] is None else f"{band['lift']:.2f}",
            ]
            for band in self._bands()
        ]
        headers = ["scores, riskiest first", "rows", "rate", "predicted", "caught so far", "lift"]
        return self.card(
            *(_groups(one) for one in self.groups),
            _stability(self.stability),
            fold("score bands", table(headers, bands) if bands else ""),
        )

    def _bands(self) -> list[dict[str, Any]]:
        return list(self.report.get("score_bands") or [])


def _groups(one: Mapping[str, Any]) -> str:
    rows = [
        [
            group["group"] + ("" if group["compared"] else " (too few)"),
            count(group["rows"]),
            _share(group["selection_rate"]),
            "–" if group["air"] is None else f"{group['air']:.4f}",
            "" if group.get("spd") is None else f"{100 * group['spd']:+.1f} pp",
            "" if group.get("smd") is None else f"{group['smd']:+.3f}",
            "" if group.get("p_fisher") is None else f"{group['p_fisher']:.2g}",
            _share(group["tpr"]),
            _share(group["fpr"]),
        ]
        for group in one["groups"]
    ]
    air = one["air"]
    lowest = f"{air:.4f} for {one['air_group']}" if air is not None else f"– {one['undefined'].get('air', '')}"
    words = f"{one['column']}: adverse impact ratio {lowest}; favourable is {one['favourable']}"
    return note(words) + table([one["column"], "rows", "rate", "AIR", "SPD", "SMD", "Fisher p", "TPR", "FPR"], rows)


def _stability(one: Mapping[str, Any] | None) -> str:
    if not one:
        return ""
    rows = [[f["feature"], "–" if f["csi"] is None else f"{f['csi']:.4f}"] for f in one["features"]]
    value = "–" if one["psi"] is None else f"{one['psi']:.4f}"
    return note(f"PSI of scores {value}, most moved {one['csi_feature']}") + fold("all CSI", table(["", "CSI"], rows))


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
