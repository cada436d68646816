"""Exported lineage read by other people's own software: OpenLineage's client classes and the library of RO-Crate."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidencing import Gallery, trained
from muniment.testing.platform import PROJECT, Site
from muniment.wire.data import AddDataset, Origin
from muniment.wire.lineage import ExportLineage
from muniment.wire.tracking import EndRun, StartRun

MODEL = "model:loans-xgboost"

READ_EVENTS = """
import json, sys, uuid
from importlib import import_module
from pathlib import Path
import attr, pkgutil, types, typing
import openlineage.client.generated as generated
from openlineage.client.generated import base
from dateutil import parser

FACETS = {}
for found in pkgutil.iter_modules(generated.__path__):
    module = import_module(f"openlineage.client.generated.{found.name}")
    for value in vars(module).values():
        if isinstance(value, type) and hasattr(value, "_get_schema") and issubclass(value, base.BaseFacet):
            FACETS[value._get_schema()] = value
OWN = "urn:muniment:openlineage:"
seen = set()

def plain(name):
    return name.lstrip("_")

def taken(cls, given, extra=()):
    known = {field.name: field for field in attr.fields(cls)}
    unknown = set(given) - set(known) - set(extra)
    assert not unknown, (cls.__name__, unknown)
    needed = {n for n, f in known.items() if f.default is attr.NOTHING and f.init}
    assert needed <= set(given), (cls.__name__, needed - set(given))
    hints = typing.get_type_hints(cls, None, {**vars(typing), **vars(base), **vars(import_module(cls.__module__))})
    for name, value in given.items():
        assert name not in hints or fits(hints[name], value), (cls.__name__, name, value)
    return known

def fits(hint, value):
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(one, value) for one in inner)
    if origin in (list, dict):
        return isinstance(value, origin)
    if hint in (str, int, float, bool):
        return type(value) is hint
    return hint in (typing.Any,) or value is None if hint is type(None) else True

def facet(given, kind):
    assert {"_producer", "_schemaURL"} <= set(given), given
    url = given["_schemaURL"]
    if url.startswith(OWN):
        base.BaseFacet(producer=given["_producer"])
        return
    cls = FACETS[url]
    assert issubclass(cls, kind), (cls, kind)
    known = taken(cls, given)
    made = cls(**{plain(n): nested(v, n, cls) for n, v in given.items() if n not in ("_schemaURL",)})
    assert made._schemaURL == url
    seen.add(cls.__name__)

def nested(value, name, cls):
    module = import_module(cls.__module__)
    parts = {("fields", "SchemaDatasetFacet"): "SchemaDatasetFacetFields", ("owners", "OwnershipDatasetFacet"): "Owner",
             ("owners", "OwnershipJobFacet"): "Owner", ("identifiers", "SymlinksDatasetFacet"): "Identifier",
             ("parameters", "ExecutionParametersRunFacet"): "ExecutionParameter"}
    part = parts.get((name, cls.__name__))
    if part:
        kind = getattr(module, part)
        for one in value:
            taken(kind, one)
            kind(**one)
    if cls.__name__ == "ColumnLineageDatasetFacet" and name == "fields":
        for field in value.values():
            taken(module.Fields, field)
            for one in field["inputFields"]:
                taken(module.InputField, one)
                for change in one["transformations"]:
                    taken(module.Transformation, change)
                    module.Transformation(**change)
                module.InputField(**one)
    if cls.__name__ == "LifecycleStateChangeDatasetFacet" and name == "lifecycleStateChange":
        return module.LifecycleStateChange(value)
    return value

count = 0
for line in Path(sys.argv[1]).read_text().splitlines():
    event = json.loads(line)
    taken(base.RunEvent, event)
    assert event["schemaURL"] == base.RunEvent._get_schema()
    for name, one in event["run"]["facets"].items():
        facet(one, base.RunFacet)
    for name, one in event["job"]["facets"].items():
        facet(one, base.JobFacet)
    sides = (("inputs", base.InputDataset, "inputFacets"), ("outputs", base.OutputDataset, "outputFacets"))
    for side, cls, own in sides:
        for one in event[side]:
            taken(cls, one)
            for each in one["facets"].values():
                facet(each, base.DatasetFacet)
            for each in one.get(own, {}).values():
                facet(each, base.OutputDatasetFacet)
            cls(**one)
    taken(base.Run, event["run"])
    taken(base.Job, event["job"])
    base.RunEvent(
        eventTime=event["eventTime"], producer=event["producer"], eventType=base.EventType(event["eventType"]),
        run=base.Run(**event["run"]), job=base.Job(**event["job"]),
    )
    count += 1
