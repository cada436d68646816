"""The founding example, CreditCardDefault, told by people in different roles; every claim in it is checked."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from muniment.adapters.git.tree import read_tree
from muniment.bootstrap import Platform, open_platform
from muniment.cli.demo.generated import write_credit_file
from muniment.cli.demo.telling import Teller
from muniment.errors import Denied, IntegrityError, MunimentError
from muniment.evidence import verify
from muniment.sdk.client import Client
from muniment.sdk.datasets import Parts
from muniment.sdk.models import Model
from muniment.sdk.runs import Run
from muniment.wire.data import ListDatasets
from muniment.wire.execution import RunScript
from muniment.wire.identity import AddProject, GrantRole, Project
from muniment.wire.vault import CheckedObjects, CheckObjects

EXPERIMENT: Final = "CreditCardDefault"
DATASET: Final = "credit"
TARGET: Final = "default_payment_next_month"
ALGORITHMS: Final[Mapping[str, Mapping[str, Any]]] = {"logistic_regression": {}, "xgboost": {}, "lightgbm": {}}
SHARES: Final[Mapping[str, float]] = {"train": 0.6, "test": 0.2, "holdout": 0.2}
SEED: Final = 7

_CHEATS: Final = Path(__file__).parent / "cheats"
_CELLS: Final = ("true_positive", "false_positive", "true_negative", "false_negative")
_SHOWN: Final = ("auc", "ks", "gini", "brier", "ece", "accuracy", "precision", "recall")


@dataclass(slots=True)
class Told:
    """What the story came to; the answer of ``muni demo --json``."""

    project: str
    dataset: str = ""
    model: str = ""
    model_digest: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    verdict: str = ""
    unused: bool = False
    grade: str = ""
    refused: list[dict[str, str]] = field(default_factory=list)
    checkpoint: dict[str, Any] = field(default_factory=dict)
    picture: str = ""
    export: str = ""


class Story:
    """One telling, in one home, in one project of its own."""

    def __init__(self, home: Path, tokens: Mapping[str, str], data: Path | None, tell: Teller) -> None:
        self.home, self._tokens, self._file, self._tell = home, tokens, data, tell
        self._platform: Platform = open_platform(home)
        self.told = Told(project=self._open_project("credit-risk"))

    def run(self) -> Told:
        """Tell all of it.

        Raises:
            IntegrityError: something did not happen as the story says.
        """
        parts = self._data()
        best = self._models(parts)
        self._questions(parts, best)
        self._reproduction(best)
        self._cheats(parts)
        self._tampering(best)
        self._ledger()
        return self.told

    def close(self) -> None:
        """Give the platform back."""
        self._platform.close()

    def _as(self, person: str, project: str | None = None) -> Client:
        """The platform as a person sees it."""
        return _client(self._platform, self._tokens[person], project or self.told.project)

    def _open_project(self, wanted: str) -> str:
        admin = _client(self._platform, self._tokens["admin"], wanted)
        name, number = wanted, 1
        while True:
            try:
                admin.ask("identity:AddProject", AddProject(name=name), Project)
                break
            except MunimentError as taken:
                if taken.http_status != 409:
                    raise
                number += 1
                name = f"{wanted}-{number}"
        for role in ("scientist", "validator", "approver"):
            admin.ask("identity:GrantRole", GrantRole(subject=role, role=role, scope=name), object)
        return name

    def _data(self) -> Parts:
        self._tell.chapter("A credit file becomes an immutable, encrypted snapshot", "scientist")
        scientist = self._as("scientist")
        with tempfile.TemporaryDirectory(prefix="muniment-data-") as folder:
            file = self._file or write_credit_file(self._platform, Path(folder) / "credit_default.csv.gz", SEED)
            with self._tell.work("ingest, in the sandbox") as watch:
                dataset = scientist.data.add(DATASET, file, target=TARGET, watch=watch)
        detail = dataset.detail
        self.told.dataset = dataset.reference
        self._tell.fact("snapshot", f"{dataset.reference}  {detail.rows:,} rows x {len(detail.columns)} columns")
        self._tell.fact("digest", dataset.digest)
        for finding in _in_short(detail.findings):
            self._tell.fact("finding", finding)
        with self._tell.work("profile") as watch:
            dataset.profile(watch)
        with self._tell.work("split, stratified, seeded") as watch:
            parts = dataset.split(stratify=True, group=None, seed=SEED, watch=watch, **SHARES)
        proof = parts.proof or {}
        self._expect(
            proof.get("disjoint") is True and proof.get("complete") is True, "the parts are disjoint and complete"
        )
        shares = ", ".join(f"{name} {parts[name].detail.rows:,}" for name in SHARES)
        self._tell.fact("parts", f"{shares} rows: proven disjoint and together complete")
        return parts

    def _models(self, parts: Parts) -> Model:
        self._tell.chapter("Three models are trained where nothing but the training part exists", "scientist")
        scientist, measured = self._as("scientist"), []
        for algorithm, params in ALGORITHMS.items():
            with self._tell.work(f"train {algorithm}") as watch:
                run = scientist.train(
                    algorithm, parts["train"], experiment=EXPERIMENT, params=params, seed=SEED, watch=watch
                )
            model = run.model
            with self._tell.work(f"evaluate {algorithm} on the test part") as watch:
                evaluation = model.evaluate(parts["test"], watch=watch)
            measured.append((model, evaluation))
        names = [name for name in _SHOWN if all(name in evaluation.metrics() for _, evaluation in measured)]
        rows = [
            [model.detail.algorithm, *(f"{evaluation.metrics()[name]:.3f}" for name in names)]
            for model, evaluation in measured
        ]
        best, evaluation = max(measured, key=lambda pair: pair[1].metrics()["auc"])
        self._tell.table(["on the test part", *names], rows)
        self._tell.fact("best", best.reference)
        self.told.model, self.told.model_digest = best.reference, best.digest
        self.told.metrics = {name: evaluation.metrics()[name] for name in names}
        confusion = (evaluation.detail.report or {}).get("confusion")
        if isinstance(confusion, dict):
            cells = "  ".join(f"{cell.replace('_', ' ')} {confusion[cell]:,}" for cell in _CELLS)
            self._tell.fact("confusion", f"at {confusion['threshold']:g}: {cells}")
        return best

    def _questions(self, parts: Parts, best: Model) -> None:
        self._tell.chapter("Was the holdout used to train this model? Where does it come from?", "validator")
        validator = self._as("validator")
        proof = validator.prove_unused(parts["holdout"].reference, best.reference)
        self._expect(proof.unused, "the holdout was not used")
        self.told.unused, self.told.grade = proof.unused, proof.grade
        self._tell.fact("holdout", f"not used  (grade {proof.grade}, checkpoint of {proof.checkpoint.size} entries)")
        self._tell.note(proof.scope)
        used = validator.prove_unused(parts["train"].reference, best.reference)
        self._expect(not used.unused, "the training part was used")
        self._tell.fact("train part", "used, as it must be: " + " ← ".join(step.target_label for step in used.path))
        picture = self.home / f"lineage-{self.told.project}.svg"
        lineage = validator.lineage(best.reference)
        lineage.save(picture)
        self.told.picture = str(picture)
        entities = [node for node in lineage.view.nodes if node.type == "entity"]
        self._tell.fact("lineage", f"{len(entities)} things, back to file, code, environment and base root")
        self._tell.fact("picture", str(picture))

    def _reproduction(self, best: Model) -> None:
        self._tell.chapter("Another person makes the best model again, from the record alone", "validator")
        model = self._as("validator").models.get(best.reference)
        with self._tell.work("reproduce") as watch:
            verdict = model.reproduce(watch)
        self.told.verdict = str(verdict.get("verdict"))
        self._expect(self.told.verdict == "identical-bytes", "the model came out bit for bit")
        self._tell.fact("verdict", f"{self.told.verdict}  {verdict['made']}")

    def _cheats(self, parts: Parts) -> None:
        self._tell.chapter("What happens to a cheat", "scientist")
        secret = next((self.home / "objects").rglob("*/*"))
        with _listener() as (host, port, arrivals):
            if _reach(host, port):
                self._expect(len(arrivals) == 1, "the server that the cheat will try does listen")
                self._cheat("a script that tries the network", "network.py", {"host": host, "port": str(port)})
                self._expect(len(arrivals) == 1, "nothing arrived at the server")
            else:
                self._tell.note(
                    "No cheat tries the network: this machine reaches not even itself, so it would prove nothing."
                )
        self._expect(secret.is_file(), "the file that the cheat will try does exist")
        self._cheat(
            "a script that reads another project's files from the disk", "other_project.py", {"path": str(secret)}
        )
        self._cheat(
            "a script that reads a part it did not declare", "undeclared.py", {}, {"train": parts["train"].reference}
        )
        self._cheat("a script that leaves a pickle behind as its model", "pickled.py", {})
        other = self._open_other_project()
        self._denied(
            "a scientist who reads another project",
            lambda: self._as("scientist", other).ask("data:ListDatasets", ListDatasets(project=other), object),
        )
        self._denied("a scientist who reads the ledger", self._as("scientist").audit.tail)

    def _open_other_project(self) -> str:
        admin, name = self._as("admin"), f"{self.told.project}-salaries"
        admin.ask("identity:AddProject", AddProject(name=name), Project)
        return name

    def _cheat(
        self, what: str, script: str, params: Mapping[str, str], inputs: Mapping[str, str] | None = None
    ) -> None:
        scientist, source = self._as("scientist"), read_tree(_CHEATS / script, _CHEATS)
        request = RunScript(
            project=self.told.project,
            entry=source.entry,
            inputs=dict(inputs or {}),
            params=dict(params),
            experiment="cheats",
            origin=source.origin,
        )
        run: Run = scientist.jobs.script(request, source.pack()).wait(lambda _: None)
        self._expect(run.status == "failed", f"{what} is stopped")
        error = run.detail.error or {}
        self._refused(what, str(error.get("code")), str(error.get("message")), run.reference)

    def _denied(self, what: str, attempt: Callable[[], object]) -> None:
        try:
            attempt()
        except Denied as denied:
            self._refused(what, denied.code, denied.message, str(denied.facts.get("entry", "")))
            return
        what = f"{what} is refused"
        raise IntegrityError("MUNI-A510", f"the story does not hold: expected that {what}")

    def _refused(self, what: str, code: str, why: str, recorded: str) -> None:
        self.told.refused.append({"what": what, "code": code, "why": why, "recorded": recorded})
        self._tell.refusal(what, code, why, recorded)

    def _tampering(self, best: Model) -> None:
        if self._platform.settings.database:
            self._tell.note("Tampering is shown on SQLite only: this installation keeps its state elsewhere.")
            return
        self._tell.chapter(
            "What happens to an administrator of the machine who tampers (on a copy of this home)", "auditor"
        )
        self._platform.ledger.checkpoint()
        with tempfile.TemporaryDirectory(dir=self.home.parent, prefix=f"{self.home.name}-tampered-") as scratch:
            copy = _copy(self.home, Path(scratch) / "home")
            entry = _falsify(copy)
            with _opened(copy) as platform:
                report = _client(platform, self._tokens["auditor"], self.told.project).audit.verify()
                self._expect(not report.ok and report.first == entry, "the altered record is found and named")
                what = report.findings[0].what
                again = _client(platform, self._tokens["auditor"], self.told.project).audit.tail(1)
            self._refused("a refusal rewritten into a permission in the database", "audit verify", what, again[0].id)
        with tempfile.TemporaryDirectory(dir=self.home.parent, prefix=f"{self.home.name}-tampered-") as scratch:
            copy = _copy(self.home, Path(scratch) / "home")
            _swap_objects(copy)
            with _opened(copy) as platform:
                operator = _client(platform, self._tokens["operator"], self.told.project)
                request = CheckObjects(project=self.told.project, deep=True)
                checked = operator.ask("vault:CheckObjects", request, CheckedObjects)
                self._expect(not checked.sound, "the swapped objects are found")
                finding = checked.findings[0]
                entry_id = _client(platform, self._tokens["auditor"], self.told.project).audit.tail(1)[0].id
            self._refused("two sealed objects swapped on the disk", finding.code, finding.what, entry_id)

    def _ledger(self) -> None:
        self._tell.chapter("The ledger is verified, here and by a program that trusts nobody", "auditor")
        auditor = self._as("auditor")
        report = auditor.audit.verify()
        self._expect(report.ok, "the ledger verifies")
        denied = auditor.audit.search(outcome="denied", limit=1000)
        export = self.home / f"ledger-{self.told.project}.tar"
        with export.open("wb") as file:
            for piece in auditor.audit.export():
                file.write(piece)
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(verify.__file__), str(export)], capture_output=True, text=True, check=False
        )
        self._expect(done.returncode == 0, f"the stand-alone verifier agrees: {done.stdout[-300:]}{done.stderr[-300:]}")
        checkpoint = auditor.audit.checkpoint()
        self.told.checkpoint = {"size": checkpoint.size, "root": checkpoint.root}
        self.told.export = str(export)
        self._tell.fact(
            "ledger", f"{report.entries:,} entries verify from the first on; {len(denied)} refusals of this project"
        )
        self._tell.fact("stand-alone", f"verify.py agrees, with the standard library alone: {export}")
        self._tell.fact("checkpoint", f"{checkpoint.size} entries, root {checkpoint.root}")

    def _expect(self, holds: bool, what: str) -> None:
        """Stop the story when reality differs from it."""
        if not holds:
            raise IntegrityError("MUNI-A510", f"the story does not hold: expected that {what}", home=str(self.home))


def _in_short(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Findings by what was found, each with the columns it concerns."""
    columns: dict[str, list[str]] = {}
    for finding in findings:
        columns.setdefault(str(finding.get("message", "")), []).append(str(finding.get("column", "")))
    return [f"{message}: {', '.join(filter(None, names))}" for message, names in columns.items()]


