"""From what a person writes to the entity it means."""

from __future__ import annotations

import difflib
from datetime import datetime
from typing import Final

from muniment.catalog.model import Entity, EntityKind, Name
from muniment.catalog.ports import Entities, Names
from muniment.errors import Invalid, NotFound
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.ports import Session
from muniment.kernel.reference import Named, bears_kind, parse_reference

_CONSIDERED: Final = 500
"""How many names are looked at when one was not found and the nearest ones are suggested."""

_CALLED: Final = (EntityKind.MODEL, EntityKind.DATA, EntityKind.FEATURES)
"""Kinds that people name without saying which: the same name under another of them is suggested first."""


def check_entity_name(kind: EntityKind, name: str) -> str:
    """Return a name that a reference can carry.

    Raises:
        Invalid: it cannot be written as ``kind:name``.
    """
    reference = parse_reference(f"{kind}:{name}")
    if not isinstance(reference, Named) or reference.name != name:
        raise Invalid("MUNI-C101", f"{name[:80]!r} is not a name", given=name[:200], do="leave the version out")
    return name


def resolve(session: Session, project: str, text: str, kind: EntityKind | None = None) -> Entity:
    """The entity that a reference means in a project; ``@latest`` is decided here and nowhere else.

    Args:
        session: the transaction to look in.
        project: the project to look in; others are invisible.
        text: ``kind:name@version``, or ``kind:name@2026-11-01T00:00:00Z`` for the version that was the latest at that
            moment; the kind may be left out where ``kind`` is given; or ``sha256:<hex>``.
        kind: what it has to be; None takes anything, and a bare name is then one of data.

    Raises:
        Invalid: not a reference, or one of another kind.
        NotFound: there is no such thing; the fact ``near`` lists names that look alike.
    """
    reference = parse_reference(text, kind=kind or (None if bears_kind(text) else EntityKind.DATA))
    if isinstance(reference, Digest):
        return _by_digest(session, project, reference, kind)
    wanted = _kind_of(reference)
    if reference.at is not None:
        found = _as_of(session, project, wanted, reference, reference.at)
    else:
        found = session.use(Names).find(project, wanted, reference.name, reference.version)
    if found is None:
        raise _not_found(session, project, wanted, reference)
    return session.use(Entities).find(project, [found.digest])[found.digest]


def label(session: Session, project: str, digest: Digest) -> str:
    """The newest name of an entity, or its digest where it bears none."""
    names = session.use(Names).of(project, [digest]).get(digest)
    return str(names[0]) if names else str(digest)


def _as_of(session: Session, project: str, kind: EntityKind, reference: Named, moment: datetime) -> Name | None:
    """The version that was the latest at a moment: of those named by then the greatest.

    Raises:
        NotFound: the name had no version yet; the oldest one is named.
    """
    versions = session.use(Names).versions(project, kind, reference.name)
    named = [one for one in versions if one.at <= moment]
    if versions and not named:
        oldest = min(versions, key=lambda one: one.version)
        raise NotFound(
            "MUNI-C207",
            f"{kind}:{reference.name} had no version at that time",
            given=str(reference),
            oldest=str(oldest),
            since=format_time(oldest.at),
        )
    return max(named, key=lambda one: one.version, default=None)


def _by_digest(session: Session, project: str, digest: Digest, kind: EntityKind | None) -> Entity:
    entity = session.use(Entities).find(project, [digest]).get(digest)
    if entity is None:
        raise NotFound("MUNI-C201", f"nothing with digest {digest.short}… is known here", digest=digest)
    if kind is not None and entity.kind is not kind:
        names = session.use(Names).of(project, [digest]).get(digest, [])
        if not any(name.kind is kind for name in names):
            raise Invalid("MUNI-C102", f"{digest.short}… is {entity.kind}, not {kind}", digest=digest, kind=entity.kind)
    return entity


def _kind_of(reference: Named) -> EntityKind:
    try:
        return EntityKind(reference.kind)
    except ValueError:
        raise Invalid(
            "MUNI-C103",
            f"{reference.kind!r} is no kind of entity",
            given=str(reference),
            kinds=[kind.value for kind in EntityKind],
        ) from None


def _not_found(session: Session, project: str, kind: EntityKind, reference: Named) -> NotFound:
    names = session.use(Names)
    if versions := names.versions(project, kind, reference.name):
        return NotFound(
            "MUNI-C202",
            f"{kind}:{reference.name} has no version {reference.version}",
            given=str(reference),
            latest=str(versions[0]),
        )
    known = [name.name for name in names.latest(project, kind, "", _CONSIDERED)]
    elsewhere = [f"{other}:{reference.name}" for other in _CALLED if names.versions(project, other, reference.name)]
    alike = difflib.get_close_matches(reference.name, known, n=5, cutoff=0.5)
    near = [*elsewhere, *(f"{kind}:{name}" for name in alike)]
    return NotFound("MUNI-C203", f"there is no {kind}:{reference.name}", given=str(reference), near=near)
