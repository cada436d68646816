"""What conformance tests share: a platform with a model, made once on each engine and copied for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from cluster import Cluster
from evidencing import Gallery, again, trained
from muniment.testing.platform import Site


@pytest.fixture(scope="session")
def sqlite_gallery(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    """A closed platform on SQLite with a model of which nobody stated anything, to be copied."""
    made = trained(site.copy(tmp_path_factory.mktemp("gallery")))
    made.platform.close()
    return made


@pytest.fixture(scope="session")
def postgres_gallery(
    postgres_site: Callable[[Path], AbstractContextManager[Site]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gallery]:
    """The same on PostgreSQL."""
    with postgres_site(tmp_path_factory.mktemp("postgres-gallery")) as place:
        made = trained(place)
        made.platform.close()
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def each_gallery(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gallery]:
    """A platform with a model that was trained, measured and made again, once on each engine."""
    model: Gallery = request.getfixturevalue(f"{request.param}_gallery")
    with ExitStack() as stack:
        database = ""
        if request.param == "postgres":
            cluster: Cluster = request.getfixturevalue("postgres_cluster")
            database = stack.enter_context(cluster.copy_of(model.platform.settings.database))
        opened = again(model, tmp_path / "gallery", database=database)
        stack.callback(opened.platform.close)
        yield opened
