"""How alike two makings of one model are. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from muniment.execution.model import Product, Run
from muniment.kernel.digest import Digest

Document = Mapping[str, Any]

_UNEXPLAINED: Final = (
    "the same plan on the same processor gave other bytes: the code asks a clock, chance or threads of its own"
)


class Alikeness(StrEnum):
    """The verdict of a reproduction."""

    IDENTICAL_BYTES = "identical-bytes"
    """Every file of the model is the same, bit for bit."""

    IDENTICAL_PREDICTIONS = "identical-predictions"
    """Files differ, but what decides predictions does not, and the scores of the probe rows are the same bits."""

    DIFFERENT = "different"


_CIRCUMSTANCES: Final[Mapping[str, tuple[str, ...]]] = {
    "processor": ("environment", "processor", "model"),
    "libraries": ("environment", "libraries"),
    "numerical threads": ("environment", "thread_pools"),
    "threads": ("threads",),
    "seed": ("seed",),
}
"""What besides the plan can change the bits, by where a training's report says it; the likeliest cause first."""

_MACHINE: Final[Mapping[str, str]] = {"processor": "processor", "processor's instructions": "flags"}
"""The same of any job, by what the platform saw of the machine."""


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
            return {**answer, "verdict": Alikeness.IDENTICAL_PREDICTIONS.value, "files": files}
        differs = [name for name, path in _CIRCUMSTANCES.items() if _at(first, path) != _at(second, path)]
    else:
        differs = []
    before_on = original.result.get("machine") or {}
    differs += [what for what, name in _MACHINE.items() if what not in differs and _unlike(before_on, machine, name)]
    if run.job["base"] != original.job["base"]:
        differs.append("base")
    cause = f"not as it was: {differs[0]}" if differs else _UNEXPLAINED
    return {**answer, "files": files, "differs": differs, "cause": cause}


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
