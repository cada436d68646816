"""Reading what MLflow keeps elsewhere: its SQLite database, its folder ``mlruns``, or a server of it over HTTP.

Nothing is ever written there, nothing of it is executed, and its models are not opened.
"""

from __future__ import annotations

import io
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol
from urllib.parse import quote, unquote, urlsplit

import httpx

from muniment.errors import Invalid, NotFound, Unavailable
from muniment.programs.mlflow_folder import integer, measurements, plain_files, texts, yaml_scalars

__all__ = [
    "Store",
    "StoredExperiment",
    "StoredFile",
    "StoredMetric",
    "StoredModel",
    "StoredName",
    "StoredRun",
    "StoredVersion",
    "open_store",
]

_PAGE: Final = 1000
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredExperiment:
    """An experiment of a store."""

    id: str
    name: str
    deleted: bool
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run of a store; its metrics and files are asked for."""

    id: str
    experiment: str
    name: str
    status: str
    started_ms: int
    ended_ms: int
    deleted: bool
    user: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    artifacts: str
    """Where its files lie, as the store says."""

    inputs: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class StoredMetric:
    """One measurement."""

    name: str
    value: float
    step: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredModel:
    """A logged model."""

    id: str
    experiment: str
    run: str
    name: str
    model_type: str
    ready: bool
    params: Mapping[str, str]
    tags: Mapping[str, str]
    artifacts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredName:
    """A registered model."""

    name: str
    description: str
    tags: Mapping[str, str]
    aliases: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVersion:
    """A registered version."""

    name: str
    version: int
    description: str
    stage: str
    run: str
    source: str
    location: str
    """Where its files lie, where the store says so."""

    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a run or model."""

    path: str
    size: int
    """-1 where nobody said."""

    open: Any
    """Gives the bytes as a binary file, to be closed."""


class Store(Protocol):
    """What can be read of a store of MLflow."""

    label: str
    """Which store it is, the same at every import of it."""

    def experiments(self) -> list[StoredExperiment]:
        """All experiments, deleted ones included."""

    def runs(self, experiment: str) -> list[StoredRun]:
        """The runs of an experiment in the order of their beginning, deleted ones included."""

    def metrics(self, run: str) -> Iterator[StoredMetric]:
        """All measurements of a run, by step, time and name: the same order whenever it is asked."""

    def models(self, experiment: str) -> list[StoredModel]:
        """The logged models of an experiment."""

    def names(self) -> list[StoredName]:
        """The registered models."""

    def versions(self, name: str) -> list[StoredVersion]:
        """The versions of a registered model, oldest first."""

    def files(self, artifacts: str) -> Iterator[StoredFile]:
        """The files at a place that the store named; raises NotFound where they cannot be reached from here."""

    def close(self) -> None:
        """Let go of it."""


def open_store(place: str, artifacts: Path | None = None) -> Store:
    """The store at ``sqlite:///file.db``, at a folder such as ``./mlruns``, or behind a URL.

    Args:
        place: where it is.
        artifacts: folder in which the artifacts of a server lie whose database is read.

    Raises:
        NotFound: there is nothing.
        Invalid: it is no store of MLflow, or of a kind that is not read.
        Unavailable: the server does not answer.
    """
    if place.startswith(("http://", "https://")):
        return _ServerStore(place)
    if place.startswith("sqlite:"):
        path = Path(place.removeprefix("sqlite:").removeprefix("///") if place.startswith("sqlite:///") else "")
        return _DatabaseStore(path, artifacts)
    if "://" in place and not place.startswith("file://"):
        raise Invalid(
            "MUNI-Y141",
            "not a store that is read",
            given=place.partition("://")[0],
            do="give sqlite:///FILE, a folder, or the URL of its tracking server: mlflow server --backend-store-uri …",
        )
    path = Path(unquote(urlsplit(place).path)) if place.startswith("file://") else Path(place)
    return _DatabaseStore(path, artifacts) if path.is_file() else _FolderStore(path)


