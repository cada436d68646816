"""What every test may ask for: a fresh store on each engine, a clock that stands still, chance that repeats."""

from __future__ import annotations

import gc
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine

import laws  # noqa: F401  it knows the profile that --hypothesis-profile names
from cluster import Cluster, missing_reason
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.schema import METADATA
from muniment.adapters.sql.store import SqlStore, sqlite_url
from muniment.bootstrap import Platform
from muniment.testing.fakes import FakeClock, SeededEntropy
from muniment.testing.platform import People, Site, found

_CLUSTER = "MUNIMENT_TEST_CLUSTER"
_SLOW_FILE = re.compile(r"^pytestmark = pytest\.mark\.slow$", re.MULTILINE)


def pytest_configure(config: pytest.Config) -> None:
    """The controlling process names the folder of the PostgreSQL cluster; workers inherit the name and share it.

    Nobody's terminal counts: what commands print into a file is as wide as it is.
    """
    os.environ.pop("COLUMNS", None)
    if not hasattr(config, "workerinput"):
        os.environ[_CLUSTER] = tempfile.mkdtemp(prefix="muni-pg-")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Files that are slow as a whole are not even imported when nothing slow is asked for: other people's tools are."""
    if config.option.markexpr == "not slow" and collection_path.suffix == ".py":
        return _SLOW_FILE.search(collection_path.read_text(encoding="utf-8")) is not None or None
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What asks whole installations on both engines is slow, hundreds of them, though few take a second each.

    In a run that is spread over processes, files with slow tests come first: none shall be alone at the end.
    """
    for item in items:
        if {"each_site", "each_gallery"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Thousands of tests and the modules they are in stay to the end: the collector need not look at them each time."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    """The controlling process stops the cluster if any worker started it."""
    if not hasattr(config, "workerinput"):
        Cluster(Path(os.environ.pop(_CLUSTER))).remove()


@pytest.fixture(scope="session")
def postgres_cluster() -> Cluster:
    """One temporary PostgreSQL for the whole run, started when first asked for.

    Without PostgreSQL the test is skipped with the reason, except in CI, where it fails.
    """
    reason = missing_reason()
    if reason and os.environ.get("CI"):
        pytest.fail(f"CI must test on PostgreSQL too: {reason}")
    if reason:
        pytest.skip(reason)
    cluster = Cluster(Path(os.environ[_CLUSTER]))
    cluster.start(METADATA)
    return cluster


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and no rows, to be copied by each test."""
    path = tmp_path_factory.mktemp("template") / "empty.db"
    engine = create_engine(sqlite_url(path))
    METADATA.create_all(engine)
    engine.dispose()
    return path


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> str:
    """The URL of a fresh SQLite database with all tables."""
    path = tmp_path / "muniment.db"
    shutil.copyfile(sqlite_template, path)
    return sqlite_url(path)


@pytest.fixture
def postgres_database(postgres_cluster: Cluster) -> Iterator[str]:
    """The URL of a fresh PostgreSQL database with all tables."""
    with postgres_cluster.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh database with all tables, once on each engine."""
    return str(request.getfixturevalue(f"{request.param}_database"))


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table, once on each engine."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "empty.db")
    else:
        cluster: Cluster = request.getfixturevalue("postgres_cluster")
        with cluster.database(template="template0") as url:
            yield url


@pytest.fixture
def store(store_url: str) -> Iterator[SqlStore]:
    """A fresh store with every repository, once on each engine."""
    opened = SqlStore(store_url, REPOSITORIES)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(sqlite_database: str) -> Iterator[SqlStore]:
    """A fresh store with every repository, on SQLite only."""
    opened = SqlStore(sqlite_database, REPOSITORIES)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still at 2026-11-23 09:00 UTC until it is moved."""
    return FakeClock()


@pytest.fixture
def entropy() -> SeededEntropy:
    """Bytes that look random and are the same in every run."""
    return SeededEntropy()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """An installation with a team, to be copied; nothing can run in its job environment."""
    return found(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def postgres_site(
    postgres_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Path], AbstractContextManager[Site]]]:
    """Copies an installation with a team on PostgreSQL into a folder, for as long as somebody needs it."""
    with postgres_cluster.database(template="template0") as model:
        origin = found(tmp_path_factory.mktemp("postgres-site"), database=model)

        @contextmanager
        def copied(folder: Path) -> Iterator[Site]:
            with postgres_cluster.copy_of(model) as url:
                yield origin.copy(folder, database=url)

        yield copied


@pytest.fixture(params=["sqlite", "postgres"])
def each_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A fresh installation, once on each engine."""
    if request.param == "sqlite":
        fresh: Site = request.getfixturevalue("site")
        yield fresh.copy(tmp_path / "site")
    else:
        with request.getfixturevalue("postgres_site")(tmp_path / "site") as copied:
            yield copied


@pytest.fixture
def platform(site: Site, tmp_path: Path) -> Iterator[Platform]:
    """A fresh platform with a team."""
    opened = site.copy(tmp_path / "site").open()
    yield opened
    opened.close()


@pytest.fixture
def people(site: Site, platform: Platform) -> People:
    """The team of the platform, to ask as."""
    return People(platform, site.tokens)


@pytest.fixture(scope="session")
def shared_data() -> Path | None:
    """The folder of public data sets beside the repository, or None where there is none."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def peers() -> Path:
    """The interpreter of an environment with other people's clients, formats and servers: MLflow, Delta, Iceberg, S3.

    ``scripts/peers`` makes it. Without it the test is skipped with the reason, except in CI, where it fails.
    """
    python = Path(__file__).parent.parent / ".venv-peers" / "bin" / "python"
    if not python.exists() and os.environ.get("CI"):
        pytest.fail("CI must test against other people's software too: run scripts/peers")
    if not python.exists():
        pytest.skip("there is no .venv-peers: run scripts/peers")
    return python
