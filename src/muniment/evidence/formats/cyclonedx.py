"""Bills of materials: of the model with its data and measurements, and of the software it was trained with.

Source: CycloneDX 1.6 (ECMA-424), JSON; package URLs after https://github.com/package-url/purl-spec.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

_SPEC: Final = "1.6"
_BUILT_IN: Final = frozenset({"logistic_regression", "xgboost", "lightgbm"})
"""Algorithms of the platform: supervised classifiers. What a user's script does is not known."""

_FAMILY: Final[Mapping[str, str]] = {
    "logistic_regression": "generalised linear model",
    "xgboost": "gradient-boosted trees",
    "lightgbm": "gradient-boosted trees",
}

_CRAN: Final = "r-cran-"
_OF_R: Final = frozenset({"r-base", "r-system-libraries"})


def model_bom(dossier: Mapping[str, Any]) -> dict[str, Any]:
    """The model as a component with a model card; its files and data sets are the components it depends on."""
    model = dossier["model"]
    data = [*_data(dossier)]
    files = [
        {
            "type": "file",
            "bom-ref": f"file:{file['path']}",
            "name": file["path"],
            "hashes": [_hash(file["digest"])],
        }
        for file in model["files"]
    ]
    component = {
        "type": "machine-learning-model",
        "bom-ref": model["digest"],
        "name": model["name"],
        "version": str(model["version"]),
        "hashes": [_hash(model["digest"])],
        "modelCard": _card(dossier, data),
        "properties": [
            {"name": "muniment:reference", "value": model["reference"]},
            {"name": "muniment:grade", "value": model["grade"]},
            {"name": "muniment:state", "value": str(dossier["state"]["value"])},
            {
                "name": "muniment:checkpoint",
                "value": f"{dossier['checkpoint']['size']} {dossier['checkpoint']['root']}",
            },
        ],
    }
    depends = sorted(one["bom-ref"] for one in [*data, *files])
    return {
        **_head(dossier, "model", component),
        "components": [*data, *files],
        "dependencies": [{"ref": model["digest"], "dependsOn": depends}],
    }


def software_bom(dossier: Mapping[str, Any]) -> dict[str, Any]:
    """Every wheel of the environment that the model was trained in, with the digest of the wheel."""
    environment = dossier["environment"]
    return {**_head(dossier, "software", _container(environment)), **_software(environment)}


def environment_bom(environment: Mapping[str, Any], version: str) -> dict[str, Any]:
    """The bill of materials of a job environment by itself; the same environment always has the same one.

    Args:
        environment: ``name``, ``digest``, ``python``, ``created_at`` and ``packages``, each ``{name, version, sha256}``
            and where it says one a ``licence``.
        version: of this software.
    """
    name = f"urn:muniment:environment:{environment['digest']}"
    return {**_document(name, environment["created_at"], version, _container(environment)), **_software(environment)}


def _container(environment: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "container",
        "bom-ref": environment["digest"],
        "name": environment["name"],
        "hashes": [_hash(environment["digest"])],
        "properties": [{"name": "muniment:python", "value": str(environment["python"])}],
    }


def _software(environment: Mapping[str, Any]) -> dict[str, Any]:
    packages = [
        {
            "type": "library",
            "bom-ref": _purl(package),
            "name": package["name"],
            "version": package["version"],
            "purl": _purl(package),
            "hashes": [{"alg": "SHA-256", "content": package["sha256"].removeprefix("sha256:")}],
            # As text, not as an expression: what a package says of its licence follows no grammar.
            **({"licenses": [{"license": {"name": package["licence"]}}]} if package.get("licence") else {}),
        }
        for package in sorted(environment["packages"], key=lambda one: (one["name"], one["version"]))
    ]
    depends = [one["bom-ref"] for one in packages]
    return {"components": packages, "dependencies": [{"ref": environment["digest"], "dependsOn": depends}]}


def _head(dossier: Mapping[str, Any], what: str, component: Mapping[str, Any]) -> dict[str, Any]:
    checkpoint = dossier["checkpoint"]
    name = f"urn:muniment:{checkpoint['origin']}:{checkpoint['size']}:{dossier['model']['digest']}:{what}"
    return _document(name, checkpoint["time"], dossier["installation"]["version"], component)


def _document(name: str, time: str, version: str, component: Mapping[str, Any]) -> dict[str, Any]:
    tool = {"type": "application", "name": "muniment", "version": version}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": _SPEC,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}",
        "version": 1,
        "metadata": {
            "timestamp": f"{time[:19]}Z",
            "tools": {"components": [tool]},
            "component": dict(component),
        },
    }


def _data(dossier: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The data sets of the dossier, each digest once."""
    seen: set[str] = set()
    for one in dossier["data"]:
        if one["digest"] in seen:
            continue
        seen.add(one["digest"])
        contents = [
            {"name": "muniment:role", "value": str(one["role"])},
            {"name": "muniment:grade", "value": str(one["grade"])},
            *({"name": f"muniment:{key}", "value": str(one[key])} for key in ("rows", "columns") if one.get(key)),
        ]
        yield {
            "type": "data",
            "bom-ref": one["digest"],
            "name": one["reference"],
            "hashes": [_hash(one["digest"])],
            "data": [
                {
                    "type": "dataset",
                    "name": one["reference"],
                    "contents": {"properties": contents},
                    "classification": str(one.get("classification") or "internal"),
                }
            ],
        }


def _card(dossier: Mapping[str, Any], data: list[dict[str, Any]]) -> dict[str, Any]:
    algorithm = str(dossier["model"]["algorithm"])
    parameters: dict[str, Any] = {"datasets": [{"ref": one["bom-ref"]} for one in data]}
    if algorithm in _BUILT_IN:
        parameters |= {
            "approach": {"type": "supervised"},
            "task": "binary classification",
            "architectureFamily": _FAMILY[algorithm],
        }
    if algorithm:
        parameters["modelArchitecture"] = algorithm
    metrics = [
        {"type": name, "value": repr(value), "slice": evaluation["data"]}
        for evaluation in dossier["evaluations"]
        for name, value in sorted(evaluation["metrics"].items())
    ]
    card: dict[str, Any] = {"modelParameters": parameters}
    if metrics:
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    considerations = _considerations(dossier)
    return card | ({"considerations": considerations} if considerations else {})


def _considerations(dossier: Mapping[str, Any]) -> dict[str, Any]:
    use_case = dossier.get("use_case") or {}
    registration = dossier.get("registration") or {}
    state = dossier["state"]
    limits = [*(registration.get("limits") or []), *(state.get("use_limits") or []), *(state.get("conditions") or [])]
    found = {
        "useCases": [str(text) for text in (use_case.get("intended_use"), use_case.get("purpose")) if text],
        "technicalLimitations": [str(limit) for limit in limits],
    }
    return {name: values for name, values in found.items() if values}


def _hash(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest.partition(":")[2]}


def _purl(package: Mapping[str, Any]) -> str:
    """The package URL; R and its packages, as ``muni env build-r`` names them, are none of Python's index."""
    name, version = str(package["name"]).replace("_", "-"), quote(str(package["version"]), safe="")
    if name.startswith(_CRAN):
        return f"pkg:cran/{quote(name.removeprefix(_CRAN), safe='')}@{version}"
    if name in _OF_R or name.startswith("r-package-"):
        return f"pkg:generic/{quote(name, safe='')}@{version}"
    return f"pkg:pypi/{quote(name.lower(), safe='')}@{version}"
