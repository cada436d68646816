"""A transport that answers from a script: for tests of whatever asks verbs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, TypeVar

import msgspec

from muniment.errors import NotFound

__all__ = ["ScriptedTransport"]

T = TypeVar("T")


class ScriptedTransport:
    """Answers each action with what the script holds: a value, an error to raise, a list to work off, or a function."""

    def __init__(self, script: Mapping[str, Any]) -> None:
        self._script = {action: list(given) if isinstance(given, list) else given for action, given in script.items()}
        self.asked: list[tuple[str, msgspec.Struct]] = []
        """What was asked, in order."""
        self.bodies: list[bytes] = []
        """The bytes that came along, in order."""

    def invoke(self, action: str, request: msgspec.Struct, reply: type[T], body: BinaryIO | None = None) -> T:
        """Answer, through the wire form, so that a reply of the wrong shape is noticed."""
        answer = self._next(action, request)
        if body is not None:
            self.bodies.append(body.read())
        return msgspec.json.decode(msgspec.json.encode(answer), type=reply)

    def download(self, action: str, request: msgspec.Struct) -> Iterator[bytes]:
        """Answer with bytes."""
        return iter([self._next(action, request)])

    def _next(self, action: str, request: msgspec.Struct) -> Any:
        self.asked.append((action, request))
        if action not in self._script:
            raise NotFound("MUNI-A214", f"the script has no answer to {action}", action=action)
        answer = self._script[action]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer
