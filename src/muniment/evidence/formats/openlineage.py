"""A lineage as OpenLineage run events: for each activity its start, and how it ended.

Data, models and reports are datasets, which keep their name over all versions; the version is a facet. Code,
environment and base root are no datasets: they stand in a facet of the run, with every link, its role and its grade.

Source: OpenLineage specification 2-0-2 (https://openlineage.io/spec/2-0-2/OpenLineage.json) and its facets; naming
after its document "Naming": a dataset's namespace is the source it lives in, a job's that of its scheduler.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import SplitResult, quote, urlsplit
from uuid import NAMESPACE_URL, UUID, uuid5

from muniment.kernel.identifiers import is_id

__all__ = ["event_lines", "events", "run_id"]

_EVENT: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS: Final = "https://openlineage.io/spec/facets"
_SURROUNDINGS: Final = frozenset({"code", "env", "base"})
_ENDINGS: Final = {"ok": "COMPLETE", "cancelled": "ABORT", "stopped": "ABORT"}
"""What else a run came to is a failure."""

_TYPES: Final = {"data": "TABLE", "file": "FILE", "model": "MODEL", "features": "VIEW"}
_DIALECTS: Final = {"postgresql": "postgresql", "sqlite": "sqlite"}
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_MOST_PARAMETERS: Final = 200

Json = dict[str, Any]


def event_lines(told: Mapping[str, Any]) -> Iterator[bytes]:
    """The events, one JSON document a line, by time."""
    for event in events(told):
        yield json.dumps(event, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def events(told: Mapping[str, Any]) -> list[Json]:
    """The events of a ``muniment.lineage/1``: two for each activity that stands in it, by time."""
    return _Events(told).all()


def run_id(activity: str) -> str:
    """The UUID that stands for an activity: its identifier's 128 bits, so that it leads back."""
    if is_id(activity):
        number = 0
        for letter in activity:
            number = number * 32 + _ALPHABET.index(letter)
        return str(UUID(int=number))
    return str(uuid5(NAMESPACE_URL, f"urn:muniment:run:{activity}"))


