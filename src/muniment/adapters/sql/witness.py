"""Witnesses of the ledger on SQL: who they are, how many must cosign, and what they cosigned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, Row, String, Table, Text, delete, select

from muniment.adapters.sql.schema import METADATA, MOMENT, NAME
from muniment.errors import IntegrityError, Invalid
from muniment.kernel.identifiers import format_time, parse_time
from muniment.ledger.verifier import KeyType, parse_key
from muniment.ledger.witness_ports import Cosignature, Registered, WitnessRepository

_KEY: Final = String(400)
_PAGE: Final = 256
"""Rows looked at together; more than witnesses there can be, so that a size fits into one page."""

_WITNESSES: Final = Table(
    "ledger_witness",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("key", _KEY, nullable=False),
    Column("url", Text, nullable=True),
    Column("added_at", MOMENT, nullable=False),
    Column("added_by", String(200), nullable=False),
)

_QUORUM: Final = Table(
    "ledger_quorum",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("required", Integer, nullable=False),
)

_COSIGNATURES: Final = Table(
    "ledger_cosignature",
    METADATA,
    Column("key", _KEY, primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("witness", NAME, nullable=False),
    Column("line", Text, nullable=False),
    Column("at", MOMENT, nullable=False),
)
Index("ix_ledger_cosignature_size", _COSIGNATURES.c.size)


class SqlWitnesses:
    """WitnessRepository in the tables ``ledger_witness``, ``ledger_quorum`` and ``ledger_cosignature``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, witness: Registered) -> None:
        """Keep a witness in place of one of the same name."""
        self.remove(witness.name)
        self._connection.execute(
            _WITNESSES.insert(),
            {
                "name": witness.name,
                "key": str(witness.key),
                "url": witness.url,
                "added_at": format_time(witness.added_at),
                "added_by": witness.added_by,
            },
        )

    def remove(self, name: str) -> None:
        """Forget a witness; its cosignatures stay."""
        self._connection.execute(delete(_WITNESSES).where(_WITNESSES.c.name == name))

    def all(self) -> list[Registered]:
        """The witnesses, by name; raises IntegrityError when a row holds no key."""
        return [_registered(row) for row in self._connection.execute(select(_WITNESSES).order_by(_WITNESSES.c.name))]

    def required(self) -> int | None:
        """How many must cosign; None for all of them."""
        return self._connection.execute(select(_QUORUM.c.required)).scalar_one_or_none()

    def require(self, count: int | None) -> None:
        """Replace that number."""
        self._connection.execute(delete(_QUORUM))
        if count is not None:
            self._connection.execute(_QUORUM.insert(), {"id": 1, "required": count})

    def keep(self, cosignature: Cosignature) -> None:
        """Keep a cosignature in place of an older one of the same key and size."""
        c = _COSIGNATURES.c
        self._connection.execute(
            delete(_COSIGNATURES).where(c.key == cosignature.key, c.size == cosignature.size),
        )
        self._connection.execute(
            _COSIGNATURES.insert(),
            {
                "key": cosignature.key,
                "size": cosignature.size,
                "witness": cosignature.witness,
                "line": cosignature.line,
                "at": format_time(cosignature.time),
            },
        )

    def newest(self, key: str) -> Cosignature | None:
        """The cosignature of this key over the largest checkpoint."""
        c = _COSIGNATURES.c
        row = self._connection.execute(
            select(_COSIGNATURES).where(c.key == key).order_by(c.size.desc()).limit(1)
        ).one_or_none()
        return _cosignature(row) if row else None

    def of_size(self, size: int) -> list[Cosignature]:
        """The cosignatures of the checkpoint of exactly this size, by witness."""
        c = _COSIGNATURES.c
        rows = self._connection.execute(select(_COSIGNATURES).where(c.size == size).order_by(c.witness, c.key))
        return [_cosignature(row) for row in rows]

    def cosigned(self, keys: Sequence[str], count: int) -> int | None:
        """The largest size that at least ``count`` of these keys cosigned.

        It is at most what the last of the ``count`` quickest has come to, and mostly that; from there the sizes are
        walked downwards, so that years of cosignatures need not be counted.
        """
        c = _COSIGNATURES.c
        reached = [one.size for one in map(self.newest, keys) if one is not None]
        if not 1 <= count <= len(reached):
            return None
        bound = sorted(reached, reverse=True)[count - 1]
        while True:
            page = select(c.size).where(c.size <= bound, c.key.in_(keys)).order_by(c.size.desc()).limit(_PAGE)
            rows = self._connection.execute(page).scalars().all()
            by_size = Counter(rows)
            found = max((size for size, number in by_size.items() if number >= count), default=None)
            if found is not None or len(rows) < _PAGE:
                return found
            bound = rows[-1]

    def each(self) -> Iterator[Cosignature]:
        """All of them, by size."""
        c = _COSIGNATURES.c
        found = select(_COSIGNATURES).order_by(c.size, c.witness, c.key)
        with self._connection.execution_options(yield_per=1000).execute(found) as rows:
            for row in rows:
                yield _cosignature(row)


def _registered(row: Row[Any]) -> Registered:
    try:
        key = parse_key(row.key, KeyType.WITNESS)
    except Invalid as broken:
        raise IntegrityError(
            "MUNI-S510",
            "a row of the witnesses holds no key: the database was altered",
            witness=row.name[:80],
            do="name the witness again: muni witness remove, then add",
        ) from broken
    return Registered(key, row.url, parse_time(row.added_at), row.added_by)


def _cosignature(row: Row[Any]) -> Cosignature:
    try:
        at = parse_time(row.at)
    except Invalid as broken:
        raise IntegrityError(
            "MUNI-S511",
            "a row of the cosignatures has no time: the database was altered",
            witness=row.witness[:80],
            size=row.size,
            do="keep the database as it is: muni audit verify",
        ) from broken
    return Cosignature(row.witness, row.key, row.size, row.line, at)


REPOSITORIES: Final = {WitnessRepository: SqlWitnesses}
