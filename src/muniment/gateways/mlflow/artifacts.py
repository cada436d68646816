"""MLflow's calls about artifacts: files of runs, of logged models and of registered versions, through this server.

A place is written ``EXPERIMENT/RUN/artifacts/PATH``, ``EXPERIMENT/models/MODEL/artifacts/PATH`` or, for what a
registered version fixed, ``registered/NAME/VERSION/PATH``. No path is ever a path of a file system: it is a name of
sealed bytes in the project.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from muniment.errors import Invalid, NotFound
from muniment.gateways.mlflow.asking import Calls, Question
from muniment.gateways.mlflow.runs import found_run
from muniment.kernel.verb import Download
from muniment.tracking.items import DEFAULT, MODELS, experiment_id
from muniment.wire import registry as wire
from muniment.wire import tracking

__all__ = ["CALLS", "Place", "listing", "place_of", "place_of_uri"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where files lie: in a folder of a run, or fixed in a registered version."""

    run: str = ""
    folder: str = ""
    """Below the run's files."""

    name: str = ""
    version: int = 0
    path: str = ""
    """Below the folder, or below the version's files."""

    model: str | None = None
    """The logged model whose folder it is."""

    @property
    def full(self) -> str:
        """The path among the files of the run, or of the version."""
        return "/".join(part for part in (self.folder, self.path) if part)


def place_of(question: Question, text: str) -> Place:
    """The place that a path means in the project.

    Raises:
        Invalid: it is no such path.
        NotFound: there is no such run, model or version in the project.
    """
    parts = _parts(text)
    if parts[:1] == ["registered"] and len(parts) >= 3 and parts[2].isdigit() and len(parts[2]) < 10:
        return Place(name=unquote(parts[1]), version=int(parts[2]), path="/".join(parts[3:]))
    if len(parts) >= 4 and parts[1] == "models" and parts[3] == "artifacts":
        model = logged_model(question, parts[2])
        if model.experiment == parts[0]:
            return Place(model.run, f"{MODELS}/{model.model}", path="/".join(parts[4:]), model=model.model)
    elif len(parts) >= 3 and parts[2] == "artifacts":
        run = found_run(question, parts[1])
        if experiment_id(question.project, run.experiment or DEFAULT) == parts[0]:
            return Place(run.run, path="/".join(parts[3:]))
    raise NotFound(
        "MUNI-Y205",
        "there is nothing at this place",
        place=text[:300],
        rule="EXPERIMENT/RUN/artifacts/PATH or EXPERIMENT/models/MODEL/artifacts/PATH",
    )


def place_of_uri(question: Question, uri: str) -> Place:
    """The place that an artifact URI of this server means.

    Raises:
        Invalid: it points elsewhere, so its bytes are not here.
        NotFound: as for ``place_of``.
    """
    split = urlsplit(uri)
    path = unquote(split.path)
    if split.scheme == "mlflow-artifacts":
        return place_of(question, path.partition("/api/2.0/mlflow-artifacts/artifacts/")[2] or path)
    if split.scheme in ("http", "https") and "/api/2.0/mlflow-artifacts/artifacts/" in path:
        return place_of(question, path.partition("/api/2.0/mlflow-artifacts/artifacts/")[2])
    if split.scheme == "runs":
        run, _, rest = path.strip("/").partition("/")
        found = found_run(question, split.netloc or run)
        return Place(found.run, path="/".join(_parts(rest)) if rest else "")
    if split.scheme == "models":
        parts = [split.netloc, *path.split("/")] if split.netloc else path.split("/")
        named = [part for part in parts if part]
        if len(named) == 1 and named[0].startswith("m-"):
            model = logged_model(question, named[0])
            return Place(model.run, f"{MODELS}/{model.model}", model=model.model)
        if len(named) == 2 and named[1].isdigit():
            version = version_of(question, named[0], int(named[1]))
            place = Place(version.run, path=version.path, model=version.logged_model)
            return replace(place, name=version.name, version=version.version)
    raise Invalid(
        "MUNI-Y122",
        "the files are not on this server, so it cannot vouch for their bytes",
        source=uri[:300],
        do="log the model with a run of this server, or bring the store in: muni import mlflow STORE",
    )


def upload(question: Question) -> dict[str, Any]:
    """Keep a file of a running run."""
    place = place_of(question, question.parts[0])
    if not place.run or not place.path:
        raise Invalid(
            "MUNI-Y123", "a file is kept below the artifacts of a run or logged model", place=question.parts[0][:300]
        )
    request = tracking.LogArtifact(project=question.project, run=place.run, path=place.full)
    question.ask(request, question.body)
    return {}


def download(question: Question) -> Download:
    """The bytes of a file."""
    place = place_of(question, question.parts[0])
    if place.name:
        request = wire.GetVersionFile(project=question.project, name=place.name, version=place.version, path=place.path)
        reply: Download = question.ask(request)
        return reply
    if place.full not in _files(question, place):
        raise NotFound("MUNI-Y206", "there is no such file", path=place.path[:300])
    found: Download = question.ask(tracking.GetArtifact(project=question.project, run=place.run, path=place.full))
    return found


def list_proxied(question: Question) -> dict[str, Any]:
    """The files directly below a place, by their names there."""
    text = question.fields.text("path")
    place = place_of(question, text)
    return {"files": listing(_files(question, place), place.full, base=False)}