class _Events:
    """Events of one lineage."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told
        self._producer = f"urn:muniment:{quote(str(told['installation']['version']))}"
        origin = quote(str(told["checkpoint"]["origin"]), safe="/.-_~")
        self._jobs = f"muniment://{origin}"
        self._datasets = f"muniment://{origin}/{told['project']}"
        self._entities = {one["digest"]: one for one in told["lineage"]["entities"]}
        self._edges: dict[str, list[Mapping[str, Any]]] = {}
        for edge in told["lineage"]["edges"]:
            self._edges.setdefault(edge["activity"], []).append(edge)
        self._columns: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for link in told["columns"]:
            self._columns.setdefault((link["activity"], link["target"]), []).append(link)

    def all(self) -> list[Json]:
        found = [
            (moment, order, activity["id"], self._event(activity, kind, moment))
            for activity in self._told["lineage"]["activities"]
            for order, (kind, moment) in enumerate(
                (
                    ("START", activity["started_at"]),
                    (_ENDINGS.get(activity["status"], "FAIL"), activity["ended_at"]),
                )
            )
        ]
        return [event for *_, event in sorted(found, key=lambda one: one[:3])]

    def _event(self, activity: Mapping[str, Any], kind: str, moment: str) -> Json:
        edges = self._edges.get(activity["id"], [])
        used = [one for one in edges if one["relation"] == "used"]
        made = [one for one in edges if one["relation"] != "used"]
        ended = kind != "START"
        return {
            "eventType": kind,
            "eventTime": moment,
            "producer": self._producer,
            "schemaURL": _EVENT,
            "run": {"runId": run_id(activity["id"]), "facets": self._run_facets(activity, edges, ended)},
            "job": {
                "namespace": self._jobs,
                "name": f"{self._told['project']}.{activity['kind']}.{activity['label']}",
                "facets": self._job_facets(activity),
            },
            "inputs": [self._dataset(one, activity, {}) for one in self._datasets_of(used)],
            "outputs": [
                {**self._dataset(one, activity, self._made(one, activity)), "outputFacets": self._statistics(one)}
                for one in (self._datasets_of(made) if ended else ())
            ],
        }

    def _datasets_of(self, edges: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        found = {edge["entity"]: None for edge in edges}
        return [self._entities[digest] for digest in found if self._entities[digest]["kind"] not in _SURROUNDINGS]

    def _name(self, entity: Mapping[str, Any]) -> str:
        if entity["names"]:
            return str(entity["names"][0]).partition("@")[0]
        return f"{entity['kind']}:{entity['digest']}"

    def _facet(self, schema: str, /, **fields: Any) -> Json:
        told = {name: value for name, value in fields.items() if value is not None}
        return {"_producer": self._producer, "_schemaURL": schema, **told}

    def _standard(self, facet: str, release: str, /, **fields: Any) -> Json:
        return self._facet(f"{_FACETS}/{release}/{facet}.json#/$defs/{facet}", **fields)

    def _run_facets(self, activity: Mapping[str, Any], edges: Sequence[Mapping[str, Any]], ended: bool) -> Json:
        run = activity["run"] or {}
        links = [one for one in edges if ended or one["relation"] == "used"]
        found = {
            "muniment_run": self._facet(
                "urn:muniment:openlineage:run:1",
                run=f"run:{activity['id']}",
                agent=activity["agent"],
                grade=activity["grade"],
                plan=activity["plan"],
                record=run.get("record"),
                experiment=activity["experiment"],
                hermetic=run.get("complete"),
                links=[
                    {
                        "relation": one["relation"],
                        "entity": one["entity"],
                        "kind": self._entities[one["entity"]]["kind"],
                        "label": self._entities[one["entity"]]["label"],
                        "role": one["role"],
                        "grade": one["grade"],
                    }
                    for one in links
                ],
            )
        }
        if run.get("engine"):
            found["processing_engine"] = self._standard(
                "ProcessingEngineRunFacet",
                "1-1-1",
                version=str(run.get("engine_version") or "unknown"),
                name=run["engine"],
                openlineageAdapterVersion=self._told["installation"]["version"],
            )
        if activity["params"]:
            listed = list(activity["params"].items())[:_MOST_PARAMETERS]
            found["executionParameters"] = self._standard(
                "ExecutionParametersRunFacet",
                "1-0-0",
                parameters=[{"key": str(key), "value": _plain(value)} for key, value in listed],
            )
        if ended and run.get("error"):
            message = f"{run['error'].get('code') or ''} {run['error'].get('message') or ''}".strip()
            found["errorMessage"] = self._standard(
                "ErrorMessageRunFacet", "1-0-1", message=message or activity["status"], programmingLanguage="PYTHON"
            )
        return found

    def _job_facets(self, activity: Mapping[str, Any]) -> Json:
        run = activity["run"] or {}
        found = {
            "jobType": self._standard(
                "JobTypeJobFacet",
                "2-0-4",
                processingType="BATCH",
                integration="MUNIMENT",
                jobType=activity["kind"].upper(),
            ),
            "ownership": self._standard(
                "OwnershipJobFacet", "1-0-1", owners=[{"name": _owner(activity["agent"]), "type": "RUNNER"}]
            ),
        }
        origin = run.get("origin") or {}
        if run.get("source"):
            found["sourceCodeLocation"] = self._standard(
                "SourceCodeLocationJobFacet",
                "1-1-0",
                type="git" if origin.get("commit") else "tree",
                url=f"urn:{run['source']}",
                path=run.get("entry"),
                version=origin.get("commit"),
            )
        if origin.get("query"):
            found["sql"] = self._standard(
                "SQLJobFacet", "1-1-0", query=origin["query"], dialect=_DIALECTS.get(str(origin.get("kind")))
            )
        return found

    def _dataset(self, entity: Mapping[str, Any], activity: Mapping[str, Any], more: Json) -> Json:
        facts = entity["facts"]
        facets = {
            "version": self._standard("DatasetVersionDatasetFacet", "1-0-1", datasetVersion=entity["digest"]),
            "datasetType": self._standard(
                "DatasetTypeDatasetFacet",
                "1-0-1",
                datasetType=_TYPES.get(entity["kind"], "JOB_OUTPUT"),
                subType=entity["kind"].upper(),
            ),
            "dataSource": self._source(entity, activity),
            "ownership": self._standard(
                "OwnershipDatasetFacet", "1-0-1", owners=[{"name": _owner(entity["author"]), "type": "AUTHOR"}]
            ),
            **more,
        }
        schema = facts.get("schema")
        if isinstance(schema, list) and schema:
            facets["schema"] = self._standard(
                "SchemaDatasetFacet",
                "1-2-0",
                fields=[
                    {"name": str(one["name"]), "type": str(one.get("type", "")), "ordinal_position": number}
                    for number, one in enumerate(schema, 1)
                ],
            )
        identifiers = self._elsewhere(entity, activity)
        if identifiers:
            facets["symlinks"] = self._standard("SymlinksDatasetFacet", "1-0-1", identifiers=identifiers)
        return {"namespace": self._datasets, "name": self._name(entity), "facets": facets}

    def _elsewhere(self, entity: Mapping[str, Any], activity: Mapping[str, Any]) -> list[Json]:
        """What the source that a file was read from calls it, where the naming rules have a whole name for that.

        A bare file name and a query's result are no such name: everybody's ``loans.csv`` would be one data set.
        """
        said = self._origin(entity, activity)
        kind, location = str(said.get("kind", "")), str(said.get("location", ""))
        parts = _parts(location)
        if parts and parts.scheme in ("s3", "s3a", "gs", "abfss") and parts.netloc:
            name = parts.path.lstrip("/") or "/"
            return [{"namespace": f"{parts.scheme}://{parts.netloc}", "name": name, "type": "TABLE"}]
        if kind in ("file", "delta", "iceberg") and location.startswith("/"):
            return [{"namespace": "file", "name": location, "type": "TABLE"}]
        return []

    def _source(self, entity: Mapping[str, Any], activity: Mapping[str, Any]) -> Json:
        """Where a data set lies: the database that a file was read from, else the platform."""
        said = self._origin(entity, activity)
        kind, location = said.get("kind"), str(said.get("location", ""))
        name, uri, parts = self._datasets, self._datasets, _parts(location)
        if kind == "postgresql" and parts and parts.hostname:
            host = f"[{parts.hostname}]" if ":" in parts.hostname else quote(parts.hostname)
            name = f"postgres://{host}:{parts.port or 5432}"
            uri = f"{name}/{quote(parts.path.lstrip('/') or 'postgres')}"
        elif kind == "sqlite" and location.startswith("sqlite:"):
            name = uri = quote(location, safe=":/")
        return self._standard("DatasourceDatasetFacet", "1-0-1", name=name, uri=uri)

    def _origin(self, entity: Mapping[str, Any], activity: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the bringer of a file said of its source; nothing of anything else."""
        if entity["kind"] != "file" or activity["kind"] != "ingest":
            return {}
        found: Mapping[str, Any] = (activity["run"] or {}).get("origin") or {}
        return found

    def _made(self, entity: Mapping[str, Any], activity: Mapping[str, Any]) -> Json:
        """What only an output has: that it came about, and what its columns rest on."""
        found: Json = {
            "lifecycleStateChange": self._standard(
                "LifecycleStateChangeDatasetFacet", "1-0-1", lifecycleStateChange="CREATE"
            )
        }
        links = self._columns.get((activity["id"], entity["digest"]), [])
        fields: dict[str, Json] = {}
        for link in links:
            source = self._entities[link["source"]]
            same = link["how"] != "transform"
            fields.setdefault(link["target_column"], {"inputFields": []})["inputFields"].append(
                {
                    "namespace": self._datasets,
                    "name": self._name(source),
                    "field": link["source_column"],
                    "transformations": [
                        {
                            "type": "DIRECT",
                            "subtype": "IDENTITY" if same else "TRANSFORMATION",
                            "description": f"{link['how']}, {link['grade']}",
                            "masking": False,
                        }
                    ],
                }
            )
        if fields:
            found["columnLineage"] = self._standard("ColumnLineageDatasetFacet", "1-2-0", fields=fields)
        return found

    def _statistics(self, entity: Mapping[str, Any]) -> Json:
        facts = entity["facts"]
        rows = facts.get("rows") if isinstance(facts.get("rows"), int) else None
        files = facts.get("files") if isinstance(facts.get("files"), list) else None
        if rows is None and files is None:
            return {}
        size = None if files is None else sum(int(one.get("size", 0)) for one in files)
        return {
            "outputStatistics": self._standard(
                "OutputStatisticsOutputDatasetFacet",
                "1-0-2",
                rowCount=rows,
                size=size,
                fileCount=None if files is None else len(files),
            )
        }


def _parts(location: str) -> SplitResult | None:
    """The parts of a source's address as somebody wrote it; None where it is none."""
    try:
        parts = urlsplit(location)
        return parts if parts.port is None or parts.port else None
    except ValueError:
        return None


def _owner(agent: str) -> str:
    kind, _, name = agent.partition(":")
    return f"{'user' if kind == 'User' else 'application'}:{name or kind}"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
