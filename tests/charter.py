"""A small table of verbs, and a world to decide in: for tests of policy that need no other room."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from muniment.identity.service import VERBS as IDENTITY
from muniment.kernel.ports import Session
from muniment.kernel.principal import Authentication, Principal, PrincipalKind
from muniment.kernel.resources import INSTALLATION, PROJECT
from muniment.kernel.verb import Call, Resource, ResourceKind, Verb, verb
from muniment.policy.authorizer import CedarAuthorizer
from muniment.policy.service import VERBS as POLICY
from muniment.testing.fakes import FakeClock


class Ask(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A request about a data set."""

    project: str = ""
    dataset: str = ""


class Answer(Struct, kw_only=True, frozen=True):
    """Nothing."""


def locate_dataset(session: Session, project: str | None, reference: str) -> Resource:
    """Every data set exists and is ana's."""
    return dataset(project or "", reference)


def dataset(project: str, name: str, author: str = "ana", classification: str = "confidential") -> Resource:
    """A data set with its attributes."""
    attributes = {"author": author, "classification": classification, "readers": ["bob", "ana"], "size": 7}
    return Resource("Dataset", name, project, attributes)


DATASET: Final = ResourceKind(
    "Dataset",
    "datasets",
    "dataset",
    locate_dataset,
    attributes={"author": "User", "classification": "String", "readers": "Set<User>", "size": "Long"},
)


MODEL_VERSION: Final = ResourceKind(
    "ModelVersion",
    "models",
    "dataset",
    locate_dataset,
    attributes={"authors": "Set<User>", "beholden": "Set<User>", "state": "String"},
)


def declare(action: str, on: ResourceKind, group: str, **more: Any) -> Verb:
    """A verb that does nothing."""

    @verb(action, on=on, request=Ask, reply=Answer, event="thing.done", group=group, **more)
    def run(call: Call, request: Ask) -> Answer:
        """Do nothing."""
        return Answer()

    return run


ADD: Final = declare("data:AddDataset", PROJECT, "data:write")
READ: Final = declare("data:ReadDataset", DATASET, "data:read")
LIST: Final = declare("data:ListDatasets", PROJECT, "catalog:read")
ROTATE: Final = declare("vault:RotateKey", PROJECT, "key:manage")
SEARCH: Final = declare("ledger:SearchEntries", INSTALLATION, "audit:read")
LEASE: Final = declare("execution:LeaseRun", INSTALLATION, "whatever", internal=True)

OTHERS: Final = (
    declare("data:UseDataset", DATASET, "data:use"),
    declare("evidence:BuildPack", DATASET, "evidence:read"),
    declare("execution:DefineEnvironment", INSTALLATION, "env:manage"),
    declare("execution:EvaluateModel", DATASET, "run:validate"),
    declare("execution:ListEnvironments", INSTALLATION, "env:read"),
    declare("execution:ReproduceModel", DATASET, "run:reproduce"),
    declare("execution:TrainModel", PROJECT, "run:write"),
    declare("inventory:AddUseCase", PROJECT, "inventory:manage"),
    declare("inventory:ApproveModel", MODEL_VERSION, "inventory:approve"),
    declare("inventory:BreakGlass", MODEL_VERSION, "inventory:emergency"),
    declare("inventory:FetchModel", DATASET, "model:read"),
    declare("inventory:ListModels", PROJECT, "catalog:read"),
    declare("inventory:PrepareSignature", MODEL_VERSION, "inventory:sign"),
    declare("inventory:PromoteModel", PROJECT, "inventory:promote"),
    declare("inventory:RecordExamination", MODEL_VERSION, "inventory:examine"),
    declare("inventory:RejectModel", MODEL_VERSION, "inventory:decide"),
    declare("inventory:ReviewModel", MODEL_VERSION, "inventory:validate"),
    declare("inventory:SubmitModel", MODEL_VERSION, "inventory:write"),
    declare("ledger:GetCheckpoint", INSTALLATION, "audit:verify"),
    declare("validation:ExplainModel", DATASET, "run:validate"),
    declare("vault:CheckObjects", PROJECT, "system:operate"),
    declare("vault:ListKeys", PROJECT, "key:read"),
)
"""What else the shipped policy tests ask for."""

TABLE: Final = (ADD, READ, LIST, ROTATE, SEARCH, LEASE, *OTHERS, *IDENTITY, *POLICY)


def authorizer(clock: FakeClock) -> CedarAuthorizer:
    """Decides about the small table."""
    return CedarAuthorizer(TABLE, clock)


def known_as(name: str, clock: FakeClock, kind: PrincipalKind = PrincipalKind.USER, **more: Any) -> Authentication:
    """Somebody who was recognised by a token."""
    return Authentication(Principal(kind, name), "token", clock.now(), more.pop("ip", "10.0.0.1"), "c", **more)
