"""The register of assets and the list of changes, as bytes of an open file or as rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from muniment.sdk.asking import Asking
from muniment.sdk.frames import to_frame
from muniment.wire import assets as wire

__all__ = ["Register", "assets_of", "changes_of", "rows_of"]


class Register(tuple[dict[str, Any], ...]):
    """Rows of a register, each by its columns."""

    __slots__ = ()

    def to_frame(self) -> Any:
        """A data frame, one row each."""
        return to_frame(list(self), tuple(self[0]) if self else ())


def assets_of(asking: Asking, *, scope: str | None = None, form: str = "csv") -> Iterator[bytes]:
    """The register of assets, chunk by chunk."""
    return asking.download("evidence:ExportAssets", wire.ExportAssets(form=form, scope=scope))


def changes_of(
    asking: Asking, *, since: str | None = None, until: str | None = None, scope: str | None = None, form: str = "csv"
) -> Iterator[bytes]:
    """The changes of a period, chunk by chunk."""
    request = wire.ExportChanges(form=form, since=since, until=until, scope=scope)
    return asking.download("evidence:ExportChanges", request)


def rows_of(chunks: Iterator[bytes]) -> Register:
    """The rows of a register that came as JSON."""
    return Register(json.loads(b"".join(chunks))["rows"])
