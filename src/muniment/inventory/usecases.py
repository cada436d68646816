"""Use cases, as their records tell them: what models may be used for, who answers for it, what the law allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from muniment.errors import Conflict, NotFound
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.kernel.ports import Session

__all__ = ["UseCase", "bound_to", "find_use_case", "living_use_case", "newest", "subject_of"]


@dataclass(frozen=True, slots=True)
class UseCase:
    """A use case in its newest version."""

    record: Record
    retired: Record | None

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.record.body["name"])

    @property
    def version(self) -> int:
        """From 1 on."""
        return int(self.record.body["version"])

    def __str__(self) -> str:
        """``cards@2``."""
        return f"{self.name}@{self.version}"


def subject_of(name: str) -> str:
    """What records about a use case have as their subject."""
    return f"usecase:{name}"


def newest(records: Sequence[Record]) -> UseCase | None:
    """The use case that these records, all about one name, come to."""
    stated = [record for record in records if record.kind is RecordKind.USE_CASE]
    if not stated:
        return None
    retired = [record for record in records if record.kind is RecordKind.RETIREMENT]
    return UseCase(max(stated, key=lambda record: record.body["version"]), retired[-1] if retired else None)


def find_use_case(session: Session, project: str, name: str) -> UseCase:
    """The newest version of a use case.

    Raises:
        NotFound: there is none of this name.
    """
    found = newest(session.use(Records).about(project, [subject_of(name)]))
    if found is None:
        known = sorted({r.body["name"] for r in session.use(Records).of_kind(project, RecordKind.USE_CASE)})
        raise NotFound(
            "MUNI-M201",
            f"there is no use case {name[:80]!r}",
            given=name[:200],
            known=known[:20],
            do="muni usecase list",
        )
    return found


def living_use_case(session: Session, project: str, name: str) -> UseCase:
    """The newest version of a use case that is not retired.

    Raises:
        NotFound: there is none of this name.
        Conflict: it is retired.
    """
    found = find_use_case(session, project, name)
    if found.retired is not None:
        raise Conflict("MUNI-M301", f"the use case {name!r} is retired", use_case=name, do="take another one")
    return found


def bound_to(session: Session, project: str, experiment: str) -> str | None:
    """The use case that an experiment is bound to; None when it is bound to none."""
    bindings = session.use(Records).about(project, [f"experiment:{experiment}"], RecordKind.BINDING)
    if not bindings:
        return None
    name = max(bindings, key=lambda record: record.body["number"]).body["use_case"]
    return str(name) if name else None
