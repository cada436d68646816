"""The vault's repositories on each database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from muniment.adapters.sql.store import SqlStore
from muniment.errors import Conflict
from muniment.kernel.digest import Digest
from muniment.vault.model import ProjectKey, Sealed
from muniment.vault.ports import ProjectKeys, SealedObjects

MOMENT = datetime(2026, 11, 23, 9, 0, 0, 123456, tzinfo=UTC)


def _key(version: int, project: str = "credit") -> ProjectKey:
    return ProjectKey(project, version, f"kek/{project}/{version}", b"\x00kek", b"\xffnames", MOMENT)


def _sealed(content: bytes, project: str = "credit") -> Sealed:
    return Sealed(project, Digest.of(content), 5 * 2**33, b"\x00\xffkey", 1, "format", b"n" * 16, MOMENT)


def test_key_versions_come_back_as_they_were_kept(store: SqlStore) -> None:
    """Newest first; the highest version is the current one; projects do not see each other's."""
    with store.write() as session:
        for key in (_key(1), _key(2), _key(1, "cards")):
            session.use(ProjectKeys).add(key)
    with store.read() as session:
        keys = session.use(ProjectKeys)
        assert keys.versions("credit") == [_key(2), _key(1)]
        assert keys.current("credit") == _key(2)
        assert keys.version("credit", 1) == _key(1)
        assert keys.version("credit", 3) is None
        assert keys.current("other") is None
        assert keys.projects() == ["cards", "credit"]


def test_a_key_version_is_kept_once(store: SqlStore) -> None:
    """A second key of the same version is refused, and the first stays."""
    with store.write() as session:
        session.use(ProjectKeys).add(_key(1))
    with pytest.raises(Conflict), store.write() as session:
        session.use(ProjectKeys).add(replace(_key(1), kms_key="another"))
    with store.read() as session:
        assert session.use(ProjectKeys).versions("credit") == [_key(1)]


def test_records_come_back_as_they_were_kept(store: SqlStore) -> None:
    """Every field survives: sizes beyond 32 bits, any bytes, microseconds."""
    with store.write() as session:
        session.use(ProjectKeys).add(_key(1))
        assert session.use(SealedObjects).add(_sealed(b"a"))
    with store.read() as session:
        assert session.use(SealedObjects).find("credit", Digest.of(b"a")) == _sealed(b"a")
        assert session.use(SealedObjects).find("cards", Digest.of(b"a")) is None
        assert session.use(SealedObjects).find("credit", Digest.of(b"b")) is None


def test_the_same_content_is_recorded_once_in_a_project(store: SqlStore) -> None:
    """The second record changes nothing and says so; another project keeps its own."""
    with store.write() as session:
        for project in ("credit", "cards"):
            session.use(ProjectKeys).add(_key(1, project))
            assert session.use(SealedObjects).add(_sealed(b"a", project))
        assert not session.use(SealedObjects).add(replace(_sealed(b"a"), wrapped_key=b"other"))
    with store.read() as session:
        assert session.use(SealedObjects).find("credit", Digest.of(b"a")) == _sealed(b"a")


def test_pages_give_every_record_once(store: SqlStore) -> None:
    """In the order of the digests, whatever the page's size."""
    contents = sorted((_sealed(bytes([n])) for n in range(10)), key=lambda sealed: sealed.digest)
    with store.write() as session:
        session.use(ProjectKeys).add(_key(1))
        for sealed in reversed(contents):
            session.use(SealedObjects).add(sealed)
    with store.read() as session:
        objects, found, last = session.use(SealedObjects), [], None
        while page := objects.page("credit", last, 3):
            found, last = found + page, page[-1].digest
        assert found == contents


def test_rewrapping_changes_key_and_version_of_the_named_only(store: SqlStore) -> None:
    """Other records, and other projects, are as before."""
    with store.write() as session:
        for key in (_key(1), _key(2), _key(1, "cards")):
            session.use(ProjectKeys).add(key)
        objects = session.use(SealedObjects)
        for sealed in (_sealed(b"a"), _sealed(b"b"), _sealed(b"a", "cards")):
            objects.add(sealed)
        objects.rewrap("credit", 2, [(Digest.of(b"a"), b"new")])
        objects.rewrap("credit", 2, [])
        assert objects.count_by_version("credit") == {1: 1, 2: 1}
    with store.read() as session:
        objects = session.use(SealedObjects)
        assert objects.find("credit", Digest.of(b"a")) == replace(_sealed(b"a"), wrapped_key=b"new", kek_version=2)
        assert objects.find("credit", Digest.of(b"b")) == _sealed(b"b")
        assert objects.find("cards", Digest.of(b"a")) == _sealed(b"a", "cards")
