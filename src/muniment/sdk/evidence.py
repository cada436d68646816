"""Evidence packs: everything that bears a model out, as one file for somebody who trusts nobody."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from muniment.errors import Conflict
from muniment.sdk.asking import Asking
from muniment.sdk.cells import card, facts
from muniment.sdk.shown import size
from muniment.wire import evidence as wire

__all__ = ["EvidencePack", "pack_of", "save_pack"]


@dataclass(frozen=True, slots=True)
class EvidencePack:
    """A pack on the disk."""

    model: str
    """Reference of the model it is about."""

    file: Path
    size: int
    """Bytes."""

    digest: str
    """Of the file; the ledger entry of the request names it too."""

    def __repr__(self) -> str:
        return f"{self.file}  {size(self.size)}  {self.digest}\n  check it anywhere: muni verify {self.file}"

    def _repr_html_(self) -> str:
        known = {"about": self.model, "size": size(self.size), "digest": self.digest}
        return card(str(self.file), facts(known), kind="evidence pack")


def pack_of(
    asking: Asking, model: str, *, checkpoint: int | None = None, since: Iterable[int] = (), cosigned: bool = False
) -> Iterator[bytes]:
    """The bytes of a pack, piece by piece; see ``BuildPack`` for what each argument means."""
    request = wire.BuildPack(
        project=asking.project, model=model, checkpoint=checkpoint, since=list(since), cosigned=cosigned
    )
    return asking.download("evidence:BuildPack", request)


def save_pack(model: str, chunks: Iterable[bytes], file: str | Path) -> EvidencePack:
    """Write a pack to a new file, whole or not at all.

    Raises:
        Conflict: there is such a file already.
    """
    target = Path(file)
    if target.exists():
        raise Conflict(
            "MUNI-A311", f"{str(target)!r} exists already", file=str(target), do="choose another name with -o"
        )
    part, written, digest = target.with_name(target.name + ".part"), 0, hashlib.sha256()
    try:
        with part.open("xb") as out:
            for chunk in chunks:
                written += out.write(chunk)
                digest.update(chunk)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return EvidencePack(model, target, written, f"sha256:{digest.hexdigest()}")
