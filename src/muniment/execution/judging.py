"""What a run came to, from what the sandbox's supervisor saw. Pure.

Everything that was written inside is a claim from a stranger: it is taken when it has the form that it should have, is
small enough to be kept, and can be written down exactly; else it is left out, or the run has failed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, Protocol

import msgspec

from muniment.catalog.model import EntityKind
from muniment.catalog.naming import check_entity_name
from muniment.errors import Invalid, MunimentError
from muniment.execution.model import (
    Outcome,
    Output,
    Part,
    Product,
    ResolvedJob,
    Run,
    RunStatus,
    enforcement_document,
)
from muniment.execution.watching import graded
from muniment.kernel.canonical import canonical
from muniment.kernel.digest import Digest
from muniment.programs.model_formats import refuse_code

FILES_FORMAT: Final = "muniment.files/1"
_MOST_FACTS: Final = 1 << 20
_MOST_ERROR: Final = 16 << 10
_MESSAGE: Final = 400

_ENDS: Final[Mapping[RunStatus, tuple[str, str, str]]] = {
    RunStatus.TIMEOUT: (
        "MUNI-X131",
        "the job ran longer than its limit and was stopped",
        "give more time: --limit wall_s=…",
    ),
    RunStatus.OOM: (
        "MUNI-X132",
        "the job wanted more memory than its limit and was stopped",
        "give more memory: --limit memory_mb=…",
    ),
    RunStatus.LIMIT: (
        "MUNI-X133",
        "the job went beyond a limit and was stopped",
        "raise the limit that the reason names",
    ),
    RunStatus.CANCELLED: ("MUNI-X134", "the job was cancelled", "submit it again"),
    RunStatus.STOPPED: ("MUNI-X145", "a training rule stopped the job", "see what fired: muni runs show RUN"),
    RunStatus.REFUSED: ("MUNI-X135", "the job was not started", "the reason says which wall or input failed"),
}
_FAILED: Final = ("MUNI-X136", "the job failed", "read what it printed: muni runs logs RUN")


class Interpreter(Protocol):
    """Says what the outputs of one kind of job are; one per kind, owned by the room that understands it."""

    def __call__(self, run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
        """The products of a run that ended well; raises Invalid when the outputs are not what the program promises."""


class Interpreters:
    """The interpreters by kind of job."""

    def __init__(self, by_kind: Mapping[str, Interpreter]) -> None:
        self._by_kind = dict(by_kind)

    def products(self, run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
        """What the run generated; a reproduction is read as the kind of job that it repeats."""
        return self._by_kind[job.kind](run, job, outcome)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a run came to."""

    status: RunStatus
    error: Mapping[str, Any] | None
    """``{code, message, facts}`` that explains a bad end."""

    products: tuple[Product, ...] = ()
    """Of a good end."""


def judge(interpreters: Interpreters, run: Run, job: ResolvedJob, outcome: Outcome) -> Judgement:
    """What a run came to."""
    status = RunStatus(outcome.exit.status.value)
    if status is RunStatus.CANCELLED and outcome.traces.stopped_by:
        status = RunStatus.STOPPED
    if status is not RunStatus.OK:
        return Judgement(status, _failure(outcome, status, job.kind))
    try:
        if outcome.exit.refused:
            raise Invalid(
                "MUNI-X141",
                "the job left something that is no result, and so nothing of it is taken",
                refused={one.path[:200]: one.reason for one in outcome.exit.refused[:20]},
                do="leave plain files with plain names, within the limits, and nothing else",
            )
        for output in outcome.outputs:
            if output.path.startswith("model/") or job.kind == "run":
                refuse_code(output.path, output.head, output.sealed.size, output.tail)
        products = interpreters.products(run, job, outcome)
        for product in products:
            _check_keepable(product)
    except MunimentError as refused:
        return Judgement(RunStatus.FAILED, refused.document())
    return Judgement(status, None, products)


