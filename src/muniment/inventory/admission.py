"""A job outside its use case is refused before it enters the queue, with what the use case says."""

from __future__ import annotations

from collections.abc import Iterator

from muniment.errors import Denied
from muniment.execution.admission import Frame, Learning
from muniment.identity.stages import check_by_hand
from muniment.inventory.usecases import UseCase, bound_to, living_use_case
from muniment.kernel.verb import Call

__all__ = ["UseCaseAdmission"]


class UseCaseAdmission:
    """Admits learning jobs by the use cases of their project."""

    def admit(self, call: Call, job: Learning) -> Frame | None:
        """The use case of a job, which it keeps to; nothing learns in a production project."""
        check_by_hand(call, "run as a script" if job.algorithm == "script" else "trained")
        bound = bound_to(call.session, call.project, job.experiment) if job.experiment else None
        named = job.use_case or bound
        if named is None:
            return None
        found = living_use_case(call.session, call.project, named)
        reasons = [*_reasons(found, job)]
        if bound is not None and job.use_case not in (None, bound):
            reasons.append(f"the experiment {job.experiment} is bound to the use case {bound}")
        if reasons:
            raise Denied(
                "MUNI-M410",
                f"this job is outside of its use case {found}",
                use_case=str(found),
                record=str(found.record.digest),
                because=reasons,
                do=f"muni usecase show {found.name}; who answers for it can state a new version",
            )
        frame = Frame(found.name, found.version, found.record.digest)
        call.note(use_case=str(found), use_case_record=str(frame.record))
        return frame


def _reasons(found: UseCase, job: Learning) -> Iterator[str]:
    body = found.record.body
    allowed = body["allowed_algorithms"]
    if allowed and job.algorithm not in allowed:
        yield f"{job.algorithm} is not among its algorithms: {', '.join(allowed)}"
    prohibited = {str(name).strip().casefold() for name in body["prohibited_attributes"]}
    for reference, columns in sorted(job.columns.items()) if prohibited else ():
        if columns is None:
            yield f"the columns of {reference} are not known, so it may hold what must not be learnt from"
        elif hit := sorted(column for column in columns if column.strip().casefold() in prohibited):
            yield f"{reference} would let it learn from what is prohibited: {', '.join(hit)}"
