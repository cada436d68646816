"""A platform whose jobs really run, and short ways to ask it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muniment.bootstrap import Platform
from muniment.execution.bases import KeepBase
from muniment.kernel.resources import PLATFORM
from muniment.sdk.client import Client
from muniment.testing.platform import PROJECT, People, Site, furnish
from muniment.wire.catalog import Entities, ListEntities
from muniment.wire.data import AddDataset
from muniment.wire.execution import RunDetail, RunScript, ShowRun
from muniment.wire.ledger import LedgerEntries, SearchEntries


@dataclass(frozen=True)
class World:
    """A platform whose jobs run, and who asks it."""

    platform: Platform
    people: People
    client: Client

    def add(self, content: bytes, *, name: str = "bad", filename: str = "bad.csv", **given: Any) -> RunDetail:
        """Upload a file, work the queue, and show how the ingest ended."""
        request = AddDataset(project=PROJECT, name=name, filename=filename, **given)
        return self.done(self.people.ask("scientist", request, content).run)

    def done(self, run: str) -> RunDetail:
        """Work the queue, and show how a run ended."""
        self.people.work()
        shown: RunDetail = self.people.ask("scientist", ShowRun(project=PROJECT, run=run))
        return shown

    def script(self, code: str, *, inputs: Mapping[str, str] | None = None, **given: Any) -> RunDetail:
        """Run a script of one file, work the queue, and show how it ended."""
        tree = io.BytesIO()
        with tarfile.open(fileobj=tree, mode="w") as tar:
            header = tarfile.TarInfo("main.py")
            header.size = len(code.encode())
            tar.addfile(header, io.BytesIO(code.encode()))
        request = RunScript(project=PROJECT, entry="main.py", inputs=dict(inputs or {}), **given)
        return self.done(self.people.ask("scientist", request, tree.getvalue()).run)

    def known(self) -> set[str]:
        """The digests of all data, models and reports of the project."""
        found: Entities = self.people.ask("scientist", ListEntities(project=PROJECT, limit=1000))
        return {one.digest for one in found.entities if one.kind in ("data", "model", "report", "artifact", "proof")}

    def objects(self) -> set[Path]:
        """The sealed files."""
        return {path for path in (self.platform.home / "objects").rglob("*") if path.is_file()}

    def entries(self, text: str) -> list[dict[str, Any]]:
        """What the ledger says where this text occurs, newest first."""
        found: LedgerEntries = self.people.ask("auditor", SearchEntries(text=text, limit=100))
        return [entry.data for entry in found.entries]

    def end_of(self, run: str) -> dict[str, Any]:
        """What the ledger says of the end of a run."""
        ended = [
            entry for entry in self.entries(run.removeprefix("run:")) if entry["action"] == "execution:CompleteRun"
        ]
        assert len(ended) == 1
        facts: dict[str, Any] = ended[0]["facts"]
        return facts


_FURNISHED: dict[Path, Site] = {}


def furnished(site: Site) -> Site:
    """The same installation as after its first job: it keeps the wheels of an environment, and the base root.

    It is made once by each process, beside the original, and is there to be copied.
    """
    if site.home not in _FURNISHED:
        own = site.copy(site.home.parent / "furnished")
        platform = own.open()
        try:
            furnish(People(platform, own.tokens))
            with platform.workshop.packed_base() as packed:
                sealed = platform.vault.seal(PLATFORM, packed)
            base = KeepBase(base=str(platform.workshop.base().digest))
            platform.gate.invoke_internal("execution:KeepBase", base, "worker-first", sealed)
        finally:
            platform.close()
        _FURNISHED[site.home] = own
    return _FURNISHED[site.home]


@contextmanager
def working(site: Site, folder: Path) -> Iterator[World]:
    """A copy of an installation with a job environment in which jobs run."""
    own = furnished(site).copy(folder)
    platform = own.open()
    try:
        people = People(platform, own.tokens)
        yield World(platform, people, Client(platform.transport(own.tokens["scientist"]), project=PROJECT))
    finally:
        platform.close()
