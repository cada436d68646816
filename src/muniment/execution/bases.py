"""Base roots that are kept: what jobs ran on, so that they can run on it again when the machine has another one."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol

from msgspec import Struct

from muniment.kernel.digest import Digest
from muniment.kernel.resources import INSTALLATION
from muniment.kernel.verb import Call, verb


class Bases(Protocol):
    """The base roots of the installation, each with the sealed archive that it is unpacked from."""

    def add(self, base: Digest, archive: Digest, at: datetime) -> None:
        """Keep one; one that is kept already stays as it is."""

    def archive(self, base: Digest) -> Digest | None:
        """Digest of the archive of a base root, sealed in the platform's own project; None when it is not kept."""


class KeepBase(Struct, kw_only=True, frozen=True):
    """A worker hands over the base root that it runs jobs on; its archive comes along."""

    base: str


class KeptBase(Struct, kw_only=True, frozen=True):
    """The base root is kept."""

    base: str
    archive: str


@verb(
    "execution:KeepBase",
    on=INSTALLATION,
    request=KeepBase,
    reply=KeptBase,
    event="base.kept",
    group="internal",
    internal=True,
    takes_body=True,
)
def keep_base(call: Call, request: KeepBase) -> KeptBase:
    """Keep the base root of a machine, so that what ran on it can be made again elsewhere and later."""
    bases, base = call.use(Bases), Digest(request.base)
    bases.add(base, call.body.digest, call.now)
    call.note(base=str(base), archive=str(call.body.digest), bytes=call.body.size)
    return KeptBase(base=str(base), archive=str(bases.archive(base)))


VERBS: Final = (keep_base,)
