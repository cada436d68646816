"""The verb that puts runs side by side: what was asked, what was measured, and how code, packages and data differ."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from muniment.catalog.model import Entity
from muniment.catalog.ports import Entities, Metrics
from muniment.errors import Invalid, MunimentError
from muniment.execution.differing import MOST_BYTES, differences, files_of_tree
from muniment.execution.environments import Environments
from muniment.execution.model import Run
from muniment.execution.reading import find_run, latest_metrics
from muniment.kernel.digest import Digest
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.vault.service import Vault
from muniment.wire import execution as wire

_MOST_CURVES: Final = 24
_MOST_POINTS: Final = 300
_MOST_COLUMNS: Final = 200
_WHEEL: Final = re.compile(r"([A-Za-z0-9_.]+)-([A-Za-z0-9_.!+]+)-.*\.whl")


@verb(
    "execution:CompareRuns",
    on=PROJECT,
    request=wire.CompareRuns,
    reply=wire.Comparison,
    event="runs.compared",
    group="catalog:read",
    effect=Effect.READ,
)
def compare_runs(call: Call, request: wire.CompareRuns) -> wire.Comparison:
    """Compare two or more runs: parameters, inputs, environment, metrics, curves, rules, code and data."""
    if not 2 <= len(request.runs) <= 20:
        raise Invalid("MUNI-X139", "a comparison takes 2 to 20 runs", given=len(request.runs))
    runs = [find_run(call.session, call.project, reference) for reference in request.runs]
    metrics = latest_metrics(call, [run.id for run in runs])
    settled = ("code", "source", "env", "base", "seed")
    rows = [
        *_rows("run", [_identity(run) for run in runs]),
        *_rows("parameter", [{k: _flat(v) for k, v in run.job.get("params", {}).items()} for run in runs]),
        *_rows("input", [dict(run.asked) for run in runs]),
        *_rows("environment", [{k: run.job[k] for k in settled if k in run.job} for run in runs]),
        *[row for row in _rows("package", _packages(call, runs)) if row.differs],
        *_rows("rule", [_fired(run) for run in runs]),
        *_rows("metric", [metrics.get(run.id, {}) for run in runs]),
    ]
    return wire.Comparison(
        runs=[f"run:{run.id}" for run in runs],
        rows=rows,
        curves=_curves(call, runs, sorted({name for by_name in metrics.values() for name in by_name})),
        code=_code(call, runs),
        data=_data(call, runs),
    )


def _curves(call: Call, runs: Sequence[Run], names: Sequence[str]) -> list[wire.Curve]:
    """The metrics that some run reported more than once, thinned to what a picture can show."""
    metrics, found = call.use(Metrics), []
    for name in names:
        points = []
        for run in runs:
            series = metrics.series(call.project, run.id, name)
            every = max(1, -(-len(series) // _MOST_POINTS))
            kept = [*series[::every], *([series[-1]] if series and (len(series) - 1) % every else [])]
            steps = len({one.step for one in series}) == len(series)
            points.append(
                [
                    [float(one.step or 0) if steps else float(place * every), one.value]
                    for place, one in enumerate(kept)
                    if one.value - one.value == 0
                ]
            )
        if any(len(one) > 1 for one in points):
            found.append(wire.Curve(metric=name, points=points))
        if len(found) >= _MOST_CURVES:
            break
    return found


def _packages(call: Call, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Version by package of each run's environment."""
    environments, known = call.use(Environments), dict[str, dict[str, Any]]()
    for run in runs:
        digest = str(run.job.get("env", ""))
        if digest and digest not in known:
            environment = environments.of_digest(Digest(digest))
            wheels = () if environment is None else environment.wheels
            parts = [found for wheel in wheels if (found := _WHEEL.fullmatch(wheel.filename))]
            known[digest] = {part[1].replace("_", "-").lower(): part[2] for part in parts}
    return [known.get(str(run.job.get("env", "")), {}) for run in runs]


