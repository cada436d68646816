"""Whether groups of people are treated alike: rates, ratios and differences from integer counts.

Everything but the differences of scores is a function of four counts per group, so it adds up over any parts of the
rows and is exact. A number without a value is None with its reason beside it: it is never 0, 1 or infinite.
Significance stands beside a ratio and never in place of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

import numpy as np

__all__ = ["Group", "count_groups", "fisher", "two_sample", "unfairness", "wilson"]

LEAST_SHARE: Final = 0.02
"""A group below this share of the rows is shown and not compared (29 CFR 1607.4(D))."""

_TWO_SIDED_95: Final = 1.959963984540054
_TIE: Final = 1e-7


@dataclass(frozen=True, slots=True)
class Group:
    """What is counted of one group."""

    name: str
    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int
    scores: tuple[float, ...] = field(default=(), repr=False)

    @property
    def rows(self) -> int:
        """Rows of the group."""
        return self.true_positive + self.false_positive + self.true_negative + self.false_negative

    @property
    def positives(self) -> int:
        """Rows whose outcome was positive."""
        return self.true_positive + self.false_negative

    @property
    def predicted(self) -> int:
        """Rows that are predicted positive."""
        return self.true_positive + self.false_positive


def count_groups(
    codes: np.ndarray, names: Sequence[str], labels: np.ndarray, predicted: np.ndarray, scores: np.ndarray
) -> list[Group]:
    """The counts of each group.

    Args:
        codes: place of each row's group in ``names``, negative for none.
        names: the groups.
        labels: True where the outcome was positive.
        predicted: True where the prediction is positive.
        scores: float64.
    """
    inside = codes >= 0
    cells = (codes[inside] * 4 + 2 * labels[inside] + predicted[inside]).astype(np.int64)
    counts = np.bincount(cells, minlength=4 * len(names)).reshape(len(names), 4)
    return [
        Group(
            name,
            true_positive=int(counts[number, 3]),
            false_positive=int(counts[number, 1]),
            true_negative=int(counts[number, 0]),
            false_negative=int(counts[number, 2]),
            scores=tuple(scores[codes == number].tolist()),
        )
        for number, name in enumerate(names)
    ]


def wilson(hits: int, rows: int) -> tuple[float, float] | None:
    """The 95 % interval of a share; None without rows. Source: Wilson (1927), JASA 22."""
    if not rows:
        return None
    share, squared = hits / rows, _TWO_SIDED_95**2
    centre = share + squared / (2 * rows)
    reach = _TWO_SIDED_95 * math.sqrt(share * (1 - share) / rows + squared / (4 * rows * rows))
    low, high = (centre - reach) / (1 + squared / rows), (centre + reach) / (1 + squared / rows)
    return (0.0 if hits == 0 else max(0.0, low)), (1.0 if hits == rows else min(1.0, high))


def two_sample(hits: int, rows: int, other_hits: int, other_rows: int) -> tuple[float, float] | None:
    """The z of the difference of two shares with pooled variance, and its two-sided p; None without a value."""
    if not rows or not other_rows:
        return None
    pooled = (hits + other_hits) / (rows + other_rows)
    variance = pooled * (1 - pooled) * (1 / rows + 1 / other_rows)
    if variance <= 0:
        return None
    z = (hits / rows - other_hits / other_rows) / math.sqrt(variance)
    return z, math.erfc(abs(z) / math.sqrt(2))


def fisher(hits: int, rows: int, other_hits: int, other_rows: int) -> float | None:
    """Fisher's exact test, two-sided: how likely a table at most as likely as this one is, with these margins.

    Source: Fisher (1935), *The Design of Experiments*; tables within 1e-7 of the observed one's chance count as equal
    to it. None without rows on one side.
    """
    if not rows or not other_rows:
        return None
    drawn, everything = hits + other_hits, rows + other_rows
    low, high = max(0, drawn - other_rows), min(rows, drawn)
    # Logarithms of the ratios of neighbouring chances of the hypergeometric distribution, added up from the lowest.
    k = np.arange(low, high, dtype=np.float64)
    steps = np.log((rows - k) * (drawn - k)) - np.log((k + 1) * (everything - rows - drawn + k + 1))
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    chances = np.exp(logs - logs.max())
    here = chances[hits - low]
    return min(1.0, float(chances[chances <= here * (1 + _TIE)].sum() / chances.sum()))


@dataclass(slots=True)
class _Shown:
    """Values by name, and the reasons of those that have none."""

    values: dict[str, Any] = field(default_factory=dict)
    undefined: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, value: Any, reason: str) -> None:
        self.values[name] = value
        if value is None:
            self.undefined[name] = reason

    def document(self) -> dict[str, Any]:
        return {**self.values, "undefined": self.undefined}


def unfairness(groups: Sequence[Group], *, favourable: str, favoured: str | None) -> dict[str, Any]:
    """How each group fares, and the worst differences between those that are large enough to be compared.

    ``air`` (adverse impact ratio) is a group's rate of favourable predictions over the highest rate of a compared group
    (29 CFR 1607.4(D): below 4/5 is evidence of adverse impact). All differences are those to the reference, which is
    the favoured group if one is named, else the group of the highest rate: ``spd`` of rates, ``smd`` of mean scores in
    population standard deviations of all rows, ``di`` the ratio of rates, z and Fisher's p of the rates.

    Args:
        groups: of one column, without rows whose group is not known.
        favourable: ``negative`` or ``positive``: which prediction is good for the person.
        favoured: name of the group that the others are compared with; None for the one of the highest rate.
    """
    rows = sum(group.rows for group in groups)
    hits = {one.name: one.rows - one.predicted if favourable == "negative" else one.predicted for one in groups}
    large = [one for one in groups if one.rows >= LEAST_SHARE * rows and one.rows]
    highest = max(large, key=lambda one: (Fraction(hits[one.name], one.rows), one.rows), default=None)
    reference = next((one for one in groups if one.name == favoured), highest)
    mean, sd = _moments([score for one in groups for score in one.scores])
    found = [_group(one, hits, rows, large=one in large, highest=highest, reference=reference, sd=sd) for one in groups]
    return {
        "favourable": favourable,
        "favoured": favoured,
        "highest": None if highest is None else highest.name,
        "reference": None if reference is None else reference.name,
        "rows": rows,
        "least_share": LEAST_SHARE,
        "mean_score": mean,
        "sd_score": sd,
        "groups": found,
        **_worst(found, None if reference is None else reference.name),
    }


def _group(
    one: Group,
    hits: Mapping[str, int],
    rows: int,
    *,
    large: bool,
    highest: Group | None,
    reference: Group | None,
    sd: float | None,
) -> dict[str, Any]:
    shown = _Shown()
    mine = hits[one.name]
    rate = mine / one.rows if one.rows else None
    shown.put("selection_rate", rate, "the group has no rows")
    shown.put("interval", None if rate is None else list(wilson(mine, one.rows) or ()), "the group has no rows")
    negatives = one.rows - one.positives
    shown.put("base_rate", one.positives / one.rows if one.rows else None, "the group has no rows")
    shown.put("tpr", one.true_positive / one.positives if one.positives else None, "no row of the group is positive")
    shown.put("fpr", one.false_positive / negatives if negatives else None, "no row of the group is negative")
    mean, _ = _moments(one.scores)
    shown.put("mean_score", mean, "the group has no rows")
    best = 0 if highest is None else hits[highest.name]
    # One division of integers: a ratio of exactly four fifths is 0.8 and not a hair less.
    air = mine * highest.rows / (one.rows * best) if highest is not None and one.rows and best else None
    shown.put("air", air, "no compared group has a favourable prediction")
    if reference is not None and reference.rows and one is not reference:
        _against(shown, one, mine, reference, hits[reference.name], mean, sd)
    return {
        "group": one.name,
        "rows": one.rows,
        "share": one.rows / rows if rows else None,
        "compared": large,
        "positives": one.positives,
        "favourable": mine,
        "true_positive": one.true_positive,
        "false_positive": one.false_positive,
        "true_negative": one.true_negative,
        "false_negative": one.false_negative,
        **shown.document(),
    }


def _against(
    shown: _Shown, one: Group, mine: int, reference: Group, theirs: int, mean: float | None, sd: float | None
) -> None:
    """What differs between a group and the reference."""
    rows, others = one.rows, reference.rows
    spd = (mine * others - theirs * rows) / (rows * others) if rows else None
    shown.put("spd", spd, "the group has no rows")
    di = mine * others / (rows * theirs) if rows and theirs else None
    shown.put("di", di, "the reference has no favourable prediction")
    centre, _ = _moments(reference.scores)
    apart = None if mean is None or centre is None or not sd else (mean - centre) / sd
    shown.put("smd", apart, "the scores do not vary")
    test = two_sample(mine, rows, theirs, others)
    shown.put("z", None if test is None else test[0], "the predictions do not vary")
    shown.put("p_z", None if test is None else test[1], "the predictions do not vary")
    shown.put("p_fisher", fisher(mine, rows, theirs, others), "the group has no rows")


def _worst(found: Sequence[Mapping[str, Any]], reference: str | None) -> dict[str, Any]:
    """The lowest ratio and the differences furthest from 0, over the groups that are compared, with whose they are."""
    compared = [one for one in found if one["compared"]]
    shown = _Shown()
    few = f"fewer than two groups hold {LEAST_SHARE:.0%} of the rows each"

    def furthest(name: str, candidates: Sequence[tuple[float, str]], reason: str) -> None:
        value, whose = max(candidates, key=lambda pair: abs(pair[0]), default=(None, None))
        shown.put(name, value if len(compared) > 1 else None, few if len(compared) < 2 else reason)
        shown.values[f"{name}_group"] = whose if len(compared) > 1 else None

    ratios = [(one["air"], one["group"]) for one in compared if one["air"] is not None]
    lowest, whose = min(ratios, default=(None, None))
    shown.put("air", lowest if len(compared) > 1 else None, few if len(compared) < 2 else "nothing favourable")
    shown.values["air_group"] = whose if len(compared) > 1 else None
    for name in ("spd", "smd"):
        given = [(one[name], one["group"]) for one in compared if one.get(name) is not None]
        furthest(name, given, "no difference has a value")
    base = next((one for one in found if one["group"] == reference), None)
    for name in ("tpr", "fpr"):
        gaps = [
            (one[name] - base[name], one["group"])
            for one in compared
            if base is not None and one is not base and one[name] is not None and base[name] is not None
        ]
        furthest(f"{name}_gap", gaps, "a group lacks the rows that the rate is over")
    return shown.document()


def _moments(scores: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and population standard deviation, the same in whatever order the rows come."""
    if not scores:
        return None, None
    mean = math.fsum(scores) / len(scores)
    return mean, math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / len(scores))
