"""Remembering decisions: a decision is a pure function of its inputs, so equal inputs need no second evaluation.

Nothing here can be stale, because a decision is found by everything it was made from: the policy set by its digest,
the rights that were read for this very request, the resource with its attributes, the action and the circumstances.
Whoever revokes, disables or publishes changes what the next request reads, and so what it is found by.

One input differs each time: the moment. Policies that only ask whether it lies before the end of the credential cannot
tell two moments apart on the same side of that end. Whether this holds is read off the policies themselves: any other
way of looking at the moment, or at the context as a whole, and the engine is asked each time (property-tested).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, Generic, TypeVar

from muniment.policy.cedar import Rule

T = TypeVar("T")

_CONTEXT: Final = {"Var": "context"}
_NOW: Final = {".": {"left": _CONTEXT, "attr": "now"}}
_EXPIRES: Final = {".": {"left": _CONTEXT, "attr": "expires"}}
_COMPARISONS: Final = frozenset({"<", "<=", ">", ">=", "==", "!="})
_WHOLE: Final = "*"
"""Stands for every attribute of the context at once."""

_MILLISECONDS: Final = len("2026-11-23T04:22:00.123")
"""Cedar's moments are this precise: the part of a recorded moment that it is given."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What the policies of a set can see of the circumstances that differ from request to request."""

    moment: bool
    """Whether they can see more of the moment than on which side of the credential's end it lies."""

    second_factor: bool
    """Whether they can see how old the second factor is."""

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> Sight:
        """What these policies can see, read off their syntax trees; in doubt they can see it."""
        seen = {name for rule in rules for name in _looked_at(rule.tree)}
        return cls(not seen.isdisjoint({"now", "expires", _WHOLE}), not seen.isdisjoint({"mfa_age_s", _WHOLE}))

    def view(self, circumstances: Mapping[str, Any]) -> tuple[Hashable, ...] | None:
        """Everything of a recorded context that the policies can tell apart; None when no two requests look alike."""
        if self.moment:
            return None
        now, expires = circumstances["now"][:_MILLISECONDS], circumstances["expires"][:_MILLISECONDS]
        return (
            circumstances["ip"],
            (now > expires) - (now < expires),
            circumstances["covered"],
            circumstances["method"],
            circumstances["mfa_age_s"] if self.second_factor else None,
            circumstances["purpose"],
            circumstances["tls"],
        )


def _looked_at(tree: Any) -> Iterator[str]:
    """Attributes of the context that an expression reads, other than by comparing the moment with the end."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            if node == _CONTEXT:
                yield _WHOLE
                continue
            attribute = _attribute(node)
            if attribute is not None:
                yield attribute
                continue
            waiting += [inner for name, inner in node.items() if not (name in _COMPARISONS and _of_the_end(inner))]
        elif isinstance(node, list):
            waiting += node


def _attribute(node: Mapping[str, Any]) -> str | None:
    """The attribute in ``context.x`` or ``context has x``."""
    for operator in (".", "has"):
        inner = node.get(operator)
        if len(node) == 1 and isinstance(inner, Mapping) and inner.get("left") == _CONTEXT:
            attribute = inner.get("attr")
            return attribute if isinstance(attribute, str) else _WHOLE
    return None


def _of_the_end(operands: Any) -> bool:
    """Whether the operands of a comparison are the moment and the end of the credential."""
    if not isinstance(operands, Mapping) or operands.keys() != {"left", "right"}:
        return False
    left, right = operands["left"], operands["right"]
    return bool((left == _NOW and right == _EXPIRES) or (left == _EXPIRES and right == _NOW))


class Kept(Generic[T]):
    """The most recently used values by key; a value is a pure function of its key."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value for a key, made at most once per thread that asks at the same time."""
        value = self.find(key)
        if value is None:
            value = make()
            self.keep(key, value)
        return value

    def find(self, key: Hashable) -> T | None:
        """The value for a key; None when it is not kept."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def keep(self, key: Hashable, value: T) -> None:
        """Keep a value, and the most recently used ones besides."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)
