"""Train a model on a snapshot, bit for bit the same whenever it is repeated.

Channels: ``train``, and optionally ``validation``. Results: the model's files in ``model/`` and ``report.json``.
Metrics of every round go out live. Rows keep the order of the snapshot; seeds and threads are pinned and recorded.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import threadpoolctl

from muniment.analytics.content import content_digest, type_name
from muniment.analytics.performance import auc
from muniment.errors import IntegrityError, Invalid
from muniment.programs.algorithms import ALGORITHMS, TRAINING, training_parameters
from muniment.programs.contract import Job, run
from muniment.programs.debugging import Debugging, watching
from muniment.programs.engines import Look, engine
from muniment.programs.features import Encoding, Target, fit_encoding
from muniment.programs.models import Model, library_versions, load, scores_digest
from muniment.programs.parameters import read_parameters
from muniment.programs.snapshots import manifest_beside, read_snapshot

PROBE_ROWS: Final = 1_000
_GIVES_AWAY: Final = 0.95
_IDENTIFIERS: Final = ("id", "uuid", "guid", "key", "index", "rowid", "row_id")


def train(job: Job) -> None:
    """Choose features, fit, save, open again and report."""
    algorithm = read_parameters({"algorithm": job.given().get("algorithm")}, TRAINING[:1])["algorithm"]
    given = job.parameters(training_parameters(algorithm))
    parameters = {parameter.name: given[parameter.name] for parameter in ALGORITHMS[algorithm]}
    folder = job.channel("train")
    table = read_snapshot(folder)
    target = Target.of(table, given["target"] or (manifest_beside(folder) or {}).get("target"), given["positive"])
    labels = target.labels(table)
    names, decisions = choose_features(table, target.name, given["drop"], keep_identifiers=given["keep_identifiers"])
    encoding = fit_encoding(table, names)
    matrix = encoding.matrix(table)
    validation, learned = None, (matrix, labels)
    if job.has_channel("validation"):
        other = read_snapshot(job.channel("validation"))
        validation = (encoding.matrix(other), target.labels(other))
    elif given["validation_fraction"]:
        learned, validation = _held_back(matrix, labels, given["validation_fraction"], given["seed"])
    watched = watching()
    look = _look(watched, names) if watched.active else None

    with _threads(given["threads"]):
        scorer = engine(algorithm).fit(
            parameters,
            encoding,
            learned,
            validation,
            seed=given["seed"],
            threads=given["threads"],
            progress=job.metrics,
            look=look,
        )
        model = Model(algorithm, parameters, encoding, target, given["threshold"], scorer)
        document = model.save(job.model)
        probe = table.slice(0, PROBE_ROWS)
        scores = load(job.model).score(probe)
        if scores_digest(scores) != scores_digest(model.score(probe)):
            raise IntegrityError(
                "MUNI-D536", "the saved model does not predict as the trained one", algorithm=algorithm
            )
        if look is not None:
            judged = learned if validation is None else validation
            positive = scorer.score(judged[0]) >= given["threshold"]
            counts = np.bincount(2 * judged[1].astype(np.int64) + positive, minlength=4).reshape(2, 2)
            look("confusion", parameters.get("num_boost_round", 0), {"matrix": counts.tolist()})
    job.metrics(None, {"train.rows": table.num_rows, "train.features": len(names)})
    job.write(
        "report.json",
        {
            "algorithm": algorithm,
            "parameters": parameters,
            "seed": given["seed"],
            "threads": given["threads"],
            "rows": table.num_rows,
            "content_digest": content_digest(table),
            "features": [feature.document() for feature in encoding.features],
            "target": {"name": target.name, "positive": target.positive, "negative": target.negative},
            "classes": {"positive": int(labels.sum()), "negative": int((~labels).sum())},
            "importances": dict(zip(names, scorer.importances(), strict=True)),
            "model": {key: document[key] for key in ("file", "file_digest", "canonical_digest")},
            "probe": {
                "rows": len(scores),
                "of": "the first rows of the training data",
                "digest": scores_digest(scores),
            },
            "decisions": decisions,
            "findings": _findings(table, encoding, matrix, labels),
            "environment": environment(algorithm),
        },
    )


def _held_back(
    matrix: np.ndarray, labels: np.ndarray, share: float, seed: int
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The rows to learn from, in their order, and those held back, drawn with the seed.

    Raises:
        Invalid: one side would hold no row, or the rows to learn from would be of one class.
    """
    rows = np.random.default_rng(seed).permutation(len(labels))
    back = np.zeros(len(labels), bool)
    back[rows[: round(share * len(labels))]] = True
    if not back.any() or len(np.unique(labels[~back])) < 2:
        raise Invalid("MUNI-N106", "too few rows are left to learn from", rows=len(labels), do="hold back fewer")
    return (matrix[~back], labels[~back]), (matrix[back], labels[back])


