"""Every repository of the platform on SQL: those of the rooms in one mapping for the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection

from muniment.adapters.sql import (
    archive,
    catalog,
    execution,
    features,
    identity,
    inventory,
    ledger,
    policy,
    registry,
    search,
    stewardship,
    tracking,
    tuning,
    vault,
    witness,
)

REPOSITORIES: Final[dict[type[Any], Callable[[Connection], Any]]] = {
    **archive.REPOSITORIES,
    **catalog.REPOSITORIES,
    **execution.REPOSITORIES,
    **features.REPOSITORIES,
    **identity.REPOSITORIES,
    **inventory.REPOSITORIES,
    **ledger.REPOSITORIES,
    **policy.REPOSITORIES,
    **stewardship.REPOSITORIES,
    **tracking.REPOSITORIES,
    **registry.REPOSITORIES,
    **search.REPOSITORIES,
    **tuning.REPOSITORIES,
    **vault.REPOSITORIES,
    **witness.REPOSITORIES,
}
"""The implementation of each port; importing this also brings every table into the metadata."""
