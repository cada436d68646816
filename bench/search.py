"""Search at the size of an institution: 100,000 runs, five million measurements, a million arrows of lineage.

The rows are put in at the driver, as a history of years would have left them: pipelines that ingest, split, make
features and train, each run with parameters, metrics, inputs and outputs. Then a written list of searches is asked,
each several times, on SQLite and on PostgreSQL; the worst counts. Beside them stand the full upstream closure and the
proof that something was not used, over the same arrows, and one search that MLflow's own store answers too.
"""

from __future__ import annotations

import gc
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from lineage import History, digest
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.schema import METADATA
from muniment.adapters.sql.store import SqlStore, sqlite_url
from muniment.catalog.absence import decide
from muniment.catalog.model import Direction, Relation
from muniment.catalog.ports import Entities, Lineage
from muniment.catalog.service import gather
from muniment.kernel.digest import Digest
from muniment.search.kinds import KINDS
from muniment.search.language import Lineage as LineageTest
from muniment.search.language import parse, parse_path
from muniment.search.ports import Scope, SearchIndex
from table import Row

METRICS = ("auc", "ks", "gini", "brier", "loss", "f1", "accuracy", "precision", "recall", "psi")
STEPS = 5
"""Values of each metric: 100,000 runs x 10 metrics x 5 values are five million."""

ASKED = 5
CLOSURES = 30
BAR_MS = 200.0
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
READ_BY = 10
LATE = 99_990
"""A run that has a history."""

NAMES = 60
"""Names of data sets; their versions are the pipelines' snapshots."""

SEARCHES = (
    'run where metric.auc > 0.78 and input.name = "set-7" and param.max_depth in (3, 5) order by metric.auc desc',
    "run",
    "run where status = failed",
    "run order by metric.auc desc",
    "run where metric.auc > 0.5 order by metric.auc desc limit 100",
    "run where metric.auc > 0.5 order by metric.auc offset 50000",
    "run where metric.auc > 0.9 or metric.ks > 0.9 order by created desc",
    "run where not metric.auc > 0.6 and status = ok",
    "run where metric.psi is absent and kind = train",
    "run where metric.auc is present and metric.nothing is absent and param.max_depth = 7",
    'run where label like "xg%" and param.eta < 0.05 and param.rounds >= 900 order by metric.loss',
    'run where param.note contains "grid-77"',
    "run where param.max_depth in (3, 5) and param.eta > 0.5 and param.rounds < 500 and metric.auc > 0.7",
    'run where input.name in ("set-1", "set-2", "set-3") and output.kind = model order by metric.gini desc',
    'run where input.name != "set-1" and tag.team = "retail"',
    'run where not (input.name = "set-1" or status = failed) and author = "User:p3" order by duration desc',
    'run where experiment starts with "exp-19" and created > now - 300d order by started',
    "run where duration > 95s and seed in (1, 3) order by duration desc, metric.auc",
    "run where metric.auc > 0.999999",
    "run where metric.auc > 0.6 and metric.ks > 0.3 and metric.gini > 0.3 and status = ok order by metric.auc offset 900",  # noqa: E501
    "run where downstream of {data}",
    "run where upstream of {model} and kind = train",
    "run where downstream of {hot}",
    "run where downstream of {hot} and metric.auc > 0.9 order by metric.auc desc",
    'run where downstream of {hot} and kind = train and param.max_depth = 3 and tag.team = "retail" order by created',
    "run where not downstream of {hot} and kind = train order by metric.loss",
    "model where downstream of {hot} and metric.auc > 0.9 order by created desc",
    "data where upstream of {model}",
    "run where upstream of {run}",
    'data where column.name = "SEX" and rows > 29000 order by rows desc',
    'model where trained_on.name = "set-7" and algorithm = xgboost order by created desc',
    "model where metric.auc > 0.97 order by metric.auc desc",
    "experiment where failed > 40 order by runs desc",
)
COUNTED = (0, 4, 7, 12, 13, 19, 22, 26)
"""Searches that are counted to the end, too."""