def evidence(outcome: Outcome, error: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the platform saw of a run, as it is kept: its digest is the record that lineage and the ledger name."""
    end, traces = outcome.exit, outcome.traces
    usage = end.usage
    return {
        "exit": {"status": end.status.value, "code": end.exit_code, "signal": end.signal, "reason": end.reason},
        "usage": {
            "wall_s": round(usage.wall_s, 4),
            "cpu_s": round(usage.cpu_s, 4),
            "staging_s": round(usage.staging_s, 4),
            "max_rss_kb": usage.max_rss_kb,
            "memory_peak_kb": usage.memory_peak_kb,
            "output_bytes": usage.output_bytes,
        },
        "enforcement": enforcement_document(end.enforcement),
        **({"machine": dict(outcome.machine)} if outcome.machine else {}),
        "refused": [{"path": one.path, "reason": one.reason} for one in end.refused],
        "log": {"bytes": traces.log_bytes, "digest": str(traces.log), "truncated": end.log_truncated},
        "metrics": {"count": traces.metrics, "digest": str(traces.last_metrics)},
        **({"rules": [graded(one, complete=end.enforcement.complete) for one in traces.rules]} if traces.rules else {}),
        "error": error,
        "outputs": [
            {"path": one.path, "digest": str(one.sealed.digest), "size": one.sealed.size} for one in outcome.outputs
        ],
    }


def files_product(
    outputs: Iterable[Output], folder: str, *, kind: str, role: str, name: str | None, facts: Mapping[str, Any]
) -> Product | None:
    """One product made of all files below a folder; None when there are none.

    The manifest names each file by path and digest and nothing else, so equal files are one product whoever made them.
    """
    parts = tuple(
        Part(str(PurePosixPath(one.path).relative_to(folder)), one.sealed.digest, one.sealed.size)
        for one in sorted(outputs, key=lambda one: one.path)
        if one.path.startswith(f"{folder}/")
    )
    if not parts:
        return None
    manifest = canonical({"format": FILES_FORMAT, "files": [part.document() for part in parts]})
    return Product(
        kind=kind, digest=Digest.of(manifest), role=role, name=name, parts=parts, facts=facts, document=manifest
    )


def read_document(outcome: Outcome, path: str) -> dict[str, Any]:
    """A JSON document that a program must have written.

    Raises:
        Invalid: it is missing, too large or not a JSON object.
    """
    output = outcome.output(path)
    document = parse_object(output.document) if output is not None and output.document is not None else None
    if document is None:
        raise Invalid("MUNI-X137", f"the job did not leave a readable {path}", path=path)
    return document


def parse_object(content: bytes) -> dict[str, Any] | None:
    """The JSON object that these bytes from inside are; None when they are none."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def report_product(outcome: Outcome, role: str = "report", kind: str = "report") -> tuple[Product, ...]:
    """The program's report as a product of its own, when it wrote one."""
    report = outcome.output("output/data/report.json")
    if report is None:
        return ()
    part = Part("report.json", report.sealed.digest, report.sealed.size)
    return (Product(kind=kind, digest=part.digest, role=role, parts=(part,)),)


class _Left(msgspec.Struct):
    """The failure document as a program leaves it."""

    code: str
    message: str
    facts: dict[str, Any] = {}


def _failure(outcome: Outcome, status: RunStatus, kind: str) -> dict[str, Any]:
    """The error document of a bad end: the program's own when it left a readable one, else what the engine saw."""
    left = outcome.output("output/failure")
    if status is RunStatus.FAILED and left is not None and left.document is not None:
        own = _own_words(left.document, kind)
        if own is not None:
            return own
    code, message, do = _ENDS.get(status, _FAILED)
    end = outcome.exit
    facts = {"exit_code": end.exit_code, "signal": end.signal, "reason": end.reason, "do": do}
    if status is RunStatus.STOPPED:
        fired = next((one for one in outcome.traces.rules if one["stopped"]), None)
        facts |= {"rule": outcome.traces.stopped_by, "reason": "" if fired is None else fired["message"]}
    return {"code": code, "message": message, "facts": facts}


def _own_words(document: bytes, kind: str) -> dict[str, Any] | None:
    """What a program says of its failure; of a user's script only what the wrapper around it says."""
    try:
        left = msgspec.json.decode(document, type=_Left)
        facts = left.facts if len(canonical(left.facts)) <= _MOST_ERROR else {}
    except (msgspec.MsgspecError, UnicodeError, RecursionError, Invalid):
        return None
    ours = ("MUNI-D16", "MUNI-N107", "MUNI-N128", "MUNI-N129", "MUNI-N13") if kind == "run" else "MUNI-"
    if not left.code.startswith(ours) or len(left.code) != len("MUNI-D161"):
        return None
    return {"code": left.code, "message": left.message[:_MESSAGE], "facts": facts}


def _check_keepable(product: Product) -> None:
    """Refuse what could not be written into the record."""
    size = len(canonical({**product.facts, "files": [part.document() for part in product.parts]}))
    if size > _MOST_FACTS:
        raise Invalid("MUNI-X140", "what the job says about its result is too long", role=product.role, bytes=size)
    if product.name is not None:
        check_entity_name(EntityKind(product.kind), product.name)
