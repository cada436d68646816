"""The two kinds of resource that every room may act on: the installation and a project."""

from __future__ import annotations

from typing import Final, Protocol

from muniment.errors import NotFound
from muniment.kernel.ports import Session
from muniment.kernel.verb import Resource, ResourceKind

PLATFORM: Final = "platform"
"""The project whose key seals what belongs to the whole installation, such as the wheels of job environments."""


class ProjectDirectory(Protocol):
    """Knows which projects exist."""

    def has_project(self, name: str) -> bool:
        """Whether a project of this name exists."""


def locate_installation(session: Session, project: str | None, reference: str) -> Resource:
    """The installation itself; there is always one."""
    return Resource("Installation", "muniment", None)


def locate_project(session: Session, project: str | None, reference: str) -> Resource:
    """The project that the request names."""
    if project is None or not session.use(ProjectDirectory).has_project(project):
        raise NotFound("MUNI-K201", f"there is no project {str(project)[:80]!r}", project=str(project)[:200])
    return Resource("Project", project, project)


INSTALLATION: Final = ResourceKind("Installation", "", None, locate_installation, in_project=False)
PROJECT: Final = ResourceKind("Project", "projects", None, locate_project)
