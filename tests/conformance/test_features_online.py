"""The online table of features, on each engine."""

from __future__ import annotations

from muniment.adapters.sql.store import SqlStore
from muniment.data.features.ports import Online, OnlineRow, Publication
from muniment.kernel.digest import Digest

VIEW, OTHER = Digest.of(b"view"), Digest.of(b"other view")
FIRST, SECOND = "01m8bpp5vjm7ejzxbys8mx9gap", "01m8bpp5vjm7ejzxbys8mx9gaq"


def put(store: SqlStore, publication: str, *rows: OnlineRow, view: Digest = VIEW, project: str = "main") -> int:
    """Publish rows; how many were taken."""
    with store.write() as session:
        return session.use(Online).put(project, view, publication, rows)


def held(store: SqlStore, view: Digest = VIEW, project: str = "main") -> list[OnlineRow]:
    """Every row of the table, in order."""
    with store.read() as session:
        return list(session.use(Online).rows(project, view))


def test_a_row_never_goes_back_in_time(store: SqlStore) -> None:
    """Later in (event, known) wins, equal replaces, earlier is left out and counted as such."""
    assert put(store, FIRST, OnlineRow("[1]", 10, 20, "[1]"), OnlineRow("[2]", 10, 20, "[1]")) == 2
    earlier = [OnlineRow("[1]", 9, 99, "[2]"), OnlineRow("[2]", 10, 19, "[2]"), OnlineRow("[3]", 0, 0, "[3]")]
    assert put(store, SECOND, *earlier) == 1
    assert [row.content for row in held(store)] == ["[1]", "[1]", "[3]"]
    assert put(store, SECOND, OnlineRow("[1]", 10, 20, "[4]"), OnlineRow("[2]", 11, 0, "[5]")) == 3
    assert [row.content for row in held(store)] == ["[4]", "[5]", "[3]"]


def test_values_come_back_as_they_are(store: SqlStore) -> None:
    """Large integers, decimals, texts of every script and nulls are text to the database, and keys are exact."""
    content = '[4611686018427387905,"1.1000",null,"Łódź \\u0000\'\\"","NaN"]'
    keys = ["[1]", '["1"]', '["a%_"]', '["A%_"]', "[true]", '["DE",7]', '["\u00e9"]', '["e\u0301"]']
    assert put(store, FIRST, *(OnlineRow(key, -5, 2**62, content) for key in keys)) == len(keys)
    with store.read() as session:
        found = session.use(Online).get("main", VIEW, [*keys, "[9]"])
    assert found == {key: OnlineRow(key, -5, 2**62, content) for key in keys}


def test_views_and_projects_do_not_meet(store: SqlStore) -> None:
    """The same key in another view, or in another project, is another entity."""
    put(store, FIRST, OnlineRow("[1]", 1, 1, "[1]"))
    put(store, FIRST, OnlineRow("[1]", 1, 1, "[2]"), view=OTHER)
    put(store, FIRST, OnlineRow("[1]", 1, 1, "[3]"), project="other")
    with store.read() as session:
        online = session.use(Online)
        assert [
            online.get(p, v, ["[1]"])["[1]"].content for p, v in (("main", VIEW), ("main", OTHER), ("other", VIEW))
        ] == [
            "[1]",
            "[2]",
            "[3]",
        ]
        assert online.get("other", OTHER, ["[1]"]) == {}
        assert (online.count("main", VIEW), online.count("other", OTHER)) == (1, 0)


def test_many_keys_are_read_at_once_and_pruned(store: SqlStore) -> None:
    """More keys than an engine takes parameters for; what a build does not hold goes when it is asked for."""
    rows = [OnlineRow(f"[{n}]", n, n, f"[{n}]") for n in range(12_000)]
    assert put(store, FIRST, *rows) == 12_000
    with store.read() as session:
        found = session.use(Online).get("main", VIEW, [f"[{n}]" for n in range(0, 14_000, 2)])
    assert len(found) == 6_000
    with store.write() as session:
        assert session.use(Online).keep_only("main", VIEW, (f"[{n}]" for n in range(3))) == 11_997
    assert [row.key for row in held(store)] == ["[0]", "[1]", "[2]"]


def test_publications_are_kept(store: SqlStore) -> None:
    """Newest first, and only those of the view."""
    for number, (run, view) in enumerate(((FIRST, VIEW), (SECOND, VIEW), ("01m8bpp5vjm7ejzxbys8mx9gar", OTHER))):
        made = Publication(
            id=run, project="main", view=view, build=Digest.of(b"rows"), as_of="2026-11-23T00:00:00.000000Z",
            at=f"2026-11-23T00:00:0{number}.000000Z", by="User:ana",
            key_types='["int64"]', offered=3, accepted=2, removed=0,
        )  # fmt: skip
        with store.write() as session:
            session.use(Online).published(made)
    with store.read() as session:
        found = session.use(Online).publications("main", VIEW, 5)
    assert [one.id for one in found] == [SECOND, FIRST]
    assert (found[0].build, found[0].accepted) == (Digest.of(b"rows"), 2)


def test_entities_and_publications_are_taken_out(store: SqlStore) -> None:
    """By key, or all that came with a publication; another view and another project keep theirs."""
    rows = [OnlineRow(f"[{n}]", 10, 20, "[1]") for n in range(1200)]
    put(store, FIRST, *rows[:700])
    put(store, SECOND, *rows[700:])
    put(store, FIRST, rows[0], view=OTHER)
    put(store, FIRST, rows[0], project="other")
    with store.write() as session:
        online = session.use(Online)
        assert list(online.views("main")) == sorted([VIEW, OTHER])
        assert online.held("main", VIEW) == {FIRST: 700, SECOND: 500}
        assert online.remove("main", VIEW, [row.key for row in rows[:650]] + ["[9999]"]) == 650
        assert online.remove_of("main", VIEW, [SECOND]) == 500
        assert online.remove_of("main", VIEW, []) == 0
    assert [row.key for row in held(store)] == sorted(row.key for row in rows[650:700])
    assert len(held(store, view=OTHER)) == len(held(store, project="other")) == 1
