"""What a job is: as a person writes it (names), as it is run (digests), and as it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from muniment.execution.ports import Enforcement, Exit, Limits
from muniment.kernel.canonical import digest_of
from muniment.kernel.digest import Digest
from muniment.vault.model import Sealed

PLAN_FORMAT: Final = "muniment.plan/1"
MANIFEST: Final = "manifest.json"
"""Name of the manifest among the files of a snapshot."""

SCRIPT: Final = "muniment.programs.script"
"""The program that runs what people wrote."""

_NOTHING_PRINTED: Final = Digest.of(b"")
_NOTHING_MEASURED: Final = digest_of({})


class RunStatus(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"
    OOM = "oom"
    LIMIT = "limit"
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    """A training rule that it was to be stopped by fired."""

    REFUSED = "refused"
    LOST = "lost"
    """Its worker vanished more often than a run is retried."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the run."""
        return self not in (RunStatus.QUEUED, RunStatus.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A job as a person writes it: references and parameters."""

    kind: str
    """``ingest``, ``profile``, ``split``, ``train``, ``run``, ``evaluate`` or ``reproduce``."""

    program: str
    """Module that runs inside, such as ``muniment.programs.train``."""

    label: str
    """What ran, for people."""

    inputs: Mapping[str, str]
    """Channel -> reference."""

    params: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    source: Digest | None = None
    """The user's source tree, a tar sealed in the project."""

    entry: str | None = None
    """Script inside the source tree."""

    env: str = "tabular"
    seed: int = 0
    limits: Limits = field(default_factory=Limits)
    experiment: str | None = None
    trial: str | None = None
    """The attempt within the experiment that the job is a component of."""

    name: str | None = None
    """Name for what the run will generate."""

    use_case: str | None = None
    """The use case that it is for; None takes the one its experiment is bound to, if any."""

    rules: Mapping[str, Any] = field(default_factory=dict)
    """What it is watched by while it runs, as ``programs.rules`` reads it; empty for nothing."""

    fresh: bool = True
    """Whether it runs although the record holds a run of the same plan that ended well."""

    keys: Mapping[str, str] = field(default_factory=dict)
    """Secrets of the project that the platform's own program needs: name of the file inside -> name of the key."""

    purpose: str | None = None
    """What it uses its data for; None takes the purpose of its use case, if any."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the asker says about the result: classification, purposes, origin of the code. Declared, kept as such."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedJob:
    """A job with every name replaced by a digest: equal plans are equal jobs."""

    kind: str
    program: str
    code: Digest
    """The platform's own programs, as the archive that is put into the sandbox."""

    source: Digest | None
    entry: str | None
    inputs: Mapping[str, Digest]
    params: Mapping[str, Any]
    arguments: tuple[str, ...]
    env: Digest
    base: Digest
    seed: int
    limits: Mapping[str, int]
    rules: Mapping[str, Any] = field(default_factory=dict)
    """Training rules with all their settings. A plan without rules says nothing of them: its digest is older."""

    keys: Mapping[str, str] = field(default_factory=dict)
    """Secrets by file name: the plan names them, and never holds them. Left out of the plan where there are none."""

    def document(self) -> dict[str, Any]:
        """The plan as canonical JSON holds it."""
        return {
            "format": PLAN_FORMAT,
            "kind": self.kind,
            "program": self.program,
            "code": str(self.code),
            "source": str(self.source) if self.source else None,
            "entry": self.entry,
            "inputs": {channel: str(digest) for channel, digest in self.inputs.items()},
            "params": dict(self.params),
            "arguments": list(self.arguments),
            "env": str(self.env),
            "base": str(self.base),
            "seed": self.seed,
            "limits": dict(self.limits),
            **({"rules": dict(self.rules)} if self.rules else {}),
            **({"keys": dict(self.keys)} if self.keys else {}),
        }

    @property
    def digest(self) -> Digest:
        """Name of the plan: what the run proves and what a reproduction repeats."""
        return digest_of(self.document())

    @staticmethod
    def parse(document: Mapping[str, Any]) -> ResolvedJob:
        """The inverse of ``document``."""
        return ResolvedJob(
            kind=document["kind"],
            program=document["program"],
            code=Digest(document["code"]),
            source=Digest(document["source"]) if document["source"] else None,
            entry=document["entry"],
            inputs={channel: Digest(digest) for channel, digest in document["inputs"].items()},
            params=document["params"],
            arguments=tuple(document["arguments"]),
            env=Digest(document["env"]),
            base=Digest(document["base"]),
            seed=document["seed"],
            limits=document["limits"],
            rules=document.get("rules", {}),
            keys=document.get("keys", {}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One attempt-counted execution of a plan, as the queue keeps it."""

    id: str
    project: str
    kind: str
    label: str
    experiment: str | None
    name: str | None
    requested_by: str
    created_at: str
    plan: Digest
    job: Mapping[str, Any]
    """The resolved job's document."""

    asked: Mapping[str, str]
    """Channel -> reference as it was asked for."""

    facts: Mapping[str, Any]
    trial: str | None = None
    """The attempt within the experiment that the run is a component of."""

    status: RunStatus = RunStatus.QUEUED
    attempt: int = 0
    owner: str | None = None
    """The worker that holds the lease."""

    started_at: str | None = None
    ended_at: str | None = None
    cancel_requested: bool = False
    result: Mapping[str, Any] = field(default_factory=dict)
    """After the end: exit, usage, enforcement, refusals, error, verdict, products."""


@dataclass(frozen=True, slots=True)
class Output:
    """One file the collector accepted, sealed but not yet registered."""

    path: str
    """Relative to ``/opt/ml``: ``model/model.ubj``."""

    sealed: Sealed
    head: bytes
    """The first bytes, enough to recognise a format."""

    tail: bytes
    """The last bytes, where archives keep their directory."""

    document: bytes | None
    """The whole file, when it is a small JSON document; metadata, which the control plane may read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What a run left while it ran: enough to notice later that some of it was changed or cut."""

    log_bytes: int = 0
    log: Digest = _NOTHING_PRINTED
    """Digest of everything it printed, as far as it was kept."""

    metrics: int = 0
    """How many values it reported."""

    last_metrics: Digest = _NOTHING_MEASURED
    """Digest of the last value of each metric by name, ``{"auc": "0.77"}``, each as Python writes it."""

    labels: Digest | None = None
    """Digest of the parameters and tags that it told, ``{"params": {…}, "tags": {…}}``; None when it told none."""

    rules: tuple[Mapping[str, Any], ...] = ()
    """What each training rule came to."""

    stopped_by: str = ""
    """The rule that had the job stopped; empty for none."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended in the sandbox."""

    exit: Exit
    outputs: tuple[Output, ...] = ()
    traces: Traces = Traces()
    machine: Mapping[str, Any] = field(default_factory=dict)
    """What it ran on, as the platform saw it: ``processor``, ``flags`` that numerical libraries ask for, ``cpus``."""

    def output(self, path: str) -> Output | None:
        """The output at this path, if there is one."""
        return next((one for one in self.outputs if one.path == path), None)


@dataclass(frozen=True, slots=True)
class Part:
    """A sealed file that belongs to a product."""

    path: str
    digest: Digest
    size: int

    def document(self) -> dict[str, Any]:
        """As it stands in the facts of an entity."""
        return {"path": self.path, "digest": str(self.digest), "size": self.size}


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Something a run generated, ready to be recorded."""

    kind: str
    """Kind of entity: ``data``, ``model``, ``report``, ``proof``."""

    digest: Digest
    role: str
    """What it is to the run: ``snapshot``, ``train``, ``model``, ``report``."""

    name: str | None = None
    """Name that gets a new version; None for what needs none."""

    content: Digest | None = None
    """Digest of the logical content, when the kind has one."""

    parts: tuple[Part, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    document: bytes | None = None
    """Bytes of the manifest whose digest names the product, when no output of the job holds them."""


def enforcement_document(enforcement: Enforcement) -> dict[str, Any]:
    """What is stored about the walls around a run."""
    return {
        "engine": enforcement.engine,
        "version": enforcement.version,
        "kernel": enforcement.kernel,
        "walls": enforcement.walls(),
        "canaries": str(enforcement.canaries),
        "uid": enforcement.uid,
        "supervisor": enforcement.supervisor,
        "complete": enforcement.complete,
    }
