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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from muniment.adapters.git.tree import read_tree
from muniment.bootstrap import Platform, open_platform
from muniment.cli.demo.generated import write_credit_file
from muniment.cli.demo.signature import EXPERIMENT, Frame, Signature
from muniment.cli.demo.stage import Stage, Told, client_of
from muniment.evidence import verify
from muniment.sdk.datasets import Dataset, Parts
from muniment.sdk.models import Model
from muniment.sdk.runs import Run
from muniment.wire.data import ListDatasets
from muniment.wire.execution import RunScript
from muniment.wire.vault import CheckedObjects, CheckObjects

DATASET: Final = "credit"
TARGET: Final = "default_payment_next_month"
ALGORITHMS: Final[Mapping[str, Mapping[str, Any]]] = {"logistic_regression": {}, "xgboost": {}, "lightgbm": {}}
SHARES: Final[Mapping[str, float]] = {"train": 0.6, "test": 0.2, "holdout": 0.2}
SEED: Final = 7

_CHEATS: Final = Path(__file__).parent / "cheats"
_CELLS: Final = ("true_positive", "false_positive", "true_negative", "false_negative")
_SHOWN: Final = ("auc", "ks", "gini", "brier", "ece", "accuracy", "precision", "recall")


class Story:
    """One telling, in one home, in one project of its own."""

    def __init__(self, stage: Stage, data: Path | None) -> None:
        self._stage, self._file = stage, data
        self.home, self.told, self._tell = stage.home, stage.told, stage.tell

    def run(self) -> Told:
        """Tell all of it.

        Raises:
            IntegrityError: something did not happen as the story says.
        """
        signature = Signature(self._stage)
        dataset, parts = self._data()
        frame = signature.frame(dataset)
        best = self._models(parts, frame)
        self._questions(parts, best)
        self._reproduction(best)
        self._cheats(parts)
        signature.inventory(best, frame)
        signature.validation(best, parts, frame)
        signature.approval(best)
        self._tampering(best)
        self._ledger()
        signature.pack(best)
        return self.told

    def _data(self) -> tuple[Dataset, Parts]:
        self._tell.chapter("A credit file becomes an immutable, encrypted snapshot", "scientist")
        scientist = self._stage.person("scientist")
        with tempfile.TemporaryDirectory(prefix="muniment-data-") as folder:
            file = self._file or write_credit_file(self._stage.platform, Path(folder) / "credit_default.csv.gz", SEED)
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
        self._stage.expect(
            proof.get("disjoint") is True and proof.get("complete") is True, "the parts are disjoint and complete"
        )
        shares = ", ".join(f"{name} {parts[name].detail.rows:,}" for name in SHARES)
        self._tell.fact("parts", f"{shares} rows: proven disjoint and together complete")
        return dataset, parts

    def _models(self, parts: Parts, frame: Frame) -> Model:
        self._tell.chapter("Three models are trained where nothing but the training part exists", "scientist")
        scientist, measured = self._stage.person("scientist"), []
        for algorithm, params in ALGORITHMS.items():
            with self._tell.work(f"train {algorithm}") as watch:
                run = scientist.train(
                    algorithm,
                    parts["train"],
                    experiment=EXPERIMENT,
                    params=params,
                    drop=frame.left_out,
                    seed=SEED,
                    watch=watch,
                )
            model = run.model
            with self._tell.work(f"evaluate {algorithm} on the test part") as watch:
                evaluation = model.evaluate(parts["test"], groups=frame.groups, reference=parts["train"], watch=watch)
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
        validator = self._stage.person("validator")
        proof = validator.prove_unused(parts["holdout"].reference, best.reference)
        self._stage.expect(proof.unused, "the holdout was not used")
        self.told.unused, self.told.grade = proof.unused, proof.grade
        self._tell.fact("holdout", f"not used  (grade {proof.grade}, checkpoint of {proof.checkpoint.size} entries)")
        self._tell.note(proof.scope)
        used = validator.prove_unused(parts["train"].reference, best.reference)
        self._stage.expect(not used.unused, "the training part was used")
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
        model = self._stage.person("validator").models.get(best.reference)
        with self._tell.work("reproduce") as watch:
            verdict = model.reproduce(watch)
        self.told.verdict = str(verdict.get("verdict"))
        self._stage.expect(self.told.verdict == "identical-bytes", "the model came out bit for bit")
        self._tell.fact("verdict", f"{self.told.verdict}  {verdict['made']}")

    def _cheats(self, parts: Parts) -> None:
        self._tell.chapter("What happens to a cheat", "scientist")
        secret = next((self.home / "objects").rglob("*/*"))
        with _listener() as (host, port, arrivals):
            if _reach(host, port):
                self._stage.expect(len(arrivals) == 1, "the server that the cheat will try does listen")
                self._cheat("a script that tries the network", "network.py", {"host": host, "port": str(port)})
                self._stage.expect(len(arrivals) == 1, "nothing arrived at the server")
            else:
                self._tell.note(
                    "No cheat tries the network: this machine reaches not even itself, so it would prove nothing."
                )
        self._stage.expect(secret.is_file(), "the file that the cheat will try does exist")
        self._cheat(
            "a script that reads another project's files from the disk", "other_project.py", {"path": str(secret)}
        )
        self._cheat(
            "a script that reads a part it did not declare", "undeclared.py", {}, {"train": parts["train"].reference}
        )
        self._cheat("a script that leaves a pickle behind as its model", "pickled.py", {})
        other = self._stage.open_project(f"{self.told.project}-salaries")
        self._stage.denied(
            "a scientist who reads another project",
            lambda: self._stage.person("scientist", other).ask(
                "data:ListDatasets", ListDatasets(project=other), object
            ),
        )
        self._stage.denied("a scientist who reads the ledger", self._stage.person("scientist").audit.tail)

    def _cheat(
        self, what: str, script: str, params: Mapping[str, str], inputs: Mapping[str, str] | None = None
    ) -> None:
        scientist, source = self._stage.person("scientist"), read_tree(_CHEATS / script, _CHEATS)
        request = RunScript(
            project=self.told.project,
            entry=source.entry,
            inputs=dict(inputs or {}),
            params=dict(params),
            experiment="cheats",
            origin=source.origin,
        )
        run: Run = scientist.jobs.script(request, source.pack()).wait(lambda _: None)
        self._stage.expect(run.status == "failed", f"{what} is stopped")
        error = run.detail.error or {}
        self._stage.refused(what, str(error.get("code")), str(error.get("message")), run.reference)

    def _tampering(self, best: Model) -> None:
        if self._stage.platform.settings.database:
            self._tell.note("Tampering is shown on SQLite only: this installation keeps its state elsewhere.")
            return
        self._tell.chapter(
            "What happens to an administrator of the machine who tampers (on a copy of this home)", "auditor"
        )
        self._stage.platform.ledger.checkpoint()
        with tempfile.TemporaryDirectory(dir=self.home.parent, prefix=f"{self.home.name}-tampered-") as scratch:
            copy = _copy(self.home, Path(scratch) / "home")
            entry = _falsify(copy)
            with _opened(copy) as platform:
                report = client_of(platform, self._stage.tokens["auditor"], self.told.project).audit.verify()
                self._stage.expect(not report.ok and report.first == entry, "the altered record is found and named")
                what = report.findings[0].what
                again = client_of(platform, self._stage.tokens["auditor"], self.told.project).audit.tail(1)
            self._stage.refused(
                "a refusal rewritten into a permission in the database", "audit verify", what, again[0].id
            )
        with tempfile.TemporaryDirectory(dir=self.home.parent, prefix=f"{self.home.name}-tampered-") as scratch:
            copy = _copy(self.home, Path(scratch) / "home")
            _swap_objects(copy)
            with _opened(copy) as platform:
                operator = client_of(platform, self._stage.tokens["operator"], self.told.project)
                request = CheckObjects(project=self.told.project, deep=True)
                checked = operator.ask("vault:CheckObjects", request, CheckedObjects)
                self._stage.expect(not checked.sound, "the swapped objects are found")
                finding = checked.findings[0]
                entry_id = client_of(platform, self._stage.tokens["auditor"], self.told.project).audit.tail(1)[0].id
            self._stage.refused("two sealed objects swapped on the disk", finding.code, finding.what, entry_id)

    def _ledger(self) -> None:
        self._tell.chapter("The ledger is verified, here and by a program that trusts nobody", "auditor")
        auditor = self._stage.person("auditor")
        report = auditor.audit.verify()
        self._stage.expect(report.ok, "the ledger verifies")
        denied = auditor.audit.search(outcome="denied", limit=1000)
        export = self.home / f"ledger-{self.told.project}.tar"
        with export.open("wb") as file:
            for piece in auditor.audit.export():
                file.write(piece)
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(verify.__file__), str(export)], capture_output=True, text=True, check=False
        )
        self._stage.expect(
            done.returncode == 0, f"the stand-alone verifier agrees: {done.stdout[-300:]}{done.stderr[-300:]}"
        )
        checkpoint = auditor.audit.checkpoint()
        self.told.checkpoint = {"size": checkpoint.size, "root": checkpoint.root}
        self.told.export = str(export)
        self._tell.fact(
            "ledger", f"{report.entries:,} entries verify from the first on; {len(denied)} refusals of this project"
        )
        self._tell.fact("stand-alone", f"verify.py agrees, with the standard library alone: {export}")
        self._tell.fact("checkpoint", f"{checkpoint.size} entries, root {checkpoint.root}")


def _in_short(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Findings by what was found, each with the columns it concerns."""
    columns: dict[str, list[str]] = {}
    for finding in findings:
        columns.setdefault(str(finding.get("message", "")), []).append(str(finding.get("column", "")))
    return [f"{message}: {', '.join(filter(None, names))}" for message, names in columns.items()]


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
