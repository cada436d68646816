"""Credit data that nobody owns: generated rows with the published schema and base rate of a well-known data set.

Schema and base rate are those of *Default of Credit Card Clients* (Yeh, 2009, UCI set 350): 24 columns and the
target, 22.12 % defaults. No value is taken from it: customers are drawn from simple distributions, their months of
repayment follow a Markov chain, and defaults depend on arrears, limit, use of the limit and payments, so that models
find about what they find in real portfolios. Draws are SplitMix64 and sums of uniforms: the same rows on every
machine.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from muniment.analytics.split import keys

__all__ = ["BASE_RATE", "TARGET", "credit_defaults"]

BASE_RATE: Final = 0.2212
TARGET: Final = "default_payment_next_month"
MONTHS: Final = ("0", "2", "3", "4", "5", "6")
"""The published names of the months, newest first: there is no PAY_1."""


class _Draws:
    """Numbered streams of independent draws for the same rows."""

    def __init__(self, rows: int, seed: int) -> None:
        self._rows = rows
        self._seed = seed
        self._stream = 0

    def uniform(self) -> np.ndarray:
        """In [0, 1), 53 bits."""
        self._stream += 1
        drawn = keys(self._rows, self._seed * 1009 + self._stream)
        return (drawn >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def normal(self) -> np.ndarray:
        """Standard normal but for the tails beyond 6: the sum of twelve uniforms less 6, which needs no logarithm."""
        total = np.zeros(self._rows)
        for _ in range(12):
            total += self.uniform()
        return total - 6.0

    def choice(self, shares: dict[int, float]) -> np.ndarray:
        """One of the codes by its share."""
        bounds = np.cumsum(list(shares.values()))
        found = np.searchsorted(bounds / bounds[-1], self.uniform(), side="right")
        return np.array(list(shares))[np.minimum(found, len(shares) - 1)]


def credit_defaults(rows: int, seed: int) -> dict[str, np.ndarray]:
    """Integer columns by name, in the published order; the share of defaults is 22.12 % to the nearest row."""
    draw = _Draws(rows, seed)
    sex = draw.choice({1: 0.396, 2: 0.604})
    education = draw.choice({0: 0.0005, 1: 0.3528, 2: 0.4677, 3: 0.1639, 4: 0.0041, 5: 0.0093, 6: 0.0017})
    marriage = draw.choice({0: 0.0018, 1: 0.4553, 2: 0.5321, 3: 0.0108})
    age = np.clip(np.rint(35.5 + 7.5 * draw.normal() + 3.0 * np.maximum(draw.normal(), 0.0) ** 2), 21, 79)
    means = 11.75 + 0.30 * (education == 1) - 0.25 * (education == 3) + 0.015 * (np.minimum(age, 50.0) - 35.0)
    limit = np.clip(np.rint(np.exp(means + 0.72 * draw.normal()) / 10_000), 1, 100) * 10_000
    strain = 0.85 * draw.normal() - 0.45 * (np.log(limit) - 11.8)

    status = _months(draw, strain)
    use = np.clip(0.42 + 0.30 * draw.normal() + 0.10 * strain, -0.05, 1.3)
    bills, payments = _accounts(draw, limit, use, status)

    newest, before = status[0], status[1]
    paid = np.log1p(payments[0])
    risk = (
        2.00 * (newest >= 2)
        + 0.75 * (newest == 1)
        + 0.55 * (before >= 2)
        + 0.30 * (np.max(status[2:], axis=0) >= 2)
        - 0.35 * (np.log(limit) - 11.8)
        - 0.07 * (paid - 7.0)
        + 0.35 * use
        + 0.10 * (sex == 1)
        + 0.10 * (marriage == 1)
        + 0.06 * np.abs(age - 38.0) / 10.0
        - 0.90 * ((education == 0) | (education >= 4))
        + 0.35 * strain
    )
    chance = np.clip(draw.uniform(), 1e-12, 1 - 1e-12)
    latent = risk + np.log(chance / (1.0 - chance))
    default = np.zeros(rows, np.int64)
    default[np.lexsort((np.arange(rows), -latent))[: round(rows * BASE_RATE)]] = 1

    columns = {"ID": np.arange(1, rows + 1), "LIMIT_BAL": limit, "SEX": sex, "EDUCATION": education}
    columns |= {"MARRIAGE": marriage, "AGE": age}
    columns |= {f"PAY_{name}": status[month] for month, name in enumerate(MONTHS)}
    columns |= {f"BILL_AMT{month + 1}": bills[month] for month in range(6)}
    columns |= {f"PAY_AMT{month + 1}": payments[month] for month in range(6)}
    columns[TARGET] = default
    return {name: values.astype(np.int64) for name, values in columns.items()}


def _months(draw: _Draws, strain: np.ndarray) -> np.ndarray:
    """Repayment status of six months, newest first: -2 unused, -1 paid in full, 0 revolving, n months of arrears."""
    status = np.empty((6, len(strain)), np.int64)
    resting = np.where(draw.uniform() < 0.13, -2, np.where(draw.uniform() < 0.24, -1, 0))
    now = resting.copy()
    for month in range(5, -1, -1):
        chance, depth = draw.uniform(), draw.uniform()
        slips = chance < 0.075 / (0.075 + 0.925 * np.exp(-1.1 * strain))
        recovers = chance > 0.62 - 0.10 * strain
        worse = np.where(depth < 0.16, now + 1, now)
        late = np.where(recovers, resting, np.minimum(worse, 8))
        first = np.where((depth < 0.35) & (month == 0), 1, 2)
        now = np.where(now >= 1, np.maximum(late, np.where(recovers, -2, 2)), np.where(slips, first, now))
        status[month] = now
    return status


def _accounts(draw: _Draws, limit: np.ndarray, use: np.ndarray, status: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bills and payments of six months, newest first, in whole currency units."""
    bills, payments = np.empty((6, len(limit))), np.empty((6, len(limit)))
    level = limit * use
    for month in range(5, -1, -1):
        level = level * (1.0 + 0.05 * draw.normal())
        bill = np.where(status[month] == -2, 0.02 * limit * np.maximum(draw.normal(), 0.0), level)
        bills[month] = np.rint(bill)
        share = np.where(status[month] <= -1, 1.0, np.maximum(0.045 + 0.03 * draw.normal(), 0.0))
        nothing = draw.uniform() < np.where(status[month] >= 1, 0.45, 0.08)
        payments[month] = np.rint(np.where(nothing, 0.0, np.maximum(bill, 0.0) * share))
    return bills, payments
