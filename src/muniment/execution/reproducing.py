"""How alike two makings of one model are. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import product
from typing import Any, Final

from muniment.execution.model import Product, Run
from muniment.kernel.digest import Digest

Document = Mapping[str, Any]

_UNEXPLAINED: Final = (
    "the same plan on the same processor gave other bytes: the code asks a clock, chance or threads of its own"
)
_FORMAT: Final = "file format: the model is the same, and its files hold it in other bytes"


class Alikeness(StrEnum):
    """The verdict of a reproduction."""

    IDENTICAL_BYTES = "identical-bytes"
    """Every file of the model is the same, bit for bit."""

    IDENTICAL_PREDICTIONS = "identical-predictions"
    """Files differ, but what decides predictions does not, and the scores of the probe rows are the same bits."""

    EQUIVALENT = "equivalent"
    """Scores differ within the bounds that are named, and no decision flips."""

    DIFFERENT = "different"


_CIRCUMSTANCES: Final[Mapping[str, tuple[str, ...]]] = {
    "processor": ("environment", "processor", "model"),
    "libraries": ("environment", "libraries"),
    "numerical threads": ("environment", "thread_pools"),
    "threads": ("threads",),
    "seed": ("seed",),
}
"""What besides the plan can change the bits, by where a training's report says it; the likeliest cause first."""

_MACHINE: Final[Mapping[str, str]] = {
    "processor": "processor",
    "processor's instructions": "flags",
    "number of processors, which threads are taken from": "cpus",
}
"""The same of any job, by what the platform saw of the machine."""

_PLAN: Final[Mapping[str, str]] = {
    "source": "code",
    "entry": "script",
    "code": "the platform's programs",
    "env": "libraries",
    "base": "base",
    "seed": "seed",
    "arguments": "arguments",
}
"""What of two plans can differ besides data and parameters, and what people call it."""


def verdict(
    run: Run,
    original: Run,
    wanted: Digest,
    wanted_files: Sequence[Document],
    made: Product | None,
    reports: tuple[Document | None, Document | None],
    machine: Document,
) -> dict[str, Any]:
    """Compare what a reproduction made with what it was to make.

    Args:
        run: the reproduction.
        original: the run that made the model first.
        wanted: digest of that model.
        wanted_files: its files, ``{path, digest, size}`` each.
        made: the model that came out now; None when none did.
        reports: of the original and of the reproduction, where the platform's own training wrote them; what a user's
            script says of itself is no evidence of alikeness.
        machine: what the reproduction ran on, as the platform saw it; that of the original stands in its result.
    """
    answer: dict[str, Any] = {
        "verdict": Alikeness.DIFFERENT.value,
        "expected": str(wanted),
        "made": str(made.digest) if made else None,
        "original": f"run:{original.id}",
        "requested_by": run.requested_by,
        "original_by": original.requested_by,
        "plan": str(run.plan),
    }
    if made is None:
        return {**answer, "cause": "no model came out"}
    if made.digest == wanted:
        return {**answer, "verdict": Alikeness.IDENTICAL_BYTES.value}
    before = {file["path"]: file["digest"] for file in wanted_files}
    after = {part.path: str(part.digest) for part in made.parts}
    files = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    first, second = reports
    if first is not None and second is not None:
        if _predicts(first) is not None and _predicts(first) == _predicts(second):
            verdict = Alikeness.IDENTICAL_PREDICTIONS.value
            return {**answer, "verdict": verdict, "files": files, "cause": _FORMAT}
        differs = [name for name, path in _CIRCUMSTANCES.items() if _at(first, path) != _at(second, path)]
    else:
        differs = []
    differs += [what for what in _apart(original.result.get("machine"), machine) if what not in differs]
    if run.job["base"] != original.job["base"]:
        differs.append("base")
    cause = f"not as it was: {differs[0]}" if differs else _UNEXPLAINED
    return {**answer, "files": files, "differs": differs, "cause": cause}


def side_by_side(said: Any, first: Sequence[Run], second: Sequence[Run]) -> dict[str, Any] | None:
    """What a comparison of two models came to, and the first thing in which their makings differ.

    Args:
        said: the verdict that the comparison measured.
        first: runs that made the one; of several the two are taken that are most alike.
        second: runs that made the other.

    Returns:
        The verdict with its cause; None when what was measured is no verdict.
    """
    if said not in list(Alikeness):
        return None
    if said == Alikeness.IDENTICAL_BYTES:
        return {"verdict": said}
    if said == Alikeness.IDENTICAL_PREDICTIONS:
        return {"verdict": said, "cause": _FORMAT}
    if not first or not second:
        return {"verdict": said, "cause": "unknown: of one of them no making is on record"}
    one, other = min(product(first, second), key=lambda pair: len(unlike(*pair)))
    differs = unlike(one, other)
    cause = f"not alike: {differs[0]}" if differs else _UNEXPLAINED
    return {"verdict": said, "makings": [f"run:{one.id}", f"run:{other.id}"], "differs": differs, "cause": cause}


def unlike(one: Run, other: Run) -> list[str]:
    """In what two runs differ that can change what they make: data, code, libraries, seed, parameters, machine."""
    first, second = one.job, other.job
    differs = [f"data ({channel})" for channel in _keys_apart(first["inputs"], second["inputs"])]
    differs += [what for name, what in _PLAN.items() if first.get(name) != second.get(name)]
    differs += [f"parameter {name}" for name in _keys_apart(first["params"], second["params"])]
    return differs + _apart((one.result or {}).get("machine"), (other.result or {}).get("machine"))


def _keys_apart(one: Document, other: Document) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _apart(before: Document | None, now: Document | None) -> list[str]:
    """In what two machines differ, as far as both are known."""
    return [what for what, name in _MACHINE.items() if _unlike(before or {}, now or {}, name)]


def _predicts(report: Document) -> tuple[str, str] | None:
    """What decides predictions, and what the probe rows were given; None when a report does not say both."""
    essence, probe = _at(report, ("model", "canonical_digest")), _at(report, ("probe", "digest"))
    return (essence, probe) if isinstance(essence, str) and isinstance(probe, str) else None


def _unlike(before: Document, now: Document, name: str) -> bool:
    """Whether both are known and not the same."""
    return name in before and name in now and before[name] != now[name]


def _at(document: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document
