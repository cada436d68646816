"""The point-in-time join: what was known of an entity at a moment, never what became known later.

For a request (key, t) the answer is, among the rows of that key with ``event <= t`` **and** ``known <= t``, the
greatest by (event, known, row id). One as-of join cannot express two inequalities: joining on the event and filtering
on the knowledge afterwards loses the older value that *was* known. This reduction is exact:

1. every row becomes ``available = max(event, known)``: before that moment it may not be used, from then on it may;
2. within a key, in order of ``available``, each row carries the greatest (event, known, row id) of all rows so far;
3. an as-of join on ``available`` finds the last row that was available at t, and what it carries is the answer.

Rows come in order of (key, event, known), the last among equals being the one that counts: then a row's position *is*
its rank, and the running maximum is one over integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

__all__ = ["MISSING", "as_of", "in_order"]

MISSING: Final = -1
"""Position of the answer to a request that has none."""

_POSITION: Final = "__muniment_position__"
_AVAILABLE: Final = "__muniment_available__"
_REQUEST: Final = "__muniment_request__"


def in_order(rows: pl.DataFrame, keys: Sequence[str], event: str, known: str | None) -> pl.DataFrame:
    """The rows in order of (keys, event, known); equal ones keep their order, which is their row id.

    Args:
        rows: feature rows.
        keys: columns that name the entity.
        event: column of the event time.
        known: column of the knowledge time; None where it is the event time.
    """
    return rows.sort([*keys, event, *([known] if known else [])], maintain_order=True)


def as_of(
    requests: pl.DataFrame,
    time: str,
    rows: pl.DataFrame,
    keys: Sequence[str],
    event: str,
    known: str | None,
    ttl_us: int | None,
) -> np.ndarray:
    """The position in ``rows`` of the answer to each request, ``MISSING`` where there is none.

    Args:
        requests: the keys and the moment of each request, in any order; a null in either has no answer.
        time: column of the moment, in microseconds since 1970, UTC.
        rows: the keys and clocks of the feature rows, as ``in_order`` gives them; microseconds likewise, no nulls.
        keys: columns that name the entity, of the same types on both sides.
        event: column of the event time in ``rows``.
        known: column of the knowledge time; None where it is the event time.
        ttl_us: an answer whose event is older than this at the moment of the request does not count; None for no end.

    Returns:
        int64, one for each request, in the order of the requests.
    """
    answer = np.full(len(requests), MISSING, np.int64)
    if not len(rows) or not len(requests):
        return answer
    right = rows.select(*keys, pl.col(event).alias(_AVAILABLE)).with_row_index(_POSITION)
    right = right.with_columns(pl.col(_POSITION).cast(pl.Int64))
    if known is not None:
        right = (
            right.with_columns(pl.max_horizontal(_AVAILABLE, rows[known].alias("__muniment_known__")))
            .sort([*keys, _AVAILABLE, _POSITION])
            .with_columns(pl.col(_POSITION).cum_max().over(keys))
        )
    left = requests.select(*keys, pl.col(time)).with_row_index(_REQUEST).drop_nulls().sort(time)
    found = left.join_asof(
        right, left_on=time, right_on=_AVAILABLE, by=list(keys), strategy="backward", check_sortedness=False
    )
    position = found[_POSITION].fill_null(MISSING).to_numpy()
    if ttl_us is not None:
        events = rows[event].to_numpy()
        old = (position >= 0) & (found[time].to_numpy() - events[position] > ttl_us)
        position = np.where(old, MISSING, position)
    answer[found[_REQUEST].to_numpy()] = position
    return answer