class Institution(History):
    """The history of ``lineage``, with everything that search looks at."""

    def __init__(self) -> None:
        super().__init__()
        self.start = NOW - timedelta(days=900)
        self.known = {number: digest for number, digest, *_ in self.entities}
        kinds = {number: kind for number, _, kind, *_ in self.entities}
        self.ulids = {number: ulid for number, ulid, *_ in self.activities}
        self.hot = next(number for number, kind in kinds.items() if kind == "data")
        """A table that every tenth training run of the institution reads, such as one of rates."""
        trained = [number for number, _, kind, *_ in self.activities if kind == "train"]
        self.edges += [(-number, self.hot, "rates", digest(number, "record")) for number in trained[::READ_BY]]

    def run_of(self, number: int) -> str:
        """The reference of a run."""
        return f"run:{self.ulids[number]}"

    def moment(self, number: float, seconds: float = 0) -> str:
        """When a run began, or ended."""
        at = self.start + timedelta(seconds=number * 777 + seconds)
        return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def tables(world: Institution) -> Iterator[tuple[str, Sequence[str], Iterable[tuple[Any, ...]]]]:  # noqa: PLR0915
    """Every table with its columns and rows, in an order in which they can be put in."""
    chance, project = random.Random(5), "main"
    entity = ("id", "project", "digest", "kind", "grade", "author", "at", "content_digest", "facts")
    kinds = {number: kind for number, _, kind, _, _ in world.entities}
    digests = {number: digest for number, digest, _, _, _ in world.entities}
    facts = {"data": '{"rows":30000,"classification":"internal"}', "model": '{"algorithm":"xgboost"}'}
    yield (
        "catalog_entity",
        entity,
        (
            (n, project, d, k, "proven", f"User:p{n % 20}", world.moment(n / 3), c, facts.get(k, "{}"))
            for n, d, k, _, c in world.entities
        ),
    )
    activity = ("id", "ulid", "project", "kind", "plan", "agent", "started_at", "ended_at", "grade", "facts")
    yield (
        "catalog_activity",
        activity,
        (
            (n, ulid, project, kind, plan, f"User:p{n % 20}", start, end, "proven", "{}")
            for n, ulid, kind, plan, start, end in world.activities
        ),
    )
    yield (
        "catalog_edge",
        ("source", "target", "role", "grade", "record"),
        ((source, target, role, "proven", record) for source, target, role, record in world.edges),
    )
    data = [number for number, kind in kinds.items() if kind == "data"]
    names = [
        (project, "data", f"set-{at % NAMES}", at // NAMES + 1, digests[n], "User:p1", "2026-01-01T00:00:00.000000Z")
        for at, n in enumerate(data)
    ]
    yield "catalog_name", ("project", "kind", "name", "version", "digest", "author", "at"), names
    runs = [(n, ulid, kind) for n, ulid, kind, *_ in world.activities]
    total = len(runs)
    yield (
        "search_run",
        (
            "number",
            "project",
            "run",
            "kind",
            "label",
            "experiment",
            "trial",
            "status",
            "author",
            "created_at",
            "started_at",
            "ended_at",
            "duration",
            "grade",
            "seed",
            "env",
            "code",
            "commit",
            "plan",
        ),
        (
            (
                n,
                project,
                ulid,
                kind,
                ("xgboost", "lightgbm", "script train.py")[n % 3],
                f"exp-{n // 500}",
                f"t{n % 50}",
                "failed" if n % 11 == 0 else "ok",
                f"User:p{n % 20}",
                world.moment(n),
                world.moment(n),
                world.moment(n, n % 100 + 0.5),
                n % 100 + 0.5,
                "proven",
                n % 7,
                digests[21 + n % 10],
                digests[1 + n % 10],
                f"{n % 900:040x}",
                None,
            )
            for n, ulid, kind in runs
        ),
    )
    yield (
        "search_object",
        ("run", "side", "role", "digest", "project", "entity"),
        (
            (-source, "input", role, digests[target], project, target)
            if source < 0
            else (-target, "output", role, digests[source], project, source)
            for source, target, role, _ in world.edges
            if source > 0 or kinds[target] not in ("code", "env", "base")
        ),
    )
    fields = [("metric", name) for name in METRICS] + [
        ("param", name) for name in ("max_depth", "eta", "rounds", "note")
    ]
    fields += [("tag", "team"), ("fact", "rows"), ("fact", "classification"), ("fact", "algorithm")]
    fields += [(side, what) for side in ("input", "output") for what in ("name", "kind")]
    fields += [("column", f"X{n}") for n in range(10)] + [("column", "SEX")]
    number = {field: at for at, field in enumerate(fields, 1)}
    yield (
        "search_field",
        ("id", "project", "space", "name"),
        ((at, project, space, name) for (space, name), at in number.items()),
    )
    latest = [[round(chance.betavariate(8, 2 + at % 3), 6) for _ in range(total)] for at in range(len(METRICS))]
    metric = ("project", "activity", "name", "step", "at", "value")
    yield (
        "catalog_metric_latest",
        metric,
        (
            (project, ulid, name, STEPS, world.moment(n), latest[at][n - 1])
            for n, ulid, _ in runs
            for at, name in enumerate(METRICS)
        ),
    )
    yield (
        "catalog_metric",
        ("activity", "position", "name", "step", "at", "value"),
        (
            (ulid, step * len(METRICS) + at, name, step, world.moment(n), latest[at][n - 1])
            for n, ulid, _ in runs
            for step in range(1, STEPS + 1)
            for at, name in enumerate(METRICS)
        ),
    )
    params = {
        "max_depth": [float(chance.randrange(2, 9)) for _ in runs],
        "eta": [chance.randrange(1, 100) / 100 for _ in runs],
        "rounds": [float(chance.randrange(10, 1000)) for _ in runs],
    }
    notes = [f"grid-{chance.randrange(20_000)} of the search" for _ in runs]
    teams = [chance.choice(("retail", "corporate", "markets")) for _ in runs]
    yield (
        "run_param",
        ("project", "run", "name", "text", "number", "prefix"),
        (
            row
            for n, ulid, _ in runs
            for row in (
                *(
                    (project, ulid, name, f"{told[n - 1]:g}", told[n - 1], f"{told[n - 1]:g}")
                    for name, told in params.items()
                ),
                (project, ulid, "note", notes[n - 1], None, notes[n - 1]),
            )
        ),
    )

    used: dict[int, list[int]] = {}
    made: dict[int, list[int]] = {}
    for source, target, _, _ in world.edges:
        if source > 0:
            made.setdefault(-target, []).append(source)
        elif kinds[target] not in ("code", "env", "base"):
            used.setdefault(-source, []).append(target)

    def values() -> Iterator[tuple[Any, ...]]:
        for at, name in enumerate(METRICS):
            # one run in fifty has no psi, so that something is absent
            rows = (n for n, *_ in runs if name != "psi" or n % 50)
            yield from ((number["metric", name], n, 0, latest[at][n - 1], None, None) for n in rows)
        for name, told in params.items():
            yield from ((number["param", name], n, 0, told[n - 1], f"{told[n - 1]:g}", None) for n, *_ in runs)
        yield from ((number["param", "note"], n, 0, None, notes[n - 1], None) for n, *_ in runs)
        yield from ((number["tag", "team"], n, 0, None, teams[n - 1], None) for n, *_ in runs)
        named = {digest: name for _, _, name, _, digest, _, _ in names}
        for n, _, _ in runs:
            for side, things in (("input", used.get(n, ())), ("output", made.get(n, ()))):
                for what, told in (
                    ("name", {named[digests[one]] for one in things if digests[one] in named}),
                    ("kind", {kinds[one] for one in things}),
                ):
                    yield from ((number[side, what], n, at, None, one, None) for at, one in enumerate(sorted(told)))
        for n, kind in kinds.items():
            if kind == "data":
                yield number["fact", "rows"], n, 0, float(20_000 + n % 10_000), str(20_000 + n % 10_000), None
                yield number["fact", "classification"], n, 0, None, "internal", None
                yield number["column", "SEX" if n % 3 else "X0"], n, 0, None, "int64", None
                yield from ((number["column", f"X{x}"], n, 0, None, "float64", None) for x in range(1, 10))
            elif kind == "model":
                yield number["fact", "algorithm"], n, 0, None, "xgboost" if n % 2 else "lightgbm", None

    yield "search_value", ("field", "object", "place", "number", "prefix", "text"), values()


def load(store: SqlStore, world: Institution) -> dict[str, int]:
    """Everything in the database, past SQLAlchemy; how many rows each table got."""
    METADATA.create_all(store.engine)
    counts: dict[str, int] = {}
    with store.engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        lite = store.engine.dialect.name == "sqlite"
        if lite:
            raw.execute("pragma synchronous=off")
            raw.execute("pragma cache_size=-200000")
            raw.execute("begin")
        for table, columns, rows in tables(world):
            names = ", ".join(f'"{name}"' for name in columns)
            if lite:
                done = raw.executemany(f"insert into {table} ({names}) values ({', '.join('?' * len(columns))})", rows)
                counts[table] = done.rowcount
            else:
                with raw.cursor() as cursor, cursor.copy(f"copy {table} ({names}) from stdin") as copy:
                    counts[table] = 0
                    for row in rows:
                        copy.write_row(row)
                        counts[table] += 1
        raw.commit()
        if lite:
            raw.execute("analyze")
    if not lite:
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("vacuum analyze"))
    return counts