class _DatabaseStore:
    """A database of MLflow in SQLite, read only."""

    def __init__(self, path: Path, artifacts: Path | None) -> None:
        if not path.is_file():
            raise NotFound("MUNI-Y211", f"there is no file {path}", path=str(path))
        self.label = f"sqlite:{path.resolve()}"
        self._places = _Places(path.resolve().parent, artifacts)
        self._db = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)
        self._db.row_factory = sqlite3.Row
        try:
            names = self._db.execute("select name from sqlite_master where type = 'table'").fetchall()
        except sqlite3.DatabaseError as broken:
            raise Invalid("MUNI-Y142", "the file is no SQLite database", path=str(path)) from broken
        self._tables = {row[0] for row in names}
        if not {"experiments", "runs", "metrics", "params", "tags"} <= self._tables:
            raise Invalid(
                "MUNI-Y143", "the database is not one of MLflow", path=str(path), tables=sorted(self._tables)[:20]
            )

    def experiments(self) -> list[StoredExperiment]:
        """All experiments."""
        return [
            StoredExperiment(
                id=str(row["experiment_id"]),
                name=row["name"],
                deleted=row["lifecycle_stage"] == "deleted",
                tags=self._pairs("experiment_tags", "key", "value", experiment_id=row["experiment_id"]),
            )
            for row in self._rows("experiments", order="experiment_id")
        ]

    def runs(self, experiment: str) -> list[StoredRun]:
        """The runs of an experiment."""
        return [
            StoredRun(
                id=row["run_uuid"],
                experiment=experiment,
                name=row["name"] or "",
                status=row["status"] or "",
                started_ms=row["start_time"] or 0,
                ended_ms=row["end_time"] or 0,
                deleted=row["lifecycle_stage"] == "deleted",
                user=row["user_id"] or "",
                params=self._pairs("params", "key", "value", run_uuid=row["run_uuid"]),
                tags=self._pairs("tags", "key", "value", run_uuid=row["run_uuid"]),
                artifacts=row["artifact_uri"] or "",
                inputs=self._inputs(row["run_uuid"]),
            )
            for row in self._rows("runs", order="start_time, run_uuid", experiment_id=int(experiment))
        ]

    def metrics(self, run: str) -> Iterator[StoredMetric]:
        """All measurements of a run."""
        for row in self._rows("metrics", order="step, timestamp, key, value", run_uuid=run):
            value = float("nan") if row["is_nan"] else float(row["value"])
            yield StoredMetric(row["key"], value, row["step"] or 0, row["timestamp"] or 0)

    def models(self, experiment: str) -> list[StoredModel]:
        """The logged models of an experiment."""
        return [
            StoredModel(
                id=row["model_id"],
                experiment=experiment,
                run=row["source_run_id"] or "",
                name=row["name"],
                model_type=row["model_type"] or "",
                ready=row["status"] == 2,
                params=self._pairs("logged_model_params", "param_key", "param_value", model_id=row["model_id"]),
                tags=self._pairs("logged_model_tags", "tag_key", "tag_value", model_id=row["model_id"]),
                artifacts=row["artifact_location"],
            )
            for row in self._rows("logged_models", order="model_id", experiment_id=int(experiment))
            if row["lifecycle_stage"] != "deleted"
        ]

    def names(self) -> list[StoredName]:
        """The registered models."""
        return [
            StoredName(
                name=row["name"],
                description=row["description"] or "",
                tags=self._pairs("registered_model_tags", "key", "value", name=row["name"]),
                aliases={
                    alias: int(version)
                    for alias, version in self._pairs(
                        "registered_model_aliases", "alias", "version", name=row["name"]
                    ).items()
                },
            )
            for row in self._rows("registered_models", order="name")
        ]

    def versions(self, name: str) -> list[StoredVersion]:
        """The versions of a registered model."""
        return [
            StoredVersion(
                name=name,
                version=int(row["version"]),
                description=row["description"] or "",
                stage=row["current_stage"] or "None",
                run=row["run_id"] or "",
                source=row["source"] or "",
                location=dict(row).get("storage_location") or "",
                tags=self._pairs("model_version_tags", "key", "value", name=name, version=row["version"]),
            )
            for row in self._rows("model_versions", order="version", name=name)
            if row["current_stage"] != "Deleted_Internal"
        ]

    def files(self, artifacts: str) -> Iterator[StoredFile]:
        """The files at a place."""
        return self._places.files(artifacts)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _inputs(self, run: str) -> tuple[Mapping[str, Any], ...]:
        if not {"inputs", "datasets"} <= self._tables:
            return ()
        query = (
            "select i.input_uuid, d.* from inputs i join datasets d on d.dataset_uuid = i.source_id "
            "where i.destination_id = ? and i.source_type = 'DATASET' order by i.input_uuid"
        )
        return tuple(
            {
                "dataset": {
                    "name": row["name"],
                    "digest": row["digest"],
                    "source_type": row["dataset_source_type"],
                    "source": row["dataset_source"],
                    "schema": row["dataset_schema"] or "",
                    "profile": row["dataset_profile"] or "",
                },
                "tags": [
                    {"key": key, "value": value}
                    for key, value in self._pairs("input_tags", "name", "value", input_uuid=row["input_uuid"]).items()
                ],
            }
            for row in self._db.execute(query, (run,))
        )

    def _rows(self, table: str, *, order: str, **where: Any) -> Iterable[sqlite3.Row]:
        if table not in self._tables:
            return ()
        held = " and ".join(f"{column} = ?" for column in where)
        query = f"select * from {table}{' where ' + held if held else ''} order by {order}"  # noqa: S608 - our names
        return self._db.execute(query, tuple(where.values()))

    def _pairs(self, table: str, key: str, value: str, **where: Any) -> dict[str, str]:
        return {str(row[key]): str(row[value] or "") for row in self._rows(table, order=key, **where)}


