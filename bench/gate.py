"""What the gate adds: a verb that inserts one row (recognise, authorise, write, record) against one durable insert.

Both sides commit to SQLite with ``synchronous=FULL`` on the same disk, one after the other, in turns; medians of wall
time. Both insert at the driver, the verb by ``direct.Addition`` as the repositories of identity and policy do. The
second measurement is taken with 1,000 policies in force, published by ten for each of 100 projects. Each is repeated
with a slower disk, imitated by a pause of 3.3 ms before the commit of either side: on a disk that makes 5,000 writes a
second durable, the ratio says how long Python computes, on one of 300 what the gate costs there.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct
from sqlalchemy import Column, Connection, Integer, Table, Text

from muniment.adapters.sql.direct import Addition
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.schema import METADATA
from muniment.adapters.sql.store import SqlStore, sqlite_url
from muniment.bootstrap import VERBS, open_platform
from muniment.founding import initialise
from muniment.gate.door import Credential, Gate
from muniment.gate.table import VerbTable
from muniment.identity.service import LastUses, TokenAuthenticator
from muniment.kernel.ports import SystemClock, SystemEntropy
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, verb
from muniment.policy.authorizer import CedarAuthorizer
from muniment.wire.identity import AddProject
from muniment.wire.policy import PolicyTest, PublishPolicies, TestGrant
from table import Row

ROUNDS: Final = 300
PROJECTS: Final = 100
POLICIES_EACH: Final = 10

NOTES = Table("bench_note", METADATA, Column("id", Integer, primary_key=True), Column("text", Text, nullable=False))
ADD_NOTE: Final = Addition(NOTES)


class SlowDisk:
    """Pauses before each commit as long as it is told to."""

    def __init__(self) -> None:
        self.pause_s = 0.0

    def point(self, name: str) -> None:
        """Wait where the disk would."""
        if self.pause_s and name == "store.commit":
            time.sleep(self.pause_s)


class Notes:
    """A repository of one table."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, text: str) -> None:
        """Insert a row."""
        ADD_NOTE.add(self._connection, {"text": text})


class AddNote(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Write a note."""

    project: str
    text: str


class Added(Struct, kw_only=True, frozen=True):
    """It is written."""


@verb("bench:AddNote", on=PROJECT, request=AddNote, reply=Added, event="note.added", group="data:write")
def add_note(call: Call, request: AddNote) -> Added:
    """Insert one row."""
    call.use(Notes).add(request.text)
    return Added()


def alternately(first: Callable[[], object], second: Callable[[], object]) -> tuple[float, float]:
    """Median seconds of each, taken in turns."""
    figures: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for side, figure in zip((first, second), figures, strict=True):
            started = time.perf_counter()
            side()
            figure.append(time.perf_counter() - started)
    return statistics.median(figures[0]), statistics.median(figures[1])


def run() -> list[Row]:
    """Measure with the policies that ship, then with 1,000 more."""
    with tempfile.TemporaryDirectory(prefix="muni-bench-") as scratch:
        return _measure(Path(scratch))


def _measure(folder: Path) -> list[Row]:
    home = folder / "home"
    made = initialise(home, key_file=folder / "keys" / "bench.keys", project="bench")
    platform = open_platform(home)
    disk = SlowDisk()
    store = SqlStore(sqlite_url(home / "state.db"), {**REPOSITORIES, Notes: Notes}, disk)
    NOTES.create(store.engine)
    clock, table = SystemClock(), VerbTable([*VERBS, add_note])
    gate = Gate(
        table,
        store,
        platform.ledger,
        platform.vault,
        TokenAuthenticator(clock, LastUses()),
        CedarAuthorizer(table, clock),
        {},
        clock,
        SystemEntropy(),
    )
    scientist, administrator = Credential(made.tokens["scientist"]), Credential(made.tokens["admin"])
    plain = _plain(folder / "plain.db")
    text = "x" * 100
    note = AddNote(project="bench", text=text)

    def through_the_gate() -> None:
        gate.invoke("bench:AddNote", note, scientist)

    def one_insert() -> None:
        disk.point("store.commit")
        plain.execute("insert into note (text) values (?)", (text,))

    rows = []
    for what, bar in (("one verb through the gate", 1.5), ("the same with 1,000 policies", 2.0)):
        if rows:
            _publish(platform.gate, administrator)
        for disk.pause_s in (0.0, 0.0033):
            alternately(through_the_gate, one_insert)
            ours, peer = alternately(through_the_gate, one_insert)
            ratio = ours / peer
            pause = f", + {disk.pause_s * 1e3:.1f} ms a commit" if disk.pause_s else ""
            cost = f"adds {(ours - peer) * 1e3:.2f} ms"
            cost += "; a slower disk, imitated on both sides" if pause else f"; {1 / peer:,.0f} durable inserts/s here"
            insert_ = f"{peer * 1e3:.2f} ms durable SQLite insert"
            rows.append(Row(what + pause, f"{ours * 1e3:.2f} ms", insert_, ratio, f"<= {bar}x", ratio <= bar, cost))
    platform.close()
    store.close()
    plain.close()
    return rows


def _plain(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"pragma {pragma}").close()
    connection.execute("create table note (id integer primary key, text text not null)")
    return connection


def _publish(gate: Gate, administrator: Credential) -> None:
    """Ten forbids for each of a hundred projects, the measured one among them, each with its two tests."""
    for project in ["bench", *(f"bench-{n}" for n in range(1, PROJECTS))]:
        if project != "bench":
            gate.invoke("identity:AddProject", AddProject(name=project), administrator)
        names = [f"own/{project}/{n}@1" for n in range(POLICIES_EACH)]
        policies = [
            f'@id("{name}") @reason("not from network {n}") forbid (principal, action in [Action::"data:write"],'
            f' resource in Project::"{project}") when {{ context.ip.isInRange(ip("10.7.{n}.0/24")) }};'
            for n, name in enumerate(names)
        ]
        grant = [TestGrant(role="scientist", scope=project)]
        tests = [
            PolicyTest(
                name=f"{name} {expect}",
                action="data:AddDataset",
                expect=expect,
                by=[name] if expect == "deny" else ["role/scientist@1"],
                grants=grant,
                project=project,
                context={"ip": f"10.7.{n}.1" if expect == "deny" else "10.8.0.1"},
            )
            for n, name in enumerate(names)
            for expect in ("deny", "allow")
        ]
        request = PublishPolicies(scope=project, text="\n".join(policies), tests=tests)
        gate.invoke("policy:PublishPolicies", request, administrator)
