"""Fingerprints of rows: keyed, free of order and layout, so that equal rows are found without being shown.

**When two values are the same value.** What decides is the value, not the type that a file happened to give it:

- *numbers* by their value: the integer 5, the float 5.0, the decimal 5.00, ``true`` for 1, and the texts ``5``,
  ``5.0``, ``+5`` and ``005``. -0.0 is 0. Integers and decimals are exact, of any size. A fraction that a double
  writes or holds exactly is that double; a double that a single-precision number holds exactly is the shortest
  decimal of that single, so that 0.1 stays 0.1 when a column goes from float32 to float64 or through text;
- *days and moments*: a day is its midnight; moments are compared in UTC (one without a zone is taken as UTC) to the
  nanosecond; texts of ISO form (``2020-01-31``, ``2020-01-31T12:00:00.5+01:00``) and of databases
  (``2020-01-31 12:00:00+01``) are the moments that they name;
- *texts*: in Unicode normal form C, without white space at either end, letter by letter, case included;
- *nothing*: null and NaN are one value, different from the empty text and from every other value.

Everything else is different: a rounded number, a date in another notation, another letter case, a unit.

**A value becomes a token** of 17 bytes: one for its class, 16 for the value (a text by its keyed hash). **A row
becomes a fingerprint**: BLAKE2b with the project's key, 16 bytes, over a header and the row's tokens. The header says
over what:

- ``names``: the columns by their names, in the order of the names; the order in the file is irrelevant;
- ``values``: the tokens in their own order, names irrelevant: this finds renamed columns, and takes rows for equal
  that hold the same values in swapped columns;
- ``keys``: the chosen columns in the chosen order, names irrelevant, so that a key may be called otherwise elsewhere.

Source of the keyed hash: RFC 7693. 16 bytes: among n rows two different ones meet by chance with probability
n*n / 2^129, for 10 million rows 1.5e-25; without the key nobody can look for such a pair.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from muniment.kernel.canonical import canonical

__all__ = [
    "FINGERPRINT",
    "TOKEN",
    "Counts",
    "RowHasher",
    "common",
    "sort_fingerprints",
    "tokens_of",
]

FORMAT: Final = "muniment.rows/1"
TOKEN: Final = 17
"""Bytes of a value's token."""

FINGERPRINT: Final = 16
"""Bytes of a row's fingerprint."""

KEY: Final = 32
"""Bytes of the key."""

_ROW: Final = b"muniment.row/1"
_TEXT_USE: Final = b"muniment.text/1"
_NOTHING, _INTEGER, _FLOAT, _DECIMAL, _MOMENT, _TEXT = range(6)
_EXACT: Final = float(2**63)
_HUGE: Final = 2**127
_DAY_NS: Final = 86_400 * 10**9
_PER_DAY: Final = {"s": 86_400, "ms": 86_400 * 10**3, "us": 86_400 * 10**6, "ns": _DAY_NS}
_EPOCH: Final = date(1970, 1, 1).toordinal()

_WHOLE: Final = r"^[+-]?[0-9]{1,18}$"
_SHORT: Final = r"^[+-]?(?:[0-9]{1,14}\.[0-9]{0,14}|\.[0-9]{1,14})$"
"""At most 15 digits when it is at most 16 characters long: a double writes such a number back as it was."""
_SHORT_LENGTH: Final = 16
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,5})?")
_WHEN: Final = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?P<time>[0-9]{2}:[0-9]{2})(?P<second>:[0-9]{2}(?:\.(?P<part>[0-9]{1,9}))?)?"
    r"(?: ?(?P<zone>Z|[+-][0-9]{2}(?::?[0-9]{2})?))?)?"
)
_LOOKS: Final = r"^[+-]?\.?[0-9]"
"""Only what begins like this can be a number or a moment."""

Hash = Callable[[bytes], bytes]


class RowHasher:
    """Turns rows, piece by piece, into fingerprints over one view of them."""

    def __init__(self, key: bytes, by: str, columns: Sequence[str]) -> None:
        """Fix the key and the view.

        Args:
            key: 32 bytes, of the project.
            by: ``names``, ``values`` or ``keys``; see the module.
            columns: the columns that take part; for ``keys`` in the order in which they are compared.
        """
        self._columns = sorted(columns) if by == "names" else list(columns)
        self._by = by
        header = {"format": FORMAT, "by": by, "columns": self._columns if by == "names" else len(self._columns)}
        self._row = hashlib.blake2b(canonical(header), digest_size=FINGERPRINT, key=key, person=_ROW)
        text = hashlib.blake2b(digest_size=16, key=key, person=_TEXT_USE)

        def hash_text(content: bytes) -> bytes:
            one = text.copy()
            one.update(content)
            return one.digest()

        self._hash_text: Hash = hash_text

    def batch_rows(self) -> int:
        """How many rows at once keep memory small, however many columns there are."""
        return max(1, min(131_072, (64 << 20) // (TOKEN * max(1, len(self._columns)))))

    def tokens(self, table: pa.Table | pa.RecordBatch) -> np.ndarray:
        """The tokens of the rows: rows x columns x 17 bytes."""
        found = np.zeros((table.num_rows, len(self._columns), TOKEN), np.uint8)
        for at, name in enumerate(self._columns):
            found[:, at, :] = tokens_of(table.column(name), self._hash_text)
        return found

    def fingerprints(self, table: pa.Table | pa.RecordBatch) -> np.ndarray:
        """The fingerprint of each row, in order: rows x 2, unsigned, the greater half first.

        For ``keys`` a row whose keys are all nothing names nobody, and is left out.
        """
        tokens = self.tokens(table)
        if self._by == "keys":
            tokens = tokens[tokens[:, :, 0].any(axis=1)]
        rows = len(tokens)
        width = TOKEN * len(self._columns)
        flat = np.ascontiguousarray(tokens).reshape(rows, width)
        if self._by == "values":
            flat = np.sort(flat.view(f"S{TOKEN}"), axis=1).view(np.uint8).reshape(rows, width)
        content, start = memoryview(np.ascontiguousarray(flat)).cast("B") if rows else memoryview(b""), self._row.copy
        pieces = []
        for at in range(0, rows * width, width):
            row = start()
            row.update(content[at : at + width])
            pieces.append(row.digest())
        return np.frombuffer(b"".join(pieces), ">u8").astype(np.uint64).reshape(rows, 2)


def tokens_of(values: pa.Array | pa.ChunkedArray, hash_text: Hash) -> np.ndarray:
    """The token of each value: values x 17 bytes."""
    if isinstance(values, pa.ChunkedArray):
        chunks = [tokens_of(chunk, hash_text) for chunk in values.chunks]
        return np.concatenate(chunks) if chunks else np.zeros((0, TOKEN), np.uint8)
    kind = values.type
    if pa.types.is_dictionary(kind):
        inner = tokens_of(values.dictionary, hash_text)
        return _taken(inner, values.indices)
    known = None
    if values.null_count:
        known = values.is_valid().to_numpy(zero_copy_only=False)
        if not known.any():
            return np.zeros((len(values), TOKEN), np.uint8)
        values = values.drop_null()
    if pa.types.is_boolean(kind):
        found = _integers(values.to_numpy(zero_copy_only=False).astype(np.int64))
    elif pa.types.is_uint64(kind):
        found = _unsigned(values.to_numpy(zero_copy_only=False))
    elif pa.types.is_integer(kind):
        found = _integers(values.to_numpy(zero_copy_only=False).astype(np.int64))
    elif pa.types.is_floating(kind):
        found = _floats(values.to_numpy(zero_copy_only=False).astype(np.float64), hash_text)
    elif pa.types.is_date32(kind):
        found = _moments(values.view(pa.int32()).to_numpy(zero_copy_only=False).astype(np.int64), None)
    elif pa.types.is_timestamp(kind):
        per_day = _PER_DAY[kind.unit]
        days, rest = np.divmod(values.view(pa.int64()).to_numpy(zero_copy_only=False), per_day)
        found = _moments(days, rest * (_DAY_NS // per_day))
    else:  # texts, and decimals by their digits
        encoded = values.cast(pa.string()).dictionary_encode()
        found = _taken(_texts(encoded.dictionary, hash_text), encoded.indices)
    if known is None:
        return found
    whole = np.zeros((len(known), TOKEN), np.uint8)
    whole[known] = found
    return whole


def _taken(inner: np.ndarray, indices: pa.Array) -> np.ndarray:
    """The tokens of a dictionary, one for each place where it is used; null is nothing."""
    at = indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    found: np.ndarray = np.concatenate([inner, np.zeros((1, TOKEN), np.uint8)])[at]
    return found


def _blank(rows: int, kind: int) -> np.ndarray:
    found = np.zeros((rows, TOKEN), np.uint8)
    found[:, 0] = kind
    return found


def _eight(values: np.ndarray) -> np.ndarray:
    """The bytes of 64-bit values, little-endian: values x 8."""
    plain = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))
    return plain.view(np.uint8).reshape(len(values), 8)


def _integers(values: np.ndarray) -> np.ndarray:
    found = _blank(len(values), _INTEGER)
    found[:, 1:9] = _eight(values)
    found[:, 9:] = np.where(values < 0, 255, 0).astype(np.uint8)[:, None]
    return found


def _unsigned(values: np.ndarray) -> np.ndarray:
    found = _blank(len(values), _INTEGER)
    found[:, 1:9] = _eight(values)
    return found


def _floats(values: np.ndarray, hash_text: Hash) -> np.ndarray:
    """Whole numbers as integers, others as the double that the shortest text stands for; NaN is nothing."""
    found = _blank(len(values), _FLOAT)
    found[np.isnan(values), 0] = _NOTHING
    finite = np.isfinite(values)
    whole = finite & (np.floor(values) == values)
    small = whole & (np.abs(values) < _EXACT)
    found[small] = _integers(values[small].astype(np.int64))
    for at in np.flatnonzero(whole & ~small):
        found[at] = np.frombuffer(_exactly(Decimal(int(values[at])), hash_text), np.uint8)
    rest = ~np.isnan(values) & ~whole
    found[rest, 1:9] = _eight(_shortest(values[rest]))
    return found


def _shortest(values: np.ndarray) -> np.ndarray:
    """What a single holds exactly becomes what the shortest text of that single stands for; others stay."""
    with np.errstate(over="ignore", under="ignore"):
        single = values.astype(np.float32)
    held = (single.astype(np.float64) == values) & np.isfinite(single)
    if held.any():
        values = values.copy()
        texts = pa.array(single[held], pa.float32()).cast(pa.string())
        values[held] = texts.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return values


def _moments(days: np.ndarray, ns: np.ndarray | None) -> np.ndarray:
    found = _blank(len(days), _MOMENT)
    found[:, 1:9] = _eight(days.astype(np.int64))
    if ns is not None:
        found[:, 9:] = _eight(ns.astype(np.int64))
    return found


def _texts(values: pa.Array, hash_text: Hash) -> np.ndarray:
    """The tokens of distinct texts: most are sorted into their classes by the column, the rest one by one."""
    found = _blank(len(values), _TEXT)
    if not len(values):
        return found
    if not pc.all(pc.string_is_ascii(values)).as_py():
        values = pc.utf8_normalize(values, form="NFC")
    values = pc.utf8_trim_whitespace(values)
    left = np.ones(len(values), bool)
    short = pc.less_equal(pc.utf8_length(values), pa.scalar(_SHORT_LENGTH))
    for chosen, whole in (
        (pc.match_substring_regex(values, _WHOLE), True),
        (pc.and_(pc.match_substring_regex(values, _SHORT), short), False),
    ):
        mask = chosen.to_numpy(zero_copy_only=False)
        if mask.any():
            some = pc.replace_substring_regex(values.filter(chosen), r"^\+", "")
            if whole:
                found[mask] = _integers(some.cast(pa.int64()).to_numpy())
            else:
                found[mask] = _floats(some.cast(pa.float64()).to_numpy(), hash_text)
            left &= ~mask
    looks = pc.match_substring_regex(values, _LOOKS).to_numpy(zero_copy_only=False)
    words = values.to_pylist()
    for at in np.flatnonzero(left & looks):
        found[at] = np.frombuffer(_one_text(words[at], hash_text), np.uint8)
    plain = np.flatnonzero(left & ~looks)
    if len(plain):
        joined = b"".join(_WORDS.get(words[at]) or b"%c%b" % (_TEXT, hash_text(words[at].encode())) for at in plain)
        found[plain] = np.frombuffer(joined, np.uint8).reshape(-1, TOKEN)
    return found


def _one_text(text: str, hash_text: Hash) -> bytes:
    if _NUMBER.fullmatch(text):
        try:
            return _exactly(Decimal(text), hash_text)
        except InvalidOperation:
            pass
    if (when := _WHEN.fullmatch(text)) is not None:
        try:
            return _when(when)
        except (ValueError, OverflowError):
            pass
    return b"%c%b" % (_TEXT, hash_text(text.encode()))


def _exactly(number: Decimal, hash_text: Hash) -> bytes:
    """The token of a number that is known exactly."""
    # Beyond this nothing is an integer that fits; the exponent must not make a number of a million digits.
    if number == 0 or (number.adjusted() < 39 and number == number.to_integral_value()):
        whole = int(number)
        if -_HUGE <= whole < _HUGE:
            return b"%c%b" % (_INTEGER, whole.to_bytes(16, "little", signed=True))
    near = float(number)
    if near not in (0.0, float("inf"), float("-inf")) and (Decimal(repr(near)) == number or Decimal(near) == number):
        return b"%c%b" % (_FLOAT, _shortest(np.array([near])).astype("<f8").tobytes() + bytes(8))
    sign, digits, exponent = number.as_tuple()
    plain = "".join(map(str, digits)).strip("0")
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return b"%c%b" % (_DECIMAL, hash_text(f"{'-' if sign else ''}{plain}e{int(exponent) + zeros}".encode()))


def _when(when: re.Match[str]) -> bytes:
    day, time, zone = when["day"], when["time"], when["zone"]
    days, ns = date.fromisoformat(day).toordinal() - _EPOCH, 0
    if time is not None:
        second = (when["second"] or ":00")[:3]
        clock = datetime.fromisoformat(f"{day}T{time}{second}{zone or 'Z'}").astimezone(UTC)
        days = clock.date().toordinal() - _EPOCH
        ns = ((clock.hour * 60 + clock.minute) * 60 + clock.second) * 10**9 + int((when["part"] or "0").ljust(9, "0"))
    return b"%c%b" % (_MOMENT, days.to_bytes(8, "little", signed=True) + ns.to_bytes(8, "little", signed=True))


_WORDS: Final[dict[str, bytes]] = {
    text: b"%c%b" % (_INTEGER, number.to_bytes(16, "little"))
    for number, word in ((1, "true"), (0, "false"))
    for text in (word, word.title(), word.upper())
} | {
    sign + text: b"%c%b" % (_FLOAT, struct.pack("<d", float(f"{sign}inf")) + bytes(8))
    for sign in ("", "+", "-")
    for word in ("inf", "infinity")
    for text in (word, word.title(), word.upper())
}
"""Words that are numbers, as programs write them."""


def sort_fingerprints(found: np.ndarray) -> np.ndarray:
    """The fingerprints in ascending order, duplicates kept."""
    order = np.argsort(found[:, 0])
    ordered = found[order]
    same = ordered[1:, 0] == ordered[:-1, 0]
    if np.any(same & (ordered[1:, 1] < ordered[:-1, 1])):  # halves met by chance: one row in 2^64
        ordered = found[np.lexsort((found[:, 1], found[:, 0]))]
    return np.ascontiguousarray(ordered)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows two snapshots have in common, in every way in which duplicates can be counted."""

    rows_a: int
    rows_b: int
    distinct_a: int
    """Different rows of A."""
    distinct_b: int
    shared: int
    """The rows of the multiset intersection: a row that A has three times and B twice counts twice."""
    distinct_shared: int
    """Different rows that both have."""
    a_in_b: int
    """Rows of A that occur in B at least once, each of A's duplicates counted."""
    b_in_a: int
    once_a: int
    """Rows of A that A has exactly once."""
    once_a_in_b: int
    """Of those, the ones that occur in B: rows that are no coincidence of common values within A."""

    def document(self) -> dict[str, int]:
        """By name."""
        return {name: int(getattr(self, name)) for name in self.__slots__}


def common(a: np.ndarray, b: np.ndarray, block: int = 1 << 20) -> Counts:
    """Count by merging two ascending lists of fingerprints block by block; neither is copied as a whole.

    Args:
        a: rows x 2, ascending; a memory map will do.
        b: likewise.
        block: so many rows of the longer list are looked at together, about.
    """
    totals = np.zeros(8, np.int64)
    for part_a, part_b in _blocks(a, b, block):
        totals += _counted(np.asarray(part_a, np.uint64), np.asarray(part_b, np.uint64))
    distinct_a, distinct_b, shared, distinct_shared, a_in_b, b_in_a, once_a, once_a_in_b = map(int, totals)
    return Counts(len(a), len(b), distinct_a, distinct_b, shared, distinct_shared, a_in_b, b_in_a, once_a, once_a_in_b)


def _blocks(a: np.ndarray, b: np.ndarray, block: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pieces of both lists that hold the same range of fingerprints; equal ones are never cut apart."""
    at_a = at_b = 0
    longer = a if len(a) >= len(b) else b
    for end in range(block, len(longer), block):
        bound = longer[end, 0]
        to_a, to_b = (int(np.searchsorted(one[:, 0], bound, side="left")) for one in (a, b))
        if to_a > at_a or to_b > at_b:
            yield a[at_a:to_a], b[at_b:to_b]
            at_a, at_b = to_a, to_b
    yield a[at_a:], b[at_b:]


def _counted(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    rows_a, times_a = _distinct(a)
    rows_b, times_b = _distinct(b)
    order = np.concatenate([rows_a, rows_b])
    source = np.argsort(order[:, 0], kind="stable")
    ordered = order[source]
    same = ordered[1:, 0] == ordered[:-1, 0]
    if np.any(same & (ordered[1:, 1] != ordered[:-1, 1])):  # halves met by chance: look at both
        source = np.lexsort((np.arange(len(order)), order[:, 1], order[:, 0]))
        ordered = order[source]
        same = ordered[1:, 0] == ordered[:-1, 0]
    same &= ordered[1:, 1] == ordered[:-1, 1]
    # Within a list rows are distinct, and the sort is stable: of a pair the first comes from A, the second from B.
    in_a, in_b = source[:-1][same], source[1:][same] - len(rows_a)
    here, there = times_a[in_a], times_b[in_b]
    return np.array(
        [
            len(rows_a),
            len(rows_b),
            np.minimum(here, there).sum(),
            len(here),
            here.sum(),
            there.sum(),
            (times_a == 1).sum(),
            (here == 1).sum(),
        ],
        np.int64,
    )


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows of an ascending list, and how often each stands there."""
    if not len(rows):
        return rows, np.zeros(0, np.int64)
    first = np.concatenate([[True], np.any(rows[1:] != rows[:-1], axis=1)])
    starts = np.flatnonzero(first)
    return rows[starts], np.diff(np.append(starts, len(rows)))
