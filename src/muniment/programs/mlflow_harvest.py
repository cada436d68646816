"""What a script tells MLflow inside a job: it goes into a folder there, and is gathered when the script has ended.

There is no network in a job, so a client of MLflow is pointed at a folder in the job's own scratch. Afterwards the
parameters, tags and measurements of its runs are reported like those of any script, the artifacts lie among the
job's results, and where one logged model consists of files that are data it becomes the model that the job made. A
file that would run code when it is opened is left behind, and the index says so. Standard library only; MLflow itself
is not needed to read what it wrote.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from muniment.programs.mlflow_folder import integer, measurements, plain_files, texts, yaml_scalars
from muniment.programs.model_formats import HEAD_BYTES, recognise
from muniment.programs.tracking import send

__all__ = ["harvest", "prepare"]

FOLDER: Final = Path(os.environ.get("MUNIMENT_MLFLOW_FOLDER", "/tmp/mlflow"))  # noqa: S108 - the sandbox's own /tmp
_MOST_FILES: Final = 800
"""Files that are taken over; a job has a bound on its results, and the script's own come first."""

_PIECE: Final = 500
_LONGEST: Final = 8_000
_PARENT: Final = "mlflow.parentRunId"
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9._+=@,()-]+")


@dataclass(slots=True)
class _Run:
    id: str
    name: str
    experiment: str
    parent: str
    started: int
    folder: Path
    params: Mapping[str, str]
    tags: Mapping[str, str]
    prefix: str = ""
    files: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


def prepare(environment: MutableMapping[str, str], folder: Path = FOLDER) -> bool:
    """Point MLflow's client at a folder in this job, unless the script is told another place; whether it is there."""
    if find_spec("mlflow") is None:
        return False
    environment.setdefault("MLFLOW_TRACKING_URI", folder.as_uri())
    environment.setdefault("MLFLOW_REGISTRY_URI", environment["MLFLOW_TRACKING_URI"])
    environment.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    environment.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    environment.setdefault("DO_NOT_TRACK", "true")
    environment.setdefault("GIT_PYTHON_REFRESH", "quiet")
    environment.setdefault("MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT", "5")
    return True


def harvest(root: Path, folder: Path = FOLDER) -> int:
    """Report what the runs in the folder hold and take their files over; how many runs there were.

    The first run that has no parent speaks under plain names; of every other the names begin with its own.

    Args:
        root: the job's ``/opt/ml``.
        folder: where the client of MLflow wrote.
    """
    runs = _runs(folder)
    if not runs:
        return 0
    target = root / "output/data/mlflow"
    room = [_MOST_FILES]
    for run in runs:
        _report(run)
        _take(run.folder / "artifacts", target / _plain(run.prefix.rstrip("/") or "run") / "artifacts", run, room)
    models = _models(folder, runs, target, room)
    if len(models) == 1 and not any((root / "model").iterdir() if (root / "model").is_dir() else ()):
        shutil.copytree(models[0], root / "model", dirs_exist_ok=True)
    target.mkdir(parents=True, exist_ok=True)
    index = {
        "format": "muniment.mlflow/1",
        "runs": [
            {
                "run_id": run.id,
                "name": run.name,
                "experiment_id": run.experiment,
                "parent": run.parent or None,
                "prefix": run.prefix,
                "params": dict(run.params),
                "tags": dict(run.tags),
                "files": run.files,
                "left": run.left,
            }
            for run in runs
        ],
    }
    (target / "index.json").write_text(json.dumps(index, sort_keys=True, indent=1) + "\n", encoding="utf-8")
    return len(runs)


def _runs(folder: Path) -> list[_Run]:
    found = []
    for meta in sorted(folder.glob("*/*/meta.yaml")) if folder.is_dir() else ():
        told = yaml_scalars(meta)
        id = told.get("run_id") or told.get("run_uuid")
        if id and meta.parent.parent.name != "models" and told.get("lifecycle_stage") != "deleted":
            tags = texts(meta.parent / "tags")
            found.append(
                _Run(
                    id=id,
                    name=told.get("run_name") or id,
                    experiment=told.get("experiment_id", ""),
                    parent=tags.get(_PARENT, ""),
                    started=integer(told.get("start_time")),
                    folder=meta.parent,
                    params=texts(meta.parent / "params"),
                    tags=tags,
                )
            )
    found.sort(key=lambda run: (bool(run.parent), run.started, run.id))
    taken: set[str] = set()
    for run in found[1:]:
        name = _plain(run.name)
        if name in taken or name == "run":
            name = f"{name}-{run.id[:6]}"
        taken.add(name)
        run.prefix = f"{name}/"
    return found


def _report(run: _Run) -> None:
    lines = [
        json.dumps({"event": event, "name": f"{run.prefix}{name}", "value": value[:_LONGEST]})
        for event, told in (("param", run.params), ("tag", run.tags))
        for name, value in told.items()
    ]
    lines.append(json.dumps({"event": "tag", "name": f"{run.prefix}mlflow.run_id", "value": run.id}))
    ordered = sorted(measurements(run.folder / "metrics"), key=lambda one: (one[2], one[3], one[0]))
    lines += [
        json.dumps({"name": f"{run.prefix}{name}", "value": _number(value), "step": step, "at": at_ms / 1000})
        for name, value, step, at_ms in ordered
    ]
    for start in range(0, len(lines), _PIECE):
        send("".join(f"{line}\n" for line in lines[start : start + _PIECE]).encode())


def _models(folder: Path, runs: list[_Run], target: Path, room: list[int]) -> list[Path]:
    """The folders of logged models that were taken over whole."""
    by_id = {run.id: run for run in runs}
    whole = []
    for meta in sorted(folder.glob("*/models/*/meta.yaml")):
        told = yaml_scalars(meta)
        run = by_id.get(told.get("source_run_id", ""), runs[0])
        place = target / _plain(run.prefix.rstrip("/") or "run") / "models" / _plain(told.get("name", "model"))
        if place.exists():
            place = place.with_name(f"{place.name}-{meta.parent.name[-6:]}")
        before = len(run.left)
        _take(meta.parent / "artifacts", place, run, room)
        if place.is_dir() and len(run.left) == before:
            whole.append(place)
    return whole


def _take(source: Path, target: Path, run: _Run, room: list[int]) -> None:
    for path in plain_files(source) if source.is_dir() else ():
        relative = path.relative_to(source)
        shown = (Path(target.name) / relative).as_posix() if target.name != "artifacts" else relative.as_posix()
        if (danger := _dangerous(path)) is not None:
            run.left[shown] = f"it is {danger}, which runs code when it is opened"
        elif room[0] <= 0:
            run.left[shown] = f"a job hands over {_MOST_FILES} files of MLflow at most"
        else:
            place = target.joinpath(*(_plain(part) for part in relative.parts))
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            room[0] -= 1
            run.files.append(shown)


def _dangerous(path: Path) -> str | None:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(max(0, size - HEAD_BYTES))
        tail = file.read(HEAD_BYTES)
    found = recognise(head, tail if size > HEAD_BYTES else b"")
    return found.name if found is not None and found.dangerous else None


def _plain(name: str) -> str:
    """A name that the collector of results takes."""
    return _NOT_PLAIN.sub("-", name).lstrip(".-")[:80] or "x"


def _number(value: float) -> Any:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
