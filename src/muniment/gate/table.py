"""The table of all verbs: the one source of routes, schema, event types and reference pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from muniment.errors import Invalid, NotFound
from muniment.kernel.verb import Verb


class VerbTable:
    """All verbs by action; refuses two of one action."""

    def __init__(self, verbs: Iterable[Verb]) -> None:
        self._verbs: dict[str, Verb] = {}
        for verb in verbs:
            if verb.action in self._verbs:
                raise Invalid("MUNI-G101", "two verbs carry one action", action=verb.action)
            self._verbs[verb.action] = verb

    def __iter__(self) -> Iterator[Verb]:
        """The verbs in order of their actions."""
        return iter(sorted(self._verbs.values(), key=lambda verb: verb.action))

    def __len__(self) -> int:
        return len(self._verbs)

    def find(self, action: str) -> Verb:
        """The verb of this action.

        Raises:
            NotFound: there is none.
        """
        try:
            return self._verbs[action]
        except KeyError:
            raise NotFound("MUNI-G201", f"there is no verb {action[:80]!r}", action=action[:200]) from None