def _client(platform: Platform, token: str, project: str) -> Client:
    return Client(platform.transport(token), project=project, worker=platform.work_until)


@contextmanager
def _opened(home: Path) -> Iterator[Platform]:
    platform = open_platform(home)
    try:
        yield platform
    finally:
        platform.store.close()  # a tampered ledger cannot be signed, so nothing is


@contextmanager
def _listener() -> Iterator[tuple[str, int, list[str]]]:
    """A server on loopback that writes down who came."""
    arrivals: list[str] = []
    server = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, peer = server.accept()
            except OSError:
                return
            arrivals.append(str(peer))
            connection.close()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield "127.0.0.1", server.getsockname()[1], arrivals
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(timeout=2)


def _reach(host: str, port: int) -> bool:
    """Whether the server answers from outside the sandbox: the control of the experiment."""
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            return connection.recv(1) == b""
    except OSError:
        return False


def _copy(home: Path, copy: Path) -> Path:
    """A copy of a home to tamper with: sealed objects by hard link, the database by its own backup."""
    shutil.copytree(home / "objects", copy / "objects", copy_function=os.link)
    shutil.copytree(home / "ledger", copy / "ledger")
    shutil.copy(home / "muniment.json", copy)
    source, target = sqlite3.connect(home / "state.db"), sqlite3.connect(copy / "state.db")
    source.backup(target)
    source.close()
    target.close()
    return copy


def _falsify(home: Path) -> int:
    """Rewrite the newest refusal in the database; answers its index."""
    state = sqlite3.connect(home / "state.db")
    newest = "where outcome = 'denied' and idx is not null order by idx desc limit 1"
    entry, index, body = state.execute(f"select id, idx, body from ledger_entries {newest}").fetchone()  # noqa: S608
    forged = body.replace('"outcome":"denied"', '"outcome":"ok"')
    state.execute("update ledger_entries set body = ?, outcome = 'ok' where id = ?", (forged, entry))
    state.commit()
    state.close()
    return int(index)


def _swap_objects(home: Path) -> None:
    """Exchange the bytes of two sealed objects of almost the same age."""
    newest = sorted(
        (path for path in (home / "objects").rglob("*") if path.is_file()), key=lambda p: p.stat().st_mtime_ns
    )
    first, second = newest[-2:]
    spare = first.with_suffix(".spare")
    first.rename(spare)
    second.rename(first)
    spare.rename(second)