def list_of_run(question: Question) -> dict[str, Any]:
    """The files of a run directly below a path, by their paths among the run's files."""
    fields = question.fields
    run = found_run(question, fields.needed("run_id", "run_uuid"))
    path = "/".join(_parts(fields.text("path"))) if fields.text("path") else ""
    place = Place(run.run, path=path)
    root = f"mlflow-artifacts:/{experiment_id(question.project, run.experiment or DEFAULT)}/{run.run}/artifacts"
    return {"root_uri": root, "files": listing(_files(question, place), path, base=True)}


def list_of_model(question: Question) -> dict[str, Any]:
    """The files of a logged model directly below a path."""
    model = logged_model(question, question.parts[0])
    path = question.fields.text("artifact_directory_path")
    place = Place(model.run, f"{MODELS}/{model.model}", path="/".join(_parts(path)) if path else "")
    files = listing(_files(question, place), place.full, base=False)
    for one in files:
        one["path"] = f"{place.path}/{one['path']}" if place.path else one["path"]
    return {"root_uri": f"mlflow-artifacts:/{model.experiment}/models/{model.model}/artifacts", "files": files}


def delete(question: Question) -> dict[str, Any]:
    """Take a file, or a folder of files, out of lists; what it held is retained."""
    place = place_of(question, question.parts[0])
    if not place.run:
        raise Invalid("MUNI-Y124", "the files of a registered version stay", name=place.name, version=place.version)
    paths = [place.full] if place.full else sorted(_files(question, place))
    if not paths:
        raise NotFound("MUNI-Y206", "there is no such file", path=place.path)
    question.ask(wire.DescribeRun(project=question.project, run=place.run, hidden=paths))
    return {}


def multipart(question: Question) -> dict[str, Any]:
    """Uploads in parts are not spoken here; clients then send the file as one body."""
    raise Invalid(
        "MUNI-Y125",
        "Multipart upload is not supported for the current artifact repository",
        do="send the file as one body; the server takes it piece by piece",
    )


def listing(files: dict[str, int], folder: str, *, base: bool) -> list[dict[str, Any]]:
    """What lies directly in a folder, by name, or with ``base`` by its whole path; sizes by path go in."""
    below = f"{folder}/" if folder else ""
    found: dict[str, dict[str, Any]] = {}
    for path, size in sorted(files.items()):
        if not path.startswith(below):
            continue
        name, _, deeper = path[len(below) :].partition("/")
        shown = f"{below}{name}" if base else name
        found[name] = {"path": shown, "is_dir": True} if deeper else {"path": shown, "is_dir": False, "file_size": size}
    return list(found.values())


def logged_model(question: Question, id: str) -> wire.LoggedModel:
    """A logged model of the project; raises NotFound."""
    found: wire.LoggedModels = question.ask(wire.ListLoggedModels(project=question.project, model=id, deleted=True))
    if not found.models:
        raise NotFound("MUNI-Y209", f"there is no logged model {id[:80]!r}", model=id[:80])
    return found.models[0]


def version_of(question: Question, name: str, version: int) -> wire.ModelVersion:
    """A registered version; raises NotFound."""
    found: wire.ModelVersions = question.ask(
        wire.ListModelVersions(project=question.project, name=name, version=version)
    )
    return found.versions[0]


def _files(question: Question, place: Place) -> dict[str, int]:
    """The files of a run or version that are not hidden, with sizes; models' folders only where one asks there."""
    if place.name:
        files = version_of(question, place.name, place.version).files
        return {one.path: one.size for one in files}
    hidden = found_run(question, place.run).hidden
    kept: tracking.TrackedArtifacts = question.ask(tracking.ListArtifacts(project=question.project, run=place.run))
    inside = place.full.partition("/")[0] == MODELS
    return {
        one.path: one.size
        for one in kept.artifacts
        if one.version > hidden.get(one.path, 0) and (inside or not one.path.startswith(f"{MODELS}/"))
    }


def _parts(text: str) -> list[str]:
    """The parts of a path; raises Invalid for one that climbs, is absolute inside, or holds what no name holds."""
    parts = text.strip("/").split("/")
    if any(part in ("", ".", "..") or "\\" in part or not part.isprintable() or len(part) > 255 for part in parts):
        raise Invalid(
            "MUNI-Y126", "not a path for artifacts", given=text[:200], rule="names joined by slashes, no '..'"
        )
    return parts


CALLS: Final[Calls] = {
    ("PUT", "mlflow-artifacts/artifacts/{path}"): upload,
    ("GET", "mlflow-artifacts/artifacts/{path}"): download,
    ("DELETE", "mlflow-artifacts/artifacts/{path}"): delete,
    ("GET", "mlflow-artifacts/artifacts"): list_proxied,
    ("POST", "mlflow-artifacts/mpu/create/{path}"): multipart,
    ("POST", "mlflow-artifacts/mpu/complete/{path}"): multipart,
    ("POST", "mlflow-artifacts/mpu/abort/{path}"): multipart,
    ("GET", "mlflow-artifacts/presigned/{path}"): multipart,
    ("GET", "mlflow/artifacts/list"): list_of_run,
    ("GET", "mlflow/logged-models/{id}/artifacts/directories"): list_of_model,
}