def _code(call: Call, runs: Sequence[Run]) -> list[wire.CodeDifference]:
    """How the source trees of the runs differ from that of the first."""
    first, trees, found = runs[0], dict[str, Any](), []
    for number, run in enumerate(runs[1:], 1):
        mine, other = first.job.get("source"), run.job.get("source")
        if mine == other:
            continue
        if not mine or not other:
            note = "only one of the two runs is of a script"
            found.append(wire.CodeDifference(run=number, files=[], more=0, note=note))
            continue
        sides = [
            trees.setdefault(digest, _tree(call, digest)) if digest not in trees else trees[digest]
            for digest in (mine, other)
        ]
        broken = next((side for side in sides if isinstance(side, str)), None)
        if broken is not None:
            found.append(wire.CodeDifference(run=number, files=[], more=0, note=broken))
            continue
        files, more = differences(*sides)
        shown = [
            wire.FileDifference(path=one.path, change=one.change, lines=list(one.lines), note=one.note) for one in files
        ]
        found.append(wire.CodeDifference(run=number, files=shown, more=more))
    return found


def _tree(call: Call, digest: str) -> dict[str, bytes | None] | str:
    """The files of a source tree, or why they cannot be shown."""
    vault = call.use(Vault)
    try:
        if vault.size(call.session, call.project, Digest(digest)) > MOST_BYTES:
            return "a source tree is too large to be compared"
        return files_of_tree(vault.read_bytes(call.project, Digest(digest), MOST_BYTES))
    except MunimentError as gone:
        return f"{gone.code}: {gone.message}"


def _data(call: Call, runs: Sequence[Run]) -> list[wire.DataDifference]:
    """How the inputs of the runs differ from those of the first, by what is known of them."""
    used = [{channel: Digest(digest) for channel, digest in run.job.get("inputs", {}).items()} for run in runs]
    entities = call.use(Entities).find(call.project, {digest for one in used for digest in one.values()})
    found = []
    for channel in sorted({channel for one in used for channel in one}):
        base = used[0].get(channel)
        for number, one in enumerate(used[1:], 1):
            other = one.get(channel)
            if other == base:
                continue
            sides = [entities.get(digest) if digest is not None else None for digest in (base, other)]
            found.append(_difference(channel, number, runs, sides))
    return found


def _difference(channel: str, number: int, runs: Sequence[Run], sides: Sequence[Entity | None]) -> wire.DataDifference:
    before, after = ({} if side is None else side.facts for side in sides)
    columns = [{str(c["name"]): str(c["type"]) for c in facts.get("schema") or []} for facts in (before, after)]
    contents = [facts.get("content_digest") for facts in (before, after)]
    return wire.DataDifference(
        channel=channel,
        run=number,
        references=[runs[place].asked.get(channel) for place in (0, number)],
        rows=[facts.get("rows") for facts in (before, after)],
        added=sorted(columns[1].keys() - columns[0].keys())[:_MOST_COLUMNS],
        removed=sorted(columns[0].keys() - columns[1].keys())[:_MOST_COLUMNS],
        retyped=[
            f"{name}: {columns[0][name]} became {columns[1][name]}"
            for name in sorted(columns[0].keys() & columns[1].keys())
            if columns[0][name] != columns[1][name]
        ][:_MOST_COLUMNS],
        same_content=contents[0] is not None and contents[0] == contents[1],
    )


def _rows(section: str, columns: list[dict[str, Any]]) -> list[wire.ComparisonRow]:
    names = sorted({name for column in columns for name in column})
    return [
        wire.ComparisonRow(
            section=section,
            name=name,
            values=[column.get(name) for column in columns],
            differs=len({repr(column.get(name)) for column in columns}) > 1,
        )
        for name in names
    ]


def _identity(run: Run) -> dict[str, Any]:
    return {
        "kind": run.kind,
        "label": run.label,
        "status": run.status.value,
        "by": run.requested_by,
        "experiment": run.experiment,
        "trial": run.trial,
    }


def _fired(run: Run) -> dict[str, Any]:
    """What each training rule came to, and at which step."""
    rules: Sequence[Mapping[str, Any]] = run.result.get("rules", [])
    return {one["rule"]: f"fired at step {one['step']}" if one["fired"] else one["state"] for one in rules}


def _flat(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool)) or value is None else json.dumps(value, sort_keys=True)


VERBS: Final = (compare_runs,)
