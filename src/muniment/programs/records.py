"""Records of a delimited text: a byte stream is cut at record ends, and every structural rule is checked on the way.

The checks are vectorised byte comparisons; nothing is converted here, and no byte is changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from muniment.errors import Invalid
from muniment.programs.sources import Source, too_long

__all__ = ["Block", "Blocks", "beginning", "fields"]

_LF, _CR, _QUOTE = 10, 13, 34
_LONGEST_MARK: Final = 4


@dataclass(slots=True)
class Block:
    """Whole records, structurally sound, ending with a line end."""

    data: bytes
    line: int
    """Number of the first line, counted from 1."""

    ends: np.ndarray
    """Positions of the line feeds that end records."""

    quotes: np.ndarray
    lines: int
    """Line feeds, also those within quotes."""

    @property
    def records(self) -> int:
        """How many records there are."""
        return len(self.ends)

    def line_of(self, record: int) -> int:
        """The line on which a record starts."""
        start = 0 if record == 0 else int(self.ends[record - 1]) + 1
        return self.line + self.data.count(b"\n", 0, start)


class Blocks:
    """Cuts a byte stream into blocks at record ends and checks their structure."""

    def __init__(self, source: Source, delimiter: str, size: int) -> None:
        self._source = source
        self._size = size
        self._limit = source.limits.max_record_bytes
        self._separator = delimiter.encode()[0]
        self.had_mark = False
        self.crlf = 0
        self.lf = 0
        self.blank_lines_at_end = 0
        self.final_newline = True

    def __iter__(self) -> Iterator[Block]:
        line = 1
        pending = b""
        first = True
        for chunk in self._source.chunks(self._size):
            data = pending + chunk if pending else chunk
            if first:
                if len(data) < _LONGEST_MARK:
                    pending = data
                    continue
                data, first = self._unmarked(data), False
            cut, quotes = self._cut(data, line)
            if not cut:
                pending = data
                if len(pending) > self._limit:
                    # A stray quote makes the rest of the file one record: say so rather than complain about its length.
                    self._check_quotes(data, np.frombuffer(data, np.uint8), quotes, line)
                    raise too_long(line, self._limit)
                continue
            pending = data[cut:]
            block = self._checked(data[:cut] if pending else data, quotes, line)
            line += block.lines
            if block.records:
                yield block
        if first:
            pending = self._unmarked(pending)
        if pending:
            self.final_newline = False
            data = pending + b"\n"
            cut, quotes = self._cut(data, line)
            if cut != len(data):
                self._check_quotes(data, np.frombuffer(data, np.uint8), quotes, line)
                raise self._open_quote(data, quotes, line)
            block = self._checked(data, quotes, line)
            if block.records:
                yield block

    def _unmarked(self, data: bytes) -> bytes:
        for mark, name in (
            (b"\xff\xfe\0\0", "UTF-32"),
            (b"\0\0\xfe\xff", "UTF-32"),
            (b"\xff\xfe", "UTF-16"),
            (b"\xfe\xff", "UTF-16"),
        ):
            if data.startswith(mark):
                raise Invalid(
                    "MUNI-D110",
                    f"the file is {name}, not UTF-8",
                    found=name,
                    expected="UTF-8",
                    line=1,
                    do=f"convert it: iconv -f {name} -t UTF-8",
                )
        if data.startswith(b"\xef\xbb\xbf"):
            self.had_mark = True
            return data[3:]
        return data

    def _cut(self, data: bytes, line: int) -> tuple[int, np.ndarray]:
        """Where the last whole record ends, and the positions of the quotes."""
        if b'"' not in data:
            return data.rfind(b"\n") + 1, _NOWHERE
        quotes = np.flatnonzero(np.frombuffer(data, np.uint8) == _QUOTE)
        at = len(data)
        while (at := data.rfind(b"\n", 0, at)) >= 0:
            before = int(np.searchsorted(quotes, at))
            if before % 2 == 0:
                return at + 1, quotes[:before]
            # Within quotes: no record ends after the quote that is open here.
            at = int(quotes[before - 1])
        return 0, quotes

    def _checked(self, data: bytes, quotes: np.ndarray, line: int) -> Block:
        """The block, or the refusal that names the line."""
        if (at := data.find(b"\0")) >= 0:
            raise _nul(data, at, line)
        if not data.isascii():
            try:
                data.decode()
            except UnicodeDecodeError as broken:
                raise _not_utf8(data, broken, line) from None
        array = np.frombuffer(data, np.uint8)
        feeds = np.flatnonzero(array == _LF)
        ends = feeds
        if len(quotes):
            self._check_quotes(data, array, quotes, line)
            ends = feeds[np.searchsorted(quotes, feeds) % 2 == 0]
        self._check_returns(data, array, ends, quotes, line)
        lengths = np.diff(ends, prepend=-1)
        if lengths.max(initial=0) > self._limit:
            record = int(np.argmax(lengths > self._limit))
            self._check_length(
                int(lengths[record]), line + data.count(b"\n", 0, int(ends[record - 1]) + 1 if record else 0)
            )
        return self._without_blank_lines(Block(data, line, ends, quotes, len(feeds)), lengths)

    def _check_length(self, length: int, line: int) -> None:
        if length > self._limit:
            raise too_long(line, self._limit)

    def _check_quotes(self, data: bytes, array: np.ndarray, quotes: np.ndarray, line: int) -> None:
        opening, closing = quotes[0::2], quotes[1::2]
        before = np.where(opening > 0, array[opening - 1], _LF)
        bad = (before != self._separator) & (before != _LF) & (before != _QUOTE)
        if bad.any():
            raise self._broken_quote(data, int(opening[np.argmax(bad)]), line, "opens within a field")
        after = array[np.minimum(closing + 1, len(array) - 1)]
        ends = (after == _CR) & (array[np.minimum(closing + 2, len(array) - 1)] == _LF)
        bad = (after != self._separator) & (after != _LF) & (after != _QUOTE) & ~ends
        if bad.any():
            raise self._broken_quote(
                data, int(closing[np.argmax(bad)]), line, "is followed by more text in the same field"
            )

    def _broken_quote(self, data: bytes, at: int, line: int, how: str) -> Invalid:
        here = line + data.count(b"\n", 0, at)
        return Invalid(
            "MUNI-D111",
            f"line {here}: a quote {how}",
            line=here,
            expected="quotes around the whole field, doubled within",
            do="export the file again with RFC 4180 quoting",
        )

    def _open_quote(self, data: bytes, quotes: np.ndarray, line: int) -> Invalid:
        at = int(quotes[-1]) if len(quotes) % 2 else 0
        here = line + data.count(b"\n", 0, at)
        return Invalid(
            "MUNI-D112",
            f"line {here}: a quote is never closed",
            line=here,
            expected="a closing quote",
            do="the file may be cut off: compare its size with the sender's",
        )

    def _check_returns(self, data: bytes, array: np.ndarray, ends: np.ndarray, quotes: np.ndarray, line: int) -> None:
        if b"\r" not in data:
            self.lf += len(ends)
            return
        pairs = int((array[np.maximum(ends - 1, 0)] == _CR).sum())
        self.crlf += pairs
        self.lf += len(ends) - pairs
        if data.count(b"\r") == data.count(b"\r\n"):
            return
        returns = np.flatnonzero(array == _CR)
        alone = returns[array[np.minimum(returns + 1, len(array) - 1)] != _LF]
        alone = alone[np.searchsorted(quotes, alone) % 2 == 0]
        if len(alone):
            here = line + data.count(b"\n", 0, int(alone[0]))
            raise Invalid(
                "MUNI-D149",
                f"line {here} holds a carriage return without a line feed",
                line=here,
                expected="LF or CRLF",
                do="convert the line ends to LF",
            )

    def _without_blank_lines(self, block: Block, lengths: np.ndarray) -> Block:
        """Blank lines may only stand at the end of the file."""
        blank = lengths == 1
        twos = np.flatnonzero(lengths == 2)
        if len(twos):
            blank[twos[[block.data[int(block.ends[i]) - 1] == _CR for i in twos]]] = True
        if self.blank_lines_at_end and not blank.all():
            self._blank_line(block.line - 1)
        if not blank.any():
            return block
        first = int(np.argmax(blank))
        if not blank[first:].all():
            self._blank_line(block.line_of(first))
        self.blank_lines_at_end += len(blank) - first
        cut = int(block.ends[first - 1]) + 1 if first else 0
        return Block(block.data[:cut], block.line, block.ends[:first], block.quotes, block.lines)

    def _blank_line(self, line: int) -> None:
        raise Invalid(
            "MUNI-D104",
            f"line {line} is blank",
            line=line,
            expected="a record",
            found="nothing",
            do='take the line out; a single empty text is written ""',
        )


_NOWHERE: Final = np.empty(0, np.int64)


def _nul(data: bytes, at: int, line: int) -> Invalid:
    here = line + data.count(b"\n", 0, at)
    return Invalid(
        "MUNI-D109",
        f"line {here} holds a NUL byte",
        line=here,
        byte=at - data.rfind(b"\n", 0, at),
        do="this is not UTF-8 text, or it is damaged: send it again as UTF-8",
    )


def _not_utf8(data: bytes, broken: UnicodeDecodeError, line: int) -> Invalid:
    here = line + data.count(b"\n", 0, broken.start)
    return Invalid(
        "MUNI-D108",
        f"line {here} is not UTF-8",
        line=here,
        byte=broken.start - data.rfind(b"\n", 0, broken.start),
        found=data[broken.start : broken.start + 4].hex(),
        expected="UTF-8",
        do="convert the file to UTF-8, for example with iconv",
    )


def fields(record: bytes, delimiter: str) -> list[str]:
    """The fields of one record that is structurally sound."""
    text = record.decode()
    text = text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")
    fields, at = [], 0
    while True:
        if text.startswith('"', at):
            end = at + 1
            while not (text[end] == '"' and text[end + 1 : end + 2] != '"'):
                end += 2 if text[end] == '"' else 1
            fields.append(text[at + 1 : end].replace('""', '"'))
            end += 1
        else:
            end = text.find(delimiter, at)
            end = len(text) if end < 0 else end
            fields.append(text[at:end])
        if end >= len(text):
            return fields
        at = end + 1


def beginning(block: Block, size: int) -> Block:
    """The first records of a block, about ``size`` bytes of them."""
    if not block.records:
        return block
    count = max(1, int(np.searchsorted(block.ends, size)))
    end = int(block.ends[count - 1]) + 1
    used = int(np.searchsorted(block.quotes, end))
    return Block(block.data[:end], block.line, block.ends[:count], block.quotes[:used], block.data.count(b"\n", 0, end))
