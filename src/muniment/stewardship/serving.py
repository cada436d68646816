"""A person in the online tables of features: the rows that hold him, and the rows that came out of what is destroyed.

Online rows lie in the database, not under a key of their own, so they are taken out instead of shredded. Where a table
has the column by which he is known, as a key or as a feature, his rows go and everybody else's stay; where it has not,
nobody can tell which rows are his, and every row goes that was published from rows made of his.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from muniment.catalog.model import Entity
from muniment.catalog.naming import label
from muniment.catalog.ports import Entities
from muniment.data.features.ports import Online
from muniment.data.features.views import known
from muniment.execution.submitting import files_of
from muniment.kernel.digest import Digest
from muniment.kernel.verb import Call
from muniment.programs.feature_view import View, key_text
from muniment.vault.service import Vault
from muniment.wire.stewardship import Affected

__all__ = ["Served", "of_builds", "of_person", "same", "take_out"]

KIND: Final = "online"
"""Of what a plan names: rows of an online table, where the digest is that of its view."""

_MOST: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Served:
    """What has to go from the online table of a view."""

    view: Digest
    keys: tuple[str, ...]
    """Of entities that are his."""

    publications: tuple[str, ...]
    """Whose rows go, whosever they are."""

    rows: int
    why: str

    def affected(self, call: Call, action: str) -> Affected:
        """As a plan names it."""
        reference = f"online:{label(call.session, call.project, self.view)}"
        rows = self.rows if self.keys else None
        return Affected(reference=reference, digest=str(self.view), kind=KIND, why=self.why, rows=rows, action=action)


def of_person(call: Call, subject: Entity, gone: Collection[Digest]) -> list[Served]:
    """What online tables hold of a person, and what was published from builds that are destroyed for his sake.

    Args:
        call: the request.
        subject: the sealed document that stands for him.
        gone: snapshots that are to be destroyed.
    """
    column, value = str(subject.facts["column"]), _value_of(call, subject)
    found = []
    for view, shape in _tables(call):
        if column in (*shape.entity, *(feature.name for feature in shape.features)):
            keys = () if value is None else tuple(_keys(call, view, shape, column, value))
            if keys:
                found.append(Served(view, keys, (), len(keys), f"holds {len(keys)} of his rows for online reads"))
        else:
            found += _of_publications(call, view, gone, "published from rows of his, without the column")
    return found


def of_builds(call: Call, gone: Collection[Digest], why: str) -> list[Served]:
    """What online tables hold that was published from these snapshots."""
    return [one for view, _ in _tables(call) for one in _of_publications(call, view, gone, why)]


def take_out(call: Call, served: Sequence[Served]) -> int:
    """Take these rows out, in the transaction of the request; how many."""
    online, gone = call.use(Online), 0
    for one in served:
        if one.keys:
            gone += online.remove(call.project, one.view, one.keys)
        if one.publications:
            gone += online.remove_of(call.project, one.view, one.publications)
    return gone


def same(held: Any, value: str, kind: str) -> bool:
    """Whether an online value is the one by which a person is known; the rule is that of the search in snapshots.

    Args:
        held: the value as JSON holds it.
        value: his, as text.
        kind: type of the column, as schemas write it.
    """
    value = value.strip()
    if held is None:
        return False
    if isinstance(held, bool):
        return value.casefold() in (("true", "1") if held else ("false", "0"))
    if isinstance(held, (int, float)) or kind.startswith("decimal"):
        try:
            return Decimal(str(held)) == Decimal(value)
        except InvalidOperation:
            return False
    bare = str(held).strip()
    if bare == value:
        return True
    return value.isdigit() and bare.isdigit() and bare.lstrip("0") == value.lstrip("0")


def _tables(call: Call) -> Iterator[tuple[Digest, View]]:
    views = call.use(Online).views(call.project)
    entities = call.use(Entities).find(call.project, views)
    for view in views:
        if view in entities:
            yield view, known(entities[view]).view


def _value_of(call: Call, subject: Entity) -> str | None:
    """His value, for as long as the document that holds it can be read."""
    pieces = [Digest(str(file["digest"])) for file in files_of(subject)]
    vault = call.use(Vault)
    if not pieces or vault.erased(call.session, call.project, pieces):
        return None
    return str(json.loads(vault.read_bytes(call.project, pieces[0]))["value"])


def _keys(call: Call, view: Digest, shape: View, column: str, value: str) -> Iterator[str]:
    online = call.use(Online)
    last = online.publications(call.project, view, 1)
    types = list(json.loads(last[0].key_types)) if last else ["string"] * len(shape.entity)
    if list(shape.entity) == [column] and "int" in types[0]:
        # The table's own index answers, however many entities it holds.
        wanted = _whole(value)
        yield from sorted(online.get(call.project, view, [] if wanted is None else [key_text([wanted])]))
        return
    places = [n for n, name in enumerate(shape.entity) if name == column]
    features = [(n, feature.type) for n, feature in enumerate(shape.features) if feature.name == column]
    for row in online.rows(call.project, view):
        key = json.loads(row.key)
        if any(same(key[n], value, types[n]) for n in places):
            yield row.key
        elif features:
            values = json.loads(row.content)
            if any(same(values[n], value, kind) for n, kind in features):
                yield row.key


def _whole(value: str) -> int | None:
    try:
        number = Decimal(value.strip())
    except InvalidOperation:
        return None
    return int(number) if number.is_finite() and number == number.to_integral_value() else None


def _of_publications(call: Call, view: Digest, gone: Collection[Digest], why: str) -> list[Served]:
    online = call.use(Online)
    held = online.held(call.project, view)
    if not held:
        return []
    chosen = sorted(
        one.id for one in online.publications(call.project, view, _MOST) if one.build in gone and one.id in held
    )
    return [Served(view, (), tuple(chosen), sum(held[one] for one in chosen), why)] if chosen else []