def timed(ask: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds of wall time, and the answer."""
    started = time.perf_counter()
    answer = ask()
    return (time.perf_counter() - started) * 1000, answer


def measure(store: SqlStore, world: Institution, engine: str, *, say: bool = False) -> Iterator[Row]:
    """Every search, its worst time of several; the closure and the proof."""
    chance = random.Random(11)
    models = chance.sample(world.models, CLOSURES)
    strangers = chance.sample(world.data, CLOSURES)
    known = world.known
    references = {"data": known[strangers[0]], "model": models[0], "hot": known[world.hot], "run": world.run_of(LATE)}
    figures: list[tuple[float, float, str]] = []
    gc.collect()
    gc.freeze()
    for at, written in enumerate(SEARCHES):
        query = parse(written.format(**references))
        tests = query.condition.tests() if query.condition else ()
        named = [test.reference for test in tests if isinstance(test, LineageTest)]
        starts = {one: [("main", one[4:] if one.startswith("run:") else Digest(one))] for one in named}
        scope = Scope(projects=("main",), now=NOW, starts=starts)
        kind = KINDS[query.kind]
        columns = [*dict.fromkeys((*query.paths, *(parse_path(one, kind) for one in kind.columns)))]
        limit = query.limit or 100

        def page(query: Any = query, scope: Any = scope, columns: Any = columns, limit: int = limit) -> Any:
            with store.read() as session:
                return session.use(SearchIndex).find(query, scope, columns, limit=limit + 1, offset=query.offset)

        def count(query: Any = query, scope: Any = scope) -> Any:
            with store.read() as session:
                return session.use(SearchIndex).count(query, scope)

        for what, ask in (("", page), ("count: ", count)):
            if what and at not in COUNTED:
                continue
            ask()
            busy = processor_ms(store)
            spent = [timed(ask) for _ in range(ASKED)]
            busy = (processor_ms(store) - busy) / ASKED
            answer = spent[0][1]
            figures.append((max(one for one, _ in spent), busy, what + written))
            if say:
                many = answer if isinstance(answer, int) else len(answer)
                print(f"  {busy:7.1f} ms CPU {figures[-1][0]:7.1f} ms  {many:>7}  {what}{written}", file=sys.stderr)
    worst, its_cpu, slow = max(figures)
    middle, middle_cpu = (statistics.median(one[which] for one in figures) for which in (0, 1))
    note = f"median {middle:.0f} ms, {middle_cpu:.0f} ms CPU; the slowest: {slow}; {machine()}"
    missed = [f"{took:.0f} ms {what}" for took, _, what in figures if took > BAR_MS]
    yield Row(
        f"search on {engine}, worst time of the worst of {len(figures)}",
        f"{worst:.0f} ms; CPU of client and engine {its_cpu:.0f} ms, at most {max(f[1] for f in figures):.0f} ms",
        "",
        None,
        f"<= {BAR_MS:.0f} ms",
        worst <= BAR_MS,
        note + (f"; missed: {'; '.join(missed)}" if missed else ""),
    )
    yield from proofs(store, models, [known[one] for one in strangers], known[world.hot], engine)


def proofs(store: SqlStore, models: Sequence[str], strangers: Sequence[str], hot: str, engine: str) -> Iterator[Row]:
    """Full closures, and proofs that something was not used: of data that few have read, and of what thousands have."""
    sizes: list[int] = []

    def closure(model: str, _: str) -> None:
        with store.read() as session:
            sizes.append(len(session.use(Lineage).closure("main", Digest(model), Direction.UPSTREAM).edges))

    def proof(model: str, asked: str) -> None:
        with store.read() as session:
            entity = session.use(Entities).find("main", [Digest(asked)])[Digest(asked)]
            decide(gather(session, "main", entity, Digest(model)))

    kinds = (
        ("full upstream closure", closure, strangers, 100),
        ("prove-unused", proof, strangers, BAR_MS),
        (f"prove-unused of what {hot_readers(store, hot):,} runs read", proof, [hot] * len(models), BAR_MS),
    )
    for what, ask, asked, bar in kinds:
        ask(models[0], asked[0])
        busy, spent = [], []
        for model, one in zip(models, asked, strict=True):
            before = time.process_time()
            spent.append(timed(lambda m=model, o=one, a=ask: a(m, o))[0])
            busy.append((time.process_time() - before) * 1000)
        before_engine = processor_ms(store, client=False)
        for model, one in zip(models, asked, strict=True):
            ask(model, one)
        served = (processor_ms(store, client=False) - before_engine) / len(models)
        yield Row(
            f"{what} on {engine}, worst time",
            f"{max(spent):.0f} ms, median {statistics.median(spent):.0f} ms; "
            f"CPU of client and engine {statistics.median(busy) + served:.0f} ms, at most {max(busy) + served:.0f} ms",
            "",
            None,
            f"<= {bar:.0f} ms",
            max(spent) <= bar,
            f"a closure has {statistics.median(sizes):.0f} edges, at most {max(sizes)}; {machine()}",
        )


def hot_readers(store: SqlStore, hot: str) -> int:
    """How many runs have read it."""
    with store.read() as session:
        near = session.use(Lineage).around("main", [Digest(hot)])
    return sum(edge.relation is Relation.USED for edge in near.edges)


def processor_ms(store: SqlStore, *, client: bool = True) -> float:
    """Milliseconds of processor time that this process and the engine's own have taken so far.

    The clock says how busy others kept a shared machine; this says what an answer costs.
    """
    spent = time.process_time() * 1000 if client else 0.0
    if store.engine.dialect.name == "postgresql":
        with store.engine.connect() as connection:
            pids = connection.execute(text("select pid from pg_stat_activity where datname = current_database()"))
            for (pid,) in pids:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                spent += (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")
    return spent


def machine() -> str:
    """How busy the machine is."""
    return f"load average {os.getloadavg()[0]:.1f}"


@contextmanager
def database(engine: str) -> Iterator[str | None]:
    """The URL of an empty database."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from cluster import Cluster, missing_reason  # noqa: PLC0415  the tests know how to start one

    if engine == "SQLite":
        with tempfile.TemporaryDirectory(prefix="muni-bench-") as folder:
            yield sqlite_url(Path(folder) / "search.db")
    elif missing_reason():
        yield None
    else:
        place = Path(tempfile.mkdtemp(prefix="muni-bench-pg-"))
        cluster = Cluster(place)
        try:
            cluster.start(METADATA)
            with cluster.database(template="template0") as url:
                yield url
        finally:
            cluster.remove()
            shutil.rmtree(place, ignore_errors=True)


MLFLOW_RUNS = 20_000
MLFLOW = """
import json, random, sys, time, uuid
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import text
folder, many = sys.argv[1], int(sys.argv[2])
store = SqlAlchemyStore(f"sqlite:///{folder}/mlflow.db", f"{folder}/artifacts")
experiment = store.create_experiment("credit")
chance = random.Random(5)
ids = [uuid.UUID(int=chance.getrandbits(128)).hex for _ in range(many)]
with store.engine.begin() as db:
    columns = [row[1] for row in db.execute(text("pragma table_info(runs)"))]
    row = {"run_uuid": "", "name": "r", "source_type": "LOCAL", "source_name": "", "entry_point_name": "",
           "user_id": "ana", "status": "FINISHED", "start_time": 0, "end_time": 1, "source_version": "",
           "lifecycle_stage": "active", "artifact_uri": "x", "experiment_id": int(experiment), "deleted_time": None}
    row = {name: value for name, value in row.items() if name in columns}
    names = ", ".join(row)
    db.execute(text(f"insert into runs ({names}) values ({', '.join(':' + name for name in row)})"),
               [row | {"run_uuid": one, "start_time": at} for at, one in enumerate(ids)])
    metrics = ("auc", "ks", "gini", "brier", "loss", "f1", "accuracy", "precision", "recall", "psi")  # noqa: E501
    db.execute(text("insert into latest_metrics (key, value, timestamp, step, is_nan, run_uuid) values (:k, :v, 0, 0, 0, :r)"),
               [{"k": name, "v": chance.betavariate(8, 2), "r": one} for one in ids for name in metrics])
    db.execute(text("insert into params (key, value, run_uuid) values (:k, :v, :r)"),
               [{"k": name, "v": str(chance.randrange(2, 9)), "r": one} for one in ids
                for name in ("max_depth", "eta", "rounds", "note")])
    db.execute(text("analyze"))
ask = lambda: store.search_runs([experiment], "metrics.auc > 0.78 and params.max_depth = '3'", 1,
                                max_results=100, order_by=["metrics.auc desc"])
ask()
spent = []
for _ in range(5):
    start = time.perf_counter(); found = ask(); spent.append((time.perf_counter() - start) * 1000)
print(json.dumps({"ms": max(spent), "rows": len(found)}))
"""  # noqa: E501


def mlflow() -> Row:
    """The same search in MLflow's own store, with as many runs as it is filled with in bearable time."""
    interpreter = Path(__file__).resolve().parents[1] / ".venv-peers" / "bin" / "python"
    what = f"metric, parameter, ordered by metric: MLflow's store, {MLFLOW_RUNS:,} runs"
    if not interpreter.exists():
        return Row(what, "", "", None, "", None, "no MLflow here: scripts/peers")
    with tempfile.TemporaryDirectory(prefix="muni-bench-") as folder:
        done = subprocess.run(
            [str(interpreter), "-P", "-c", MLFLOW, folder, str(MLFLOW_RUNS)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        return Row(
            what, "", "", None, "", None, done.stderr.strip().splitlines()[-1][:200] if done.stderr else "failed"
        )
    told = json.loads(done.stdout.strip().splitlines()[-1])
    return Row(what, "", f"{told['ms']:.0f} ms", None, "", None, "SQLite, in process, without its HTTP server")


def run(*, say: bool = False) -> list[Row]:
    """Build the history, load it on each engine, ask."""
    rows: list[Row] = []
    for engine in ("SQLite", "PostgreSQL"):
        with database(engine) as url:
            if url is None:
                rows.append(Row(f"search on {engine}", "", "", None, "", None, "no PostgreSQL here"))
                continue
            world = Institution()
            store = SqlStore(url, REPOSITORIES)
            try:
                spent, counts = timed(lambda s=store, w=world: load(s, w))
                told = ", ".join(
                    f"{counts[table]:,} {table}" for table in ("search_run", "catalog_metric", "catalog_edge")
                )
                print(f"{engine}: {told}, loaded in {spent / 1000:.0f} s", file=sys.stderr)
                for listed in (world.entities, world.activities, world.edges):
                    listed.clear()  # or the collector would walk millions of tuples in the middle of a measurement
                rows += measure(store, world, engine, say=say)
            finally:
                store.close()
    return [*rows, mlflow()]


if __name__ == "__main__":
    from table import print_table

    print_table(run(say=True))
