"""The state as plain rows: every table that is anybody's business outside, for an export and back from one."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Connection, Float, Integer, LargeBinary, Table, func, insert, select

from muniment.adapters.sql.schema import METADATA
from muniment.evidence.exporting import Tables

OMITTED: Final[Mapping[str, str]] = {
    "identity_bootstraps": "secrets, as digests",
    "identity_passwords": "secrets, as hashes",
    "identity_tokens": "secrets, as digests",
    "inventory_challenge": "questions to signers, which live for minutes",
    "ledger_checkpoints": "in the ledger's own export",
    "ledger_entries": "in the ledger's own export",
    "ledger_head": "follows from the entries",
    "vault_key_end": "keys; what they sealed is gone",
    "vault_project_key": "keys; what they seal is exported in the clear",
    "vault_sealed_object": "keys; what they seal is exported in the clear",
}
"""Tables that an export leaves out, and why; a new table is exported unless it is named here."""

_BATCH: Final = 1000
_NAMED: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class SqlTables:
    """Every table but the omitted ones, in an order in which they can be loaded."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def names(self) -> tuple[str, ...]:
        """The tables; one that another refers to comes first."""
        return tuple(table.name for table in METADATA.sorted_tables if table.name not in OMITTED)

    def schema(self, table: str) -> dict[str, Any]:
        """The JSON schema of a row."""
        columns = METADATA.tables[table].columns
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": table,
            "type": "object",
            "properties": {column.name: _schema(column) for column in columns},
            "required": [column.name for column in columns],
            "additionalProperties": False,
        }

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Every row, in the order of the primary key."""
        known = METADATA.tables[table]
        query = select(known).order_by(*known.primary_key.columns)
        for row in self._connection.execution_options(yield_per=_BATCH).execute(query):
            yield {column.name: _plain(value) for column, value in zip(known.columns, row, strict=True)}

    def load(self, table: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """Put rows into an empty table; how many there were."""
        known, given, count = METADATA.tables[table], iter(rows), 0
        binary = {column.name for column in known.columns if isinstance(column.type, LargeBinary)}
        real = {column.name for column in known.columns if isinstance(column.type, Float)}
        while batch := [_stored(row, binary, real) for row in islice(given, _BATCH)]:
            self._connection.execute(insert(known), batch)
            count += len(batch)
        self._continue_numbering(known)
        return count

    def _continue_numbering(self, table: Table) -> None:
        """PostgreSQL does not see the numbers that came with the rows."""
        column = table.autoincrement_column
        if self._connection.dialect.name == "postgresql" and column is not None:
            largest = self._connection.execute(select(func.max(column))).scalar()
            sequence = self._connection.execute(select(func.pg_get_serial_sequence(table.name, column.name))).scalar()
            if largest is not None and sequence is not None:
                self._connection.execute(select(func.setval(sequence, largest)))


def _schema(column: Column[Any]) -> dict[str, Any]:
    kinds: dict[str, Any] = {"type": ["string"]}
    if isinstance(column.type, Boolean):
        kinds = {"type": ["boolean"]}
    elif isinstance(column.type, (Integer, BigInteger)):
        kinds = {"type": ["integer"]}
    elif isinstance(column.type, Float):
        kinds = {"type": ["number", "string"], "description": "NaN, Infinity and -Infinity as text"}
    elif isinstance(column.type, LargeBinary):
        kinds = {"type": ["string"], "contentEncoding": "base64"}
    if column.nullable:
        kinds["type"] = [*kinds["type"], "null"]
    return kinds


def _plain(value: Any) -> Any:
    if isinstance(value, (bytes, memoryview)):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return next(name for name, named in _NAMED.items() if str(named) == str(value))
    return value


def _stored(row: Mapping[str, Any], binary: set[str], real: set[str]) -> dict[str, Any]:
    stored = dict(row)
    for name in binary:
        if stored[name] is not None:
            stored[name] = base64.b64decode(stored[name], validate=True)
    for name in real:
        stored[name] = _NAMED.get(stored[name], stored[name]) if isinstance(stored[name], str) else stored[name]
    return stored


REPOSITORIES: Final[Mapping[type[Any], Callable[[Connection], Any]]] = {Tables: SqlTables}
