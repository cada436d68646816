"""Package indexes that job environments may be made from: a list that administrators keep."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from muniment.errors import Denied, Invalid, NotFound
from muniment.kernel.identifiers import check_name, format_time
from muniment.kernel.resources import INSTALLATION
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import execution as wire

_ADDRESS: Final = re.compile(r"(https://[^\s/@?#]+|http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?)(/[^\s@?#]*)?")


@dataclass(frozen=True, slots=True)
class PackageIndex:
    """An allowed package index."""

    name: str
    url: str
    at: str
    by: str


class Indexes(Protocol):
    """The allowed package indexes of the installation."""

    def all(self) -> Sequence[PackageIndex]:
        """All of them, by name."""

    def add(self, index: PackageIndex) -> None:
        """Allow one; one of the same name is replaced."""

    def remove(self, name: str) -> bool:
        """Take one off the list; False when it is not on it."""


def check_index(indexes: Indexes, name: str | None) -> None:
    """Refuse an index that is not allowed; while none is, any will do.

    Raises:
        Denied: there are allowed indexes, and this is none of them.
    """
    allowed = [one.name for one in indexes.all()]
    if allowed and name not in allowed:
        raise Denied(
            "MUNI-X401",
            "environments are made of wheels of allowed package indexes only",
            index=name,
            allowed=allowed,
            do=f"muni env build NAME --index {allowed[0]}",
        )


@verb(
    "execution:AllowIndex",
    on=INSTALLATION,
    request=wire.AllowIndex,
    reply=wire.PackageIndex,
    event="index.allowed",
    group="env:manage",
)
def allow_index(call: Call, request: wire.AllowIndex) -> wire.PackageIndex:
    """Allow a package index; from then on environments come from allowed ones only."""
    if not _ADDRESS.fullmatch(request.url):
        raise Invalid(
            "MUNI-X148",
            "the address of a package index begins with https:// and holds no credentials",
            given=re.sub(r"//[^@/]*@", "//…@", request.url)[:200],
            do="keep credentials in ~/.netrc of whoever builds environments",
        )
    made = PackageIndex(
        check_name(request.name, "package index"), request.url, format_time(call.now), str(call.principal)
    )
    call.use(Indexes).add(made)
    call.note(index=made.name, url=made.url)
    return _reply(made)


@verb(
    "execution:ForbidIndex",
    on=INSTALLATION,
    request=wire.ForbidIndex,
    reply=wire.PackageIndexes,
    event="index.forbidden",
    group="env:manage",
)
def forbid_index(call: Call, request: wire.ForbidIndex) -> wire.PackageIndexes:
    """Take a package index off the list; environments that were made from it stay."""
    if not call.use(Indexes).remove(request.name):
        raise NotFound("MUNI-X206", f"no package index {request.name[:80]!r} is allowed", index=request.name[:80])
    call.note(index=request.name)
    return _all(call)


@verb(
    "execution:ListIndexes",
    on=INSTALLATION,
    request=wire.ListIndexes,
    reply=wire.PackageIndexes,
    event="indexes.listed",
    group="env:read",
    effect=Effect.READ,
)
def list_indexes(call: Call, request: wire.ListIndexes) -> wire.PackageIndexes:
    """List the allowed package indexes."""
    return _all(call)


def _all(call: Call) -> wire.PackageIndexes:
    return wire.PackageIndexes(indexes=[_reply(one) for one in call.use(Indexes).all()])


def _reply(one: PackageIndex) -> wire.PackageIndex:
    return wire.PackageIndex(name=one.name, url=one.url, allowed_at=one.at, allowed_by=one.by)


VERBS: Final = (allow_index, forbid_index, list_indexes)