class _FolderStore:
    """A folder ``mlruns`` with a file for each thing."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise NotFound("MUNI-Y212", f"there is no folder {path}", path=str(path))
        self._root = path.resolve()
        self.label = f"folder:{self._root}"
        self._places = _Places(self._root.parent, None)
        if not any(self._root.glob("*/meta.yaml")):
            raise Invalid("MUNI-Y144", "the folder is no store of MLflow", path=str(path), do="give the folder mlruns")

    def experiments(self) -> list[StoredExperiment]:
        """All experiments."""
        found = []
        for folder, deleted in self._experiments():
            told = yaml_scalars(folder / "meta.yaml")
            gone = deleted or told.get("lifecycle_stage") == "deleted"
            found.append(
                StoredExperiment(
                    id=folder.name, name=told.get("name", folder.name), deleted=gone, tags=texts(folder / "tags")
                )
            )
        return found

    def runs(self, experiment: str) -> list[StoredRun]:
        """The runs of an experiment."""
        found = []
        for folder in self._below(experiment):
            told = yaml_scalars(folder / "meta.yaml")
            if "run_id" not in told and "run_uuid" not in told:
                continue
            numbered = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}
            found.append(
                StoredRun(
                    id=told.get("run_id") or told["run_uuid"],
                    experiment=experiment,
                    name=told.get("run_name", ""),
                    status=numbered.get(told.get("status", ""), told.get("status", "")),
                    started_ms=integer(told.get("start_time")),
                    ended_ms=integer(told.get("end_time")),
                    deleted=told.get("lifecycle_stage") == "deleted",
                    user=told.get("user_id", ""),
                    params=texts(folder / "params"),
                    tags=texts(folder / "tags"),
                    artifacts=str(folder / "artifacts"),
                )
            )
        return sorted(found, key=lambda run: (run.started_ms, run.id))

    def metrics(self, run: str) -> Iterator[StoredMetric]:
        """All measurements of a run."""
        found = [StoredMetric(*told) for folder in self._root.glob(f"*/{run}/metrics") for told in measurements(folder)]
        yield from sorted(found, key=lambda one: (one.step, one.at_ms, one.name, repr(one.value)))

    def models(self, experiment: str) -> list[StoredModel]:
        """The logged models of an experiment."""
        found = []
        for folder in self._below(f"{experiment}/models"):
            told = yaml_scalars(folder / "meta.yaml")
            if "model_id" in told and told.get("lifecycle_stage") != "deleted":
                found.append(
                    StoredModel(
                        id=told["model_id"],
                        experiment=experiment,
                        run=told.get("source_run_id", ""),
                        name=told.get("name", "model"),
                        model_type=told.get("model_type", ""),
                        ready=told.get("status") in ("2", "READY"),
                        params=texts(folder / "params"),
                        tags=texts(folder / "tags"),
                        artifacts=str(folder / "artifacts"),
                    )
                )
        return found

    def names(self) -> list[StoredName]:
        """The registered models."""
        return [
            StoredName(
                name=folder.name,
                description=yaml_scalars(folder / "meta.yaml").get("description", ""),
                tags=texts(folder / "tags"),
                aliases={alias: integer(version) for alias, version in texts(folder / "aliases").items()},
            )
            for folder in self._below("models")
        ]

    def versions(self, name: str) -> list[StoredVersion]:
        """The versions of a registered model."""
        found = []
        for folder in self._below(f"models/{name}"):
            told = yaml_scalars(folder / "meta.yaml")
            if "version" in told and told.get("current_stage") != "Deleted_Internal":
                found.append(
                    StoredVersion(
                        name=name,
                        version=integer(told["version"]),
                        description=told.get("description", ""),
                        stage=told.get("current_stage", "None"),
                        run=told.get("run_id", ""),
                        source=told.get("source", ""),
                        location=told.get("storage_location", ""),
                        tags=texts(folder / "tags"),
                    )
                )
        return sorted(found, key=lambda version: version.version)

    def files(self, artifacts: str) -> Iterator[StoredFile]:
        """The files at a place."""
        return self._places.files(artifacts)

    def close(self) -> None:
        """Nothing is held open."""

    def _experiments(self) -> Iterator[tuple[Path, bool]]:
        for root, deleted in ((self._root, False), (self._root / ".trash", True)):
            for folder in sorted(root.iterdir()) if root.is_dir() else ():
                if folder.name != "models" and (folder / "meta.yaml").is_file():
                    yield folder, deleted

    def _below(self, path: str) -> list[Path]:
        found = [self._root / path, self._root / ".trash" / path]
        return sorted(
            one for folder in found if folder.is_dir() for one in folder.iterdir() if (one / "meta.yaml").is_file()
        )


class _ServerStore:
    """A tracking server of MLflow, over its REST API."""

    def __init__(self, url: str) -> None:
        self.label = url.rstrip("/")
        self._places = _Places(Path.cwd(), None)
        headers = {}
        if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
            headers["Authorization"] = f"Bearer {token}"
        user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
        signed_in = httpx.BasicAuth(user, password) if user and password and not token else None
        self._http = httpx.Client(base_url=self.label, headers=headers, auth=signed_in, timeout=60.0)
        self._runs: dict[str, list[str]] = {}

    def experiments(self) -> list[StoredExperiment]:
        """All experiments."""
        told = self._all("POST", "experiments/search", "experiments", view_type="ALL", max_results=_PAGE)
        return [
            StoredExperiment(
                id=str(one["experiment_id"]),
                name=one["name"],
                deleted=one.get("lifecycle_stage") == "deleted",
                tags=_pairs_of(one),
            )
            for one in sorted(told, key=lambda one: int(one["experiment_id"]))
        ]

    def runs(self, experiment: str) -> list[StoredRun]:
        """The runs of an experiment."""
        told = self._all(
            "POST", "runs/search", "runs", experiment_ids=[experiment], run_view_type="ALL", max_results=_PAGE
        )
        found = []
        for one in told:
            info, data = one["info"], one.get("data", {})
            self._runs[info["run_id"]] = sorted(metric["key"] for metric in data.get("metrics", []))
            found.append(
                StoredRun(
                    id=info["run_id"],
                    experiment=experiment,
                    name=info.get("run_name", ""),
                    status=info.get("status", ""),
                    started_ms=integer(info.get("start_time")),
                    ended_ms=integer(info.get("end_time")),
                    deleted=info.get("lifecycle_stage") == "deleted",
                    user=info.get("user_id", ""),
                    params={pair["key"]: pair.get("value", "") for pair in data.get("params", [])},
                    tags=_pairs_of(data),
                    artifacts=info.get("artifact_uri", ""),
                    inputs=tuple((one.get("inputs") or {}).get("dataset_inputs", [])),
                )
            )
        return sorted(found, key=lambda run: (run.started_ms, run.id))

    def metrics(self, run: str) -> Iterator[StoredMetric]:
        """All measurements of a run."""
        found = []
        for name in self._runs.get(run, []):
            told = self._all("GET", "metrics/get-history", "metrics", run_id=run, metric_key=name, max_results=25_000)
            found += [
                StoredMetric(name, float(one["value"]), integer(one.get("step")), integer(one.get("timestamp")))
                for one in told
            ]
        yield from sorted(found, key=lambda one: (one.step, one.at_ms, one.name, repr(one.value)))

    def models(self, experiment: str) -> list[StoredModel]:
        """The logged models of an experiment; none where the server knows none."""
        try:
            told = self._all("POST", "logged-models/search", "models", experiment_ids=[experiment], max_results=100)
        except NotFound:
            return []
        found = []
        for one in told:
            info, data = one["info"], one.get("data", {})
            found.append(
                StoredModel(
                    id=info["model_id"],
                    experiment=experiment,
                    run=info.get("source_run_id", ""),
                    name=info.get("name", "model"),
                    model_type=info.get("model_type", ""),
                    ready=info.get("status") in (2, "LOGGED_MODEL_READY"),
                    params={pair["key"]: pair.get("value", "") for pair in data.get("params", [])},
                    tags=_pairs_of(info),
                    artifacts=info.get("artifact_uri", ""),
                )
            )
        return sorted(found, key=lambda model: model.id)

    def names(self) -> list[StoredName]:
        """The registered models."""
        told = self._all("GET", "registered-models/search", "registered_models", max_results=100)
        return [
            StoredName(
                name=one["name"],
                description=one.get("description", ""),
                tags=_pairs_of(one),
                aliases={alias["alias"]: integer(alias["version"]) for alias in one.get("aliases", [])},
            )
            for one in told
        ]

    def versions(self, name: str) -> list[StoredVersion]:
        """The versions of a registered model."""
        quoted = name.replace("'", "\\'")
        told = self._all("GET", "model-versions/search", "model_versions", filter=f"name='{quoted}'", max_results=_PAGE)
        found = [
            StoredVersion(
                name=name,
                version=integer(one["version"]),
                description=one.get("description", ""),
                stage=one.get("current_stage", "None"),
                run=one.get("run_id", ""),
                source=one.get("source", ""),
                location="",
                tags=_pairs_of(one),
            )
            for one in told
        ]
        return sorted(found, key=lambda version: version.version)

    def files(self, artifacts: str) -> Iterator[StoredFile]:
        """The files at a place: through the server where it hands them out, else from this machine's own disk."""
        if not artifacts.startswith("mlflow-artifacts:"):
            yield from self._places.files(artifacts)
            return
        yield from self._walk(unquote(urlsplit(artifacts).path).strip("/"), "")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _walk(self, root: str, below: str) -> Iterator[StoredFile]:
        listed = self._ask("GET", "/api/2.0/mlflow-artifacts/artifacts", {"path": f"{root}/{below}".rstrip("/")})
        for one in listed.get("files", []):
            path = f"{below}/{one['path']}" if below else one["path"]
            if one.get("is_dir"):
                yield from self._walk(root, path)
            else:
                place = f"/api/2.0/mlflow-artifacts/artifacts/{quote(f'{root}/{path}')}"
                yield StoredFile(path, integer(one.get("file_size", -1)), lambda place=place: self._fetch(place))

    def _fetch(self, place: str) -> BinaryIO:
        try:
            answer = self._http.get(place)
            answer.raise_for_status()
        except httpx.HTTPError as failed:
            raise self._unreached(failed) from failed
        return io.BytesIO(answer.content)

    def _all(self, method: str, call: str, field: str, **told: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = self._ask(method, f"/api/2.0/mlflow/{call}", told)
            found += page.get(field, [])
            if not (token := page.get("next_page_token")):
                return found
            told["page_token"] = token

    def _ask(self, method: str, path: str, told: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = (
                self._http.get(path, params=told) if method == "GET" else self._http.request(method, path, json=told)
            )
            if answer.status_code == 404:
                raise NotFound("MUNI-Y213", "the server does not have this", url=self.label, call=path)
            answer.raise_for_status()
            document = answer.json()
        except (httpx.HTTPError, ValueError) as failed:
            raise self._unreached(failed) from failed
        return document if isinstance(document, dict) else {}

    def _unreached(self, failed: Exception) -> Unavailable:
        return Unavailable(
            "MUNI-Y502",
            f"{self.label} does not answer as a tracking server of MLflow does",
            url=self.label,
            reason=str(failed)[:300] or type(failed).__name__,
        )


class _Places:
    """Finds on this machine's disk what a store says about where its files lie."""

    def __init__(self, beside: Path, artifacts: Path | None) -> None:
        self._beside, self._artifacts = beside, artifacts

    def files(self, place: str) -> Iterator[StoredFile]:
        """The files below a place; raises NotFound where it cannot be reached."""
        folder = self._folder(place)
        if folder is None and self._empty(place):
            return
        if folder is None:
            raise NotFound(
                "MUNI-Y214",
                "the files cannot be reached from here",
                place=place[:300],
                do="give the folder of the artifacts: --artifacts DIR; or give the URL of the tracking server",
            )
        for path in plain_files(folder):
            yield StoredFile(
                path.relative_to(folder).as_posix(), path.stat().st_size, lambda path=path: path.open("rb")
            )

    def _folder(self, place: str) -> Path | None:
        split = urlsplit(place)
        if split.scheme in ("", "file"):
            path = Path(unquote(split.path) if split.scheme else place)
            path = path if path.is_absolute() else self._beside / path
            return path if path.is_dir() else self._moved(path)
        if split.scheme == "mlflow-artifacts":
            relative = unquote(split.path).strip("/")
            roots = [self._artifacts] if self._artifacts else [self._beside / "mlartifacts", self._beside / "mlruns"]
            return next((root / relative for root in roots if root is not None and (root / relative).is_dir()), None)
        return None

    def _empty(self, place: str) -> bool:
        """Whether the place would be here: MLflow makes the folder of a run with its first file only."""
        split = urlsplit(place)
        if split.scheme not in ("", "file"):
            return split.scheme == "mlflow-artifacts" and self._folder("mlflow-artifacts:/") is not None
        path = Path(unquote(split.path) if split.scheme else place)
        path = path if path.is_absolute() else self._beside / path
        roots = [path.parents[2]] if len(path.parents) > 2 else []
        roots += [self._beside / name for name in ("mlruns", "mlartifacts") if name in path.parts]
        return any(root.is_dir() and root != Path("/") for root in roots)

    def _moved(self, path: Path) -> Path | None:
        """The same place below the store's folder of now, where the store was moved with its files."""
        parts = path.parts
        for root in ("mlruns", "mlartifacts"):
            if root in parts:
                moved = self._beside.joinpath(*parts[parts.index(root) :])
                if moved.is_dir():
                    return moved
        return None


def _pairs_of(document: Mapping[str, Any]) -> dict[str, str]:
    return {pair["key"]: pair.get("value", "") for pair in document.get("tags", [])}
