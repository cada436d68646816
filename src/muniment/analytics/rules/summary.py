"""Tensors reduced to a few numbers inside the job, so that rules need no tensor: what leaves is small, and no data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

__all__ = ["summarise"]

_UNITS: Final = 1024
"""Units of a layer that are told one by one; of a larger one so many evenly spaced ones of them in order."""
_TOKENS: Final = 64
SATURATED: Final = {"tanh": (-9.4999, 9.4999), "sigmoid": (-23.0, 16.99999)}


def summarise(
    values: Any,
    collection: str,
    *,
    before: Any = None,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    bounds: tuple[float, float] | None = None,
    tokens: Sequence[str] = (),
) -> dict[str, Any]:
    """The facts of a tensor that rules look at.

    Args:
        values: anything that numpy takes as an array.
        collection: ``weight``, ``gradient``, ``relu``, ``tanh``, ``sigmoid``, ``image`` (N, C, ...), ``sequence`` or
            anything else. Of ``tanh`` and ``sigmoid`` it is what goes in.
        before: the tensor of the last report under the same name, of the same shape.
        rtol: relative tolerance of ``close``.
        atol: absolute tolerance of ``close``.
        bounds: between which tanh or sigmoid are not saturated; None for the published ones.
        tokens: of a sequence, tokens whose counts are told beside the most frequent ones.
    """
    array = np.asarray(values)
    if collection == "sequence":
        counts = Counter(str(one) for one in array.ravel().tolist())
        kept = dict(counts.most_common(_TOKENS)) | {token: counts.get(token, 0) for token in tokens}
        return {"size": int(array.size), "tokens": kept}
    array = array.astype(np.float64, copy=False)
    finite = np.isfinite(array)
    known = array if finite.all() else array[finite]
    facts: dict[str, Any] = {
        "size": int(array.size),
        "zeros": int((array == 0).sum()),
        "nan": int(np.isnan(array).sum()),
        "inf": int(np.isinf(array).sum()),
    }
    if known.size:
        low, high = np.percentile(known, (5, 95))
        facts |= {
            "min": float(known.min()),
            "max": float(known.max()),
            "mean": float(known.mean()),
            "mean_abs": float(np.abs(known).mean()),
            "var": float(known.var()),
            "p5": float(low),
            "p95": float(high),
        }
    if before is not None and np.shape(before) == array.shape:
        facts["close"] = bool(np.allclose(array, before, rtol=rtol, atol=atol))
        facts["update_mean_abs"] = float(np.nanmean(np.abs(array - before))) if array.size else 0.0
    if collection == "relu" and array.size:
        facts["unit_active"] = _by_unit(array > 0)
    if collection in SATURATED and array.size:
        floor, ceiling = bounds or SATURATED[collection]
        facts["unit_active"] = _by_unit((array > floor) & (array < ceiling))
    if collection == "image" and array.ndim >= 2 and array.size:
        over = tuple(axis for axis in range(array.ndim) if axis != 1)
        facts |= {"samples": int(array.shape[0]), "channel_mean": [float(one) for one in array.mean(axis=over)]}
    return {key: value for key, value in facts.items() if not isinstance(value, float) or np.isfinite(value)}


def _by_unit(active: np.ndarray) -> list[float]:
    """Percent of the rows in which each unit is active, along the last axis."""
    flat = active.reshape(-1, active.shape[-1]) if active.ndim else active.reshape(1, 1)
    percent = 100 * flat.mean(axis=0)
    if len(percent) > _UNITS:
        percent = np.sort(percent)[np.linspace(0, len(percent) - 1, _UNITS).astype(int)]
    return [round(float(one), 4) for one in percent]
