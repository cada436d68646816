"""What stewards said, for policies: read through the other repositories, in their transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Connection

from muniment.adapters.sql import catalog, execution, inventory
from muniment.adapters.sql.store import SqlSession
from muniment.catalog.ports import Stewarded
from muniment.stewardship.using import Stewards

_READ: Final[Mapping[type[Any], Callable[[Connection], Any]]] = {
    **catalog.REPOSITORIES,
    **execution.REPOSITORIES,
    **inventory.REPOSITORIES,
}


def _stewards(connection: Connection) -> Stewards:
    return Stewards(SqlSession(connection, _READ))


REPOSITORIES: Final = {Stewarded: _stewards}
