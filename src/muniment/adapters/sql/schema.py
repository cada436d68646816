"""The one MetaData that every table of the platform joins, and the column types they share."""

from __future__ import annotations

from typing import Final

from sqlalchemy import MetaData, String

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ID: Final = String(26)
"""An identifier made by ``new_id``."""

NAME: Final = String(200)
"""A name of a person, project, dataset or model."""

DIGEST: Final = String(71)
"""``sha256:`` and 64 hex digits."""

MOMENT: Final = String(27)
"""A moment as ``format_time`` writes it: sorts as text on every engine."""
