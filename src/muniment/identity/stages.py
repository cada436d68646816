"""What a project is for: models are made in development, tried in test, used in production. Stages only get stricter.

The stage of a project is what it was set to at its strictest; each change is a row of its own, with its author and the
reason, and an entry of the ledger. In production the only way in is promotion: ``check_by_hand`` is asked by whatever
would bring something in otherwise.
"""

from __future__ import annotations

from typing import Final

from muniment.errors import Conflict, Invalid, NotFound
from muniment.identity.model import Project, Stage, StageChange
from muniment.identity.ports import Projects
from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import INSTALLATION, PLATFORM
from muniment.kernel.verb import Call, verb
from muniment.wire import identity as wire

__all__ = ["VERBS", "check_by_hand", "project_view", "stage_named"]

_LONGEST: Final = 2000


@verb(
    "identity:SetStage",
    on=INSTALLATION,
    request=wire.SetStage,
    reply=wire.Project,
    event="project.stage_set",
    group="identity:manage",
)
def set_stage(call: Call, request: wire.SetStage) -> wire.Project:
    """Let a project be of a stricter stage from now on, with a reason; there is no way back."""
    projects, stage, reason = call.use(Projects), stage_named(request.stage), request.reason.strip()
    if request.name == PLATFORM or not projects.has_project(request.name):
        raise NotFound("MUNI-I210", f"there is no project {request.name[:80]!r}", name=request.name[:200])
    if not 1 <= len(reason) <= _LONGEST:
        raise Invalid("MUNI-I121", f"a stage is set for a reason of at most {_LONGEST:,} characters", field="reason")
    present = projects.stage(request.name)
    if stage.strictness <= present.strictness:
        raise Conflict(
            "MUNI-I313",
            f"the project is {present} already, and a stage only becomes stricter",
            name=request.name,
            stage=present.value,
            asked=stage.value,
            do="open another project for the other stage",
        )
    projects.come_to(StageChange(call.new_id(), request.name, stage, call.now, call.principal.id, reason))
    call.note(project=request.name, stage=stage.value, former=present.value)
    return next(project_view(project) for project in projects.all() if project.name == request.name)


def stage_named(text: str) -> Stage:
    """The stage of this name.

    Raises:
        Invalid: there is none.
    """
    try:
        return Stage(text)
    except ValueError:
        stages = [stage.value for stage in Stage]
        raise Invalid("MUNI-I120", f"{text[:40]!r} is no stage of a project", given=text[:80], stages=stages) from None


def check_by_hand(call: Call, what: str) -> None:
    """Refuse what brings something into a production project otherwise than by promotion.

    Args:
        call: the request.
        what: what would happen, such as ``trained``.

    Raises:
        Conflict: the project is in production.
    """
    if call.use(Projects).stage(call.project) is Stage.PRODUCTION:
        raise Conflict(
            "MUNI-I314",
            f"nothing is {what} by hand in a production project",
            project=call.project,
            stage=Stage.PRODUCTION.value,
            do="do it in another project, then: muni model promote MODEL --from PROJECT",
        )


def project_view(project: Project) -> wire.Project:
    """A project as replies show it."""
    return wire.Project(
        name=project.name,
        created_at=format_time(project.created_at),
        created_by=project.created_by,
        stage=project.stage.value,
    )


VERBS: Final = (set_stage,)
