"""A model from one project to another: opened with the key of the one, sealed with that of the other, digests compared.

The copy is another sealed object with the same digest. Nothing of what is copied is opened as a model or executed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from muniment.errors import IntegrityError, Invalid, MunimentError
from muniment.execution.model import Part
from muniment.kernel.verb import Call
from muniment.vault.model import Sealed
from muniment.vault.service import Vault

__all__ = ["copied"]

_MOST_BYTES: Final = 1 << 30
"""They are copied while the database is held, so that the copy and its record are one."""


@contextmanager
def copied(call: Call, source: str, parts: Sequence[Part]) -> Iterator[None]:
    """Copy files into the project of a request, in its transaction; when the block fails nothing of them is left.

    Args:
        call: the request; its project is where they go.
        source: the project that they come from.
        parts: the files.

    Raises:
        Invalid: together they are larger than one promotion may be.
        IntegrityError: a file does not have its digest, or is not there.
    """
    if (size := sum(part.size for part in parts)) > _MOST_BYTES:
        raise Invalid("MUNI-M181", "the model is too large to be promoted at once", bytes=size, most_bytes=_MOST_BYTES)
    vault = call.use(Vault)
    made: list[Sealed] = []
    try:
        for part in {part.digest: part for part in parts}.values():
            if not vault.has(call.session, call.project, part.digest):
                made.append(_copy(call, source, part))
                vault.register(call.session, call.project, made[-1])
        yield
    except Exception:
        for sealed in made:
            with suppress(MunimentError):  # what stays is found by fsck; the refusal is what the asker must see
                vault.discard(sealed)
        raise


def _copy(call: Call, source: str, part: Part) -> Sealed:
    vault = call.use(Vault)
    with vault.open(source, part.digest) as reader:
        sealed = vault.seal(call.project, reader)
    if (sealed.digest, sealed.size) != (part.digest, part.size):
        vault.discard(sealed)
        raise IntegrityError(
            "MUNI-M551",
            "a file is not the same after it was copied",
            path=part.path,
            expected=str(part.digest),
            found=str(sealed.digest),
        )
    return sealed