def _look(watched: Debugging, names: list[str]) -> Look:
    """What the engines report for rules, features by their names."""

    def look(collection: str, step: int, facts: dict[str, Any]) -> None:
        named = {names[int(place)]: value for place, value in facts.items()} if collection == "importance" else facts
        watched.event(collection, collection, step, named)

    return look


def choose_features(
    table: pa.Table, target: str, drop: list[str], *, keep_identifiers: bool
) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns to learn from, and the recorded decision for every column that is left out.

    Raises:
        Invalid: a column to drop does not exist, or no column is left.
    """
    unknown = [name for name in drop if name not in table.schema.names]
    if unknown:
        raise Invalid(
            "MUNI-D172",
            f"there is no column {unknown[0][:80]!r}",
            column=unknown[0][:80],
            parameter="drop",
            columns=table.schema.names[:50],
            do="name columns of the data",
        )
    names, decisions = [], []
    for name in table.schema.names:
        if name == target:
            continue
        if name in drop:
            decisions.append({"column": name, "decision": "dropped", "because": "asked for"})
        elif not keep_identifiers and _is_identifier(table, name):
            decisions.append(
                {"column": name, "decision": "dropped", "because": "its values are unique, as an identifier's are"}
            )
        else:
            names.append(name)
    if not names:
        raise Invalid("MUNI-D184", "no column is left to learn from", dropped=len(decisions), do="drop fewer columns")
    return names, decisions


def _is_identifier(table: pa.Table, name: str) -> bool:
    """A column named like an identifier, or of texts, whose values are all different."""
    lower = name.lower()
    named = lower in _IDENTIFIERS or lower.endswith(("_id", "_uuid", "_key"))
    kind = type_name(table.column(name).type)
    if not (kind == "string" and table.num_rows > 100) and not (named and (kind == "string" or "int" in kind)):
        return False
    return bool(len(table.column(name).unique()) == table.num_rows)


def _findings(table: pa.Table, encoding: Encoding, matrix: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    found = []
    for number, feature in enumerate(encoding.features):
        values = matrix[:, number]
        known = ~np.isnan(values)
        facts = {"column": feature.name}
        if not known.any() or (values[known] == values[known][0]).all():
            found.append({"code": "constant_feature", "message": "the feature has one value", "facts": facts})
            continue
        if feature.categories is None and "int" in feature.type and len(np.unique(values)) == len(values) > 100:
            found.append(
                {
                    "code": "unique_integers",
                    "message": "an integer column without repeats: an identifier?",
                    "facts": facts,
                }
            )
        area = auc(labels[known], values[known]) if feature.categories is None else None
        if area is not None and max(area, 1 - area) > _GIVES_AWAY:
            found.append(
                {
                    "code": "gives_target_away",
                    "message": "one feature alone nearly decides the target: known only afterwards?",
                    "facts": {**facts, "auc": area},
                }
            )
    return found


def environment(algorithm: str) -> dict[str, Any]:
    """What besides the inputs decides the bits: libraries, their builds, the processor."""
    pinned = (
        "PYTHONHASHSEED",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "OPENBLAS_CORETYPE",
        "MKL_CBWR",
        "TZ",
        "LC_ALL",
    )
    return {
        "python": platform.python_version(),
        "libc": " ".join(platform.libc_ver()),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "processor": _processor(),
        "libraries": library_versions(algorithm),
        "thread_pools": _thread_pools(),
        "variables": {name: os.environ.get(name) for name in pinned},
    }


@contextmanager
def _threads(most: int) -> Iterator[None]:
    """At most so many threads in the numerical libraries, also in those that ignore the environment.

    Where ``/proc`` is closed the loaded libraries cannot be found, and the pins of the environment stand alone.
    """
    try:
        limits = threadpoolctl.threadpool_limits(most)
    except OSError:
        limits = nullcontext()
    with limits:
        yield


def _thread_pools() -> list[dict[str, Any]] | None:
    """The thread pools of the loaded libraries; None where ``/proc`` is closed and they cannot be found."""
    shown = ("user_api", "internal_api", "version", "num_threads", "architecture")
    try:
        return [{key: pool.get(key) for key in shown} for pool in threadpoolctl.threadpool_info()]
    except OSError:
        return None


def _processor() -> dict[str, Any]:
    facts: dict[str, Any] = {"model": None, "flags": []}
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return facts
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name" and facts["model"] is None:
            facts["model"] = value.strip()
        if key.strip() == "flags" and not facts["flags"]:
            facts["flags"] = sorted(
                flag for flag in value.split() if flag.startswith(("sse", "avx", "fma", "bmi", "amx", "f16c"))
            )
    return facts


if __name__ == "__main__":
    run(train)
