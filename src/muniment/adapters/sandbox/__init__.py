"""Engines that run jobs behind walls, and the choice between them.

``choose_engine`` gives the strongest engine whose canaries passed; ``diagnose`` says what works here, what does not,
and the fix. The base root that jobs stand on comes from ``seal_base``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from muniment.adapters.sandbox.base import INTERPRETER, SealedBase, digest_tree, seal_base
from muniment.adapters.sandbox.bwrap import Bubblewrap, Walls
from muniment.adapters.sandbox.cgroups import sweep_groups
from muniment.adapters.sandbox.folder import Landlock, NoWalls, sweep_folders
from muniment.errors import MunimentError, Unavailable
from muniment.execution.ports import WALLS, Enforcement, Engine, Strength

__all__ = [
    "INTERPRETER",
    "Bubblewrap",
    "Diagnosis",
    "Landlock",
    "NoWalls",
    "Require",
    "SealedBase",
    "choose_engine",
    "diagnose",
    "digest_tree",
    "seal_base",
]

_KNOWN: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "setting up uid map: Permission denied",
        "the system forbids unprivileged user namespaces (AppArmor, Ubuntu from 23.10 on)",
        "allow bubblewrap by a profile: profile bwrap /usr/bin/bwrap flags=(unconfined) { userns, }",
    ),
    (
        "loopback: Failed RTM_NEWADDR",
        "the system restricts what user namespaces may do (AppArmor, Ubuntu from 23.10 on)",
        "allow bubblewrap by a profile: profile bwrap /usr/bin/bwrap flags=(unconfined) { userns, }",
    ),
    (
        "Creating new namespace failed",
        "user namespaces are off",
        "sysctl -w user.max_user_namespaces=10000 (and kernel.unprivileged_userns_clone=1 where it exists)",
    ),
    (
        "No permissions to create new namespace",
        "user namespaces are off for this user",
        "sysctl -w kernel.unprivileged_userns_clone=1, or run the worker as root",
    ),
    (
        "Failed to make / slave",
        "a container without the right to mount",
        "start the container with --security-opt seccomp=unconfined --security-opt systempaths=unconfined",
    ),
    (
        "Can't mount proc on /newroot/proc",
        "a container with a masked /proc",
        "start the container with --security-opt systempaths=unconfined; until then jobs run without /proc",
    ),
    (
        "unshare: Operation not permitted",
        "root without the right to mount, in a container",
        "run the worker as an ordinary user, or give the container CAP_SYS_ADMIN",
    ),
)
"""What engines say when a machine forbids them: text, meaning, fix. Seen in containers/bubblewrap#632, #313, #700."""


class Require(StrEnum):
    """What an installation asks of its engine."""

    ENFORCED = "enforced"
    """Walls whose canaries passed; nothing runs without."""
    NONE = "none"
    """Where there are no walls run without; every run records it, and lineage from it is only declared."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What one engine can do on this machine."""

    engine: str
    works: bool
    """Whether jobs run and everything that lineage rests on is enforced."""
    cause: str
    """Empty when it works."""
    do: str
    """The fix; empty when it works or none is known."""
    enforcement: Enforcement | None


def choose_engine(require: Require, cache: Path) -> Engine:
    """The strongest engine that works here, after its canaries passed.

    Args:
        require: whether running without walls is acceptable where there are none.
        cache: folder for canary reports and the base root they run on.

    Raises:
        Unavailable: no engine enforces what is required; the facts name each cause and its fix.
    """
    sweep_groups()
    sweep_folders()
    found = []
    for engine, diagnosis in _tried(cache):
        if engine is not None and diagnosis.works:
            return engine
        found.append(diagnosis)
    if require is Require.NONE:
        return NoWalls()
    raise Unavailable(
        "MUNI-B517",
        "no engine can enforce the walls of a job on this machine",
        engines=[{"engine": one.engine, "cause": one.cause, "do": one.do} for one in found],
        do=next((one.do for one in found if one.do), "run muni doctor"),
    )


def diagnose(cache: Path) -> tuple[Diagnosis, ...]:
    """What every engine can do here, for people: the canaries run again where findings are old."""
    return tuple(diagnosis for _, diagnosis in _tried(cache))


def explain(said: str) -> tuple[str, str]:
    """What an engine's own words mean, and the fix; the words themselves when they are not known."""
    return next(((cause, fix) for text, cause, fix in _KNOWN if text in said), (said.strip()[-300:], ""))


def _tried(cache: Path) -> Iterator[tuple[Engine | None, Diagnosis]]:
    makers: tuple[tuple[str, Callable[[], Engine]], ...] = (
        ("bwrap", lambda: Bubblewrap(cache)),
        ("bwrap without /proc", lambda: Bubblewrap(cache, Walls(proc=False))),
        ("landlock", lambda: Landlock(cache)),
    )
    masked = False
    for name, make in makers:
        if name == "bwrap without /proc" and not masked:
            continue
        try:
            engine = make()
            enforcement = engine.probe()
        except MunimentError as broken:
            cause, fix = explain(
                " ".join(str(broken.facts.get(key, "")) for key in ("reason", "log")) or broken.message
            )
            fix = fix or str(broken.facts.get("do", ""))
            yield None, Diagnosis(name, False, cause or broken.message, fix, None)
            continue
        weak = [wall for wall in WALLS if getattr(enforcement, wall) is not Strength.ENFORCED]
        cause = "" if enforcement.complete else f"canaries reached past: {', '.join(weak)}"
        yield engine, Diagnosis(name, enforcement.complete, cause, "", enforcement)
