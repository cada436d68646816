"""How records are named by people, and what they are about: ``finding:<id>``, ``comment:<id>``, ``review:<id>``."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Final, TypeVar

from muniment.catalog.model import Entity, EntityKind
from muniment.catalog.naming import resolve
from muniment.catalog.ports import Names
from muniment.errors import Denied, Invalid, NotFound
from muniment.identity.ports import Ties
from muniment.inventory.independence import parties
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.inventory.versions import find_version
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import is_id
from muniment.kernel.verb import Call

__all__ = ["called", "check_not_signer", "cited", "day", "model_of", "one_of", "text_of", "why_not_independent"]

Choice = TypeVar("Choice", bound=StrEnum)

_ENDING: Final = 6
"""So many last characters of an id are enough where they fit one record."""

_MOST_LOOKED_AT: Final = 5000
_LONGEST: Final = 10_000


def cited(call: Call, reference: str, kind: RecordKind, prefix: str) -> Record:
    """The record that ``prefix:<id>``, the bare id or a unique ending of it names.

    Raises:
        NotFound: the project has no such record of this kind.
        Invalid: the ending fits several.
    """
    wanted = reference.removeprefix(f"{prefix}:").lower()
    records = call.use(Records)
    if is_id(wanted):
        found = records.get(call.project, wanted)
        if found is not None and found.kind is kind:
            return found
    elif len(wanted) >= _ENDING and wanted.isalnum():
        fits = [r for r in records.of_kind(call.project, kind, _MOST_LOOKED_AT) if r.id.endswith(wanted)]
        if len(fits) == 1:
            return fits[0]
        if fits:
            raise Invalid(
                "MUNI-M151", "several records end like this", given=wanted[:40], records=[one.id for one in fits[:5]]
            )
    raise NotFound("MUNI-M252", f"there is no {prefix} {reference[:80]!r}", given=reference[:200], kind=kind.value)


def model_of(call: Call, reference: str) -> Entity:
    """The model version that a reference names."""
    return resolve(call.session, call.project, reference, EntityKind.MODEL)


def called(call: Call, digests: list[Digest]) -> dict[str, str]:
    """How to call these models, by digest as text."""
    borne = call.use(Names).of(call.project, digests)
    return {str(digest): str(borne[digest][0]) if borne.get(digest) else str(digest) for digest in digests}


def why_not_independent(call: Call, model: Digest) -> list[str]:
    """Why the principal does not judge a model: he had a part in it, or depends on somebody who had; else empty."""
    version = find_version(call.session, call.project, model)
    return [*parties(call.session, call.project, model, version).why(call.principal.id)]


def check_not_signer(call: Call, model: Digest) -> None:
    """Refuse to let who broke the glass settle what is looked at because of it.

    Raises:
        Denied: an account of the principal's signed a break-glass of the version.
    """
    same = call.use(Ties).same([call.principal.id])
    broken = call.use(Records).about(call.project, [str(model)], RecordKind.BREAK_GLASS)
    own = [record for record in broken if record.by.partition(":")[2] in same]
    if own:
        raise Denied(
            "MUNI-M456",
            "who signed a break-glass does not settle what is to be reviewed after it",
            principal=str(call.principal),
            because=[f"{own[-1].by} signed a break-glass of it on {own[-1].at:%Y-%m-%d}"],
            do="ask a validator who did not",
        )


def day(given: str, field: str) -> date:
    """A day as ``2026-12-31``.

    Raises:
        Invalid: it is none.
    """
    try:
        return date.fromisoformat(given) if len(given) == len("2026-12-31") else date.fromisoformat("?")
    except ValueError:
        raise Invalid(
            "MUNI-M152", f"{given[:40]!r} is not a day", field=field, given=given[:80], do="write it as 2026-12-31"
        ) from None


def one_of(choices: type[Choice], given: str, field: str) -> Choice:
    """One of the words that a field takes.

    Raises:
        Invalid: it is none of them.
    """
    try:
        return choices(given)
    except ValueError:
        raise Invalid(
            "MUNI-M153",
            f"{given[:40]!r} is no {field.replace('_', ' ')}",
            field=field,
            given=given[:80],
            choices=[one.value for one in choices],
        ) from None


def text_of(given: str, field: str, *, least: int = 1) -> str:
    """Text of a record, without blanks around it.

    Raises:
        Invalid: it is missing, or longer than 10,000 characters.
    """
    text = given.strip()
    if not least <= len(text) <= _LONGEST:
        raise Invalid(
            "MUNI-M154",
            f"the {field.replace('_', ' ')} is missing or too long",
            field=field,
            characters=len(text),
            most_characters=_LONGEST,
        )
    return text
