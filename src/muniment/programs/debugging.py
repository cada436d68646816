"""What a script reports besides metrics, for training rules: tensors, labels and predictions, importances.

A tensor is reduced to a few numbers here, inside the job; the numbers leave as lines on the descriptor of the metrics,
and the platform judges them outside. Without that descriptor, or without rules, nothing is worked out. numpy is
imported only when there is a tensor.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from muniment.programs import tracking

__all__ = ["Debugging", "emit", "log_predictions", "log_tensor", "watching"]

VARIABLE: Final = "MUNIMENT_RULES"
_WINDOW: Final = 1_000
_TENSORS: Final = 256
"""So many tensors are kept for comparison with their next report."""

_LONGEST: Final = 60_000
"""Bytes of a line; the supervisor takes 64 KiB."""

Check = Callable[[list[dict[str, Any]]], Any]


class Debugging:
    """What this process reports, and the rules of the user's own that look at it."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self.plan = plan
        """Rules with their settings, as in the plan of the job; empty for none."""
        self._before: dict[str, Any] = {}
        self._checks: dict[str, Check] = {}
        self._events: deque[dict[str, Any]] = deque(maxlen=_WINDOW)

    @property
    def active(self) -> bool:
        """Whether anybody looks."""
        return bool(self.plan)

    def add_check(self, name: str, check: Check) -> None:
        """Let a rule of the user's own look at every step; it is given the latest events, oldest first."""
        self._checks[name] = check
        tracking.listen(self._metrics)

    def event(self, name: str, collection: str, step: int, facts: Mapping[str, Any]) -> None:
        """Report the summary of a tensor."""
        document = {"event": "tensor", "name": name, "collection": collection, "step": step, "facts": dict(facts)}
        line = json.dumps(document, allow_nan=False).encode() + b"\n"
        if len(line) <= _LONGEST:
            tracking.send(line)
            self._note(document)

    def tensor(self, name: str, values: Any, collection: str, step: int) -> None:
        """Reduce a tensor and report it."""
        numbers = import_module("muniment.analytics.rules.summary")
        array = import_module("numpy").asarray(_plain(values))
        rules = self.plan.get("rules", {})
        before = self._before.get(name)
        keeps = "UnchangedTensor" in rules or (collection == "weight" and "WeightUpdateRatio" in rules)
        if keeps and collection != "sequence" and (before is not None or len(self._before) < _TENSORS):
            self._before[name] = array.copy()
        close, saturated = rules.get("UnchangedTensor", {}), rules.get("SaturatedActivation", {})
        bounds = (saturated.get(f"threshold_{collection}_min"), saturated.get(f"threshold_{collection}_max"))
        facts = numbers.summarise(
            array,
            collection,
            before=before,
            rtol=close.get("rtol", 1e-5),
            atol=close.get("atol", 1e-8),
            bounds=None if None in bounds else bounds,
            tokens=rules.get("NLPSequenceRatio", {}).get("token_values", ()),
        )
        self.event(name, collection, step, facts)

    def _metrics(self, step: int | None, metrics: Mapping[str, object]) -> None:
        for name, value in metrics.items():
            self._note({"event": "metric", "name": name, "step": step, "value": value}, look=False)
        self._look(step)

    def _note(self, document: dict[str, Any], *, look: bool = True) -> None:
        if self._checks:
            self._events.append(document)
            if look:
                self._look(document["step"])

    def _look(self, step: int | None) -> None:
        for name, check in list(self._checks.items()):
            try:
                said = check(list(self._events))
            except Exception as broken:  # a rule that fails is told, and never ends the training
                said, fired = {"message": f"the rule failed: {type(broken).__name__}"}, False
                del self._checks[name]
            else:
                fired = bool(said)
            facts = said if isinstance(said, Mapping) else {}
            message = said if isinstance(said, str) else str(facts.get("message", "the rule fires" if fired else ""))
            told = {"event": "rule", "name": name, "fired": fired, "step": step or 0, "message": message[:400]}
            told["facts"] = {str(key): value for key, value in facts.items() if key != "message"}
            try:
                tracking.send(json.dumps(told, allow_nan=False, default=str).encode()[:_LONGEST] + b"\n")
            except ValueError:
                tracking.send(json.dumps({**told, "facts": {}}).encode() + b"\n")
            if fired:
                self._checks.pop(name, None)


def watching() -> Debugging:
    """What this process reports with; one for the whole process."""
    if not _OPEN:
        text = os.environ.get(VARIABLE, "")
        plan = json.loads(text) if text else {}
        _OPEN.append(Debugging(plan if isinstance(plan, dict) else {}))
    return _OPEN[0]


_OPEN: Final[list[Debugging]] = []


def log_tensor(name: str, values: Any, *, step: int, collection: str = "other") -> None:
    """Report a tensor of a training at a step, for rules; without rules nothing is worked out.

    Args:
        name: of the tensor, such as ``layer1.weight``.
        values: an array, or a tensor of PyTorch or TensorFlow.
        step: of the training.
        collection: what it is: ``weight``, ``gradient``, ``relu`` (what comes out), ``tanh`` or ``sigmoid`` (what goes
            in), ``image`` (shaped N, C, ...), ``sequence`` (tokens), or anything else.
    """
    one = watching()
    if one.active:
        one.tensor(name[:200], values, collection, int(step))


def log_predictions(labels: Sequence[int], predictions: Sequence[int], *, step: int) -> None:
    """Report what was observed beside what was predicted, as numbers of classes from 0, for the rules over classes."""
    one = watching()
    if not one.active:
        return
    size = max([-1, *map(int, labels), *map(int, predictions)]) + 1
    matrix = [[0] * size for _ in range(min(size, 200))]
    for label, prediction in zip(labels, predictions, strict=True):
        matrix[int(label)][int(prediction)] += 1
    one.event("predictions", "confusion", int(step), {"matrix": matrix})


def emit(name: str, facts: Mapping[str, Any], *, step: int, collection: str = "other") -> None:
    """Report a summary that was worked out elsewhere; ``importance``: a number for each feature, ``trees``: depth."""
    one = watching()
    if one.active:
        one.event(name[:200], collection, int(step), facts)


def _plain(values: Any) -> Any:
    """The tensor as something numpy takes: off its device and out of its graph."""
    for step in ("detach", "cpu", "numpy"):
        take = getattr(values, step, None)
        if callable(take):
            values = take()
    return values
