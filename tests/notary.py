"""People with signing keys, and models on their way through the inventory: for tests of what takes a signature."""

from __future__ import annotations

from typing import Any

from muniment.sdk.client import Client
from muniment.sdk.models import Model
from muniment.testing.platform import PROJECT, People
from muniment.wire import inventory as wi

SOUND = "data, method and use fit each other"


class Notary:
    """The team of a platform, each with a key of his own that lives in memory."""

    def __init__(self, people: People, project: str = PROJECT) -> None:
        self.people, self.project = people, project
        self.clients: dict[str, Client] = {}

    def client(self, person: str) -> Client:
        """Whoever it is, with an enrolled key."""
        if person not in self.clients:
            transport = self.people.platform.transport(self.people.tokens[person])
            self.clients[person] = Client(transport, project=self.project)
            self.clients[person].keys.enrol()
        return self.clients[person]

    def model(self, person: str, reference: str = "model:scorer") -> Model:
        """A model in somebody's hands."""
        return self.client(person).models.get(reference)

    def use_case(self, name: str = "cards", **given: Any) -> str:
        """A use case of the lowest tier that asks for a validation, unless it is said otherwise."""
        stated: dict[str, Any] = {"purpose": "scoring", "owner": "approver", "purpose_class": "marketing"}
        self.client("admin").use_cases.add(name, **stated | {"exposure": 2_000_000_000} | given)
        return name

    def draft(self, reference: str = "model:scorer", **given: Any) -> wi.Registered:
        """Registered by the scientist, under a use case of tier 3 unless it is said otherwise."""
        given.setdefault("use_case", None if "use_case" in given else self._cards())
        return self.model("scientist", reference).register(**given)

    def submitted(self, reference: str = "model:scorer", **given: Any) -> wi.VersionState:
        """Registered and submitted by the scientist."""
        self.draft(reference, **given)
        return self.model("scientist", reference).submit("please validate")

    def validated(self, reference: str = "model:scorer", **given: Any) -> wi.VersionState:
        """Submitted, and found satisfactory by the validator."""
        self.submitted(reference, **given)
        return self.model("validator", reference).review("satisfactory", SOUND)

    def approved(self, reference: str = "model:scorer", **given: Any) -> wi.VersionState:
        """Validated, and approved by the approver."""
        self.validated(reference, **given)
        return self.model("approver", reference).approve()

    def _cards(self) -> str:
        known = {one.name for one in self.client("admin").use_cases.list()}
        return "cards" if "cards" in known else self.use_case()
