"""Two models side by side on the same rows: what a reproduction that differs comes to."""

from __future__ import annotations

from typing import Any, Final

from muniment.catalog.model import EntityKind
from muniment.catalog.naming import label, resolve
from muniment.catalog.ports import Entities
from muniment.catalog.resources import MODEL
from muniment.errors import Invalid
from muniment.execution.model import JobSpec, ResolvedJob
from muniment.execution.submitting import making_of, submit
from muniment.kernel.verb import Call, verb
from muniment.wire import execution as wire


@verb(
    "execution:CompareModels",
    on=MODEL,
    request=wire.CompareModels,
    reply=wire.Started,
    event="comparison.requested",
    group="run:reproduce",
)
def compare_models(call: Call, request: wire.CompareModels) -> wire.Started:
    """Compare two models hermetically, score by score: identical, equivalent within the bounds, or different."""
    session, project = call.session, call.project
    model = resolve(session, project, request.model, EntityKind.MODEL)
    other = resolve(session, project, request.other, None if request.other.startswith("sha256:") else EntityKind.MODEL)
    if other.kind is not EntityKind.MODEL:
        raise Invalid("MUNI-X146", "a model is compared with a model", given=request.other[:200], kind=other.kind)
    making = making_of(call, model)
    if request.data is not None:
        probe = resolve(session, project, request.data, EntityKind.DATA)
    else:
        inputs = ResolvedJob.parse(making.job).inputs
        known = call.use(Entities).find(project, inputs.values())
        tables = [digest for _, digest in sorted(inputs.items()) if known[digest].kind is EntityKind.DATA]
        if not tables:
            raise Invalid(
                "MUNI-X147",
                "the model was made of no data set that could serve as rows to compare on",
                model=request.model[:200],
                do="name one: --data REF",
            )
        probe = known[tables[0]]
    params: dict[str, Any] = {"max_difference": request.max_difference, "max_ulp": request.max_ulp}
    if isinstance(target := probe.facts.get("target"), str):
        params["target"] = target
    spec = JobSpec(
        kind="compare",
        program="muniment.programs.compare",
        label=f"{label(session, project, model.digest)} with {label(session, project, other.digest)}",
        inputs={"a": str(model.digest), "b": str(other.digest), "data": str(probe.digest)},
        params=params,
        env=str(ResolvedJob.parse(making.job).env),
    )
    return submit(call, spec)


VERBS: Final = (compare_models,)