print(json.dumps({"events": count, "facets": sorted(seen)}))
"""

READ_CRATE = """
import json, sys
from rocrate.rocrate import ROCrate
crate = ROCrate(sys.argv[1])
actions = [one for one in crate.get_entities() if one.type == "CreateAction"]
for one in actions:
    for side in ("object", "result", "agent", "instrument"):
        found = one.get(side)
        for each in found if isinstance(found, list) else [found]:
            assert not isinstance(each, str), (one.id, side, each)
main = crate.root_dataset.get("mainEntity")
print(json.dumps({
    "name": crate.name, "actions": len(actions), "main": main["name"], "license": crate.root_dataset["license"]["name"],
    "profile": crate.root_dataset["conformsTo"].id,
    "people": sorted(one["name"] for one in crate.get_entities() if one.type == "Person"),
}))
"""


@pytest.fixture(scope="module")
def house(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    """A platform with a model that was trained, measured and made again of data that came twice, and a failed run."""
    made = trained(site.copy(tmp_path_factory.mktemp("house")))
    bucket = Origin(kind="s3", location="s3://bank/cards.csv")
    made.people.ask(
        "scientist", AddDataset(project=PROJECT, name="cards", filename="cards.csv", origin=bucket), b"a,b\n1,2\n"
    )
    assert made.people.work() == 1
    run = made.people.ask("scientist", StartRun(project=PROJECT, experiment="e", name="n", params={"a": 1})).run
    made.people.ask("scientist", EndRun(project=PROJECT, run=run, status="failed", message="out of luck"))
    made.keys["run"] = run  # type: ignore[assignment]
    yield made
    made.platform.close()


def _written(house: Gallery, folder: Path, reference: str, form: str, **how: str) -> Path:
    request = ExportLineage(project=PROJECT, reference=reference, form=form, **how)  # type: ignore[arg-type]
    file = folder / f"{form}.{'zip' if form == 'ro-crate' else 'json'}"
    file.write_bytes(b"".join(house.people.ask("scientist", request).chunks))
    return file


def _read(peers: Path, program: str, file: Path) -> dict[str, object]:
    done = subprocess.run(
        [str(peers), "-c", program, str(file)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_openlineages_own_classes_take_every_event(house: Gallery, peers: Path, tmp_path: Path) -> None:
    """Each event and facet is of a class of its client: no field too many, none missing, and the schema it names."""
    told = [
        _written(house, tmp_path, reference, "openlineage", direction="both").read_bytes()
        for reference in (MODEL, str(house.keys["run"]))
    ]
    file = tmp_path / "both.ndjson"
    file.write_bytes(b"".join(told))
    found = _read(peers, READ_EVENTS, file)
    assert found["events"] == len(file.read_bytes().splitlines()) > 8
    assert set(found["facets"]) >= {  # type: ignore[call-overload]
        "ColumnLineageDatasetFacet", "DatasetTypeDatasetFacet", "DatasetVersionDatasetFacet", "DatasourceDatasetFacet",
        "ExecutionParametersRunFacet", "JobTypeJobFacet", "LifecycleStateChangeDatasetFacet", "OwnershipDatasetFacet",
        "OwnershipJobFacet", "OutputStatisticsOutputDatasetFacet", "ProcessingEngineRunFacet", "SchemaDatasetFacet",
        "SymlinksDatasetFacet", "ErrorMessageRunFacet",
    }  # fmt: skip


@pytest.mark.slow
def test_an_event_that_breaks_the_schema_is_seen(house: Gallery, peers: Path, tmp_path: Path) -> None:
    """The check can fail: a field that the facet's class does not know, or a number in place of a text, is refused."""
    file = _written(house, tmp_path, MODEL, "openlineage")
    event = json.loads(file.read_text().splitlines()[-1])
    for name, value in (("colour", "red"), ("jobType", 7)):
        broken = json.loads(json.dumps(event))
        broken["job"]["facets"]["jobType"][name] = value
        file.write_text(json.dumps(broken))
        command = [str(peers), "-c", READ_EVENTS, str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode != 0
        assert name in done.stderr


@pytest.mark.slow
def test_the_library_of_ro_crate_loads_the_crate(house: Gallery, peers: Path, tmp_path: Path) -> None:
    """Root, profile, main entity, people and actions are there, and every reference leads to something in the crate."""
    found = _read(peers, READ_CRATE, _written(house, tmp_path, MODEL, "ro-crate"))
    assert found["name"] == "Lineage of model:loans-xgboost@1"
    assert found["main"] == "model:loans-xgboost@1"
    assert (found["actions"], found["people"]) == (5, ["scientist", "validator"])
    assert found["profile"] == "https://w3id.org/ro/wfrun/process/0.5"
