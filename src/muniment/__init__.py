"""Muniment: train, validate, approve, serve and monitor models, and prove afterwards what happened.

``connect`` is for notebooks and programs outside; ``log`` is for scripts that run as a job. Both are imported when they
are first asked for, so that this file stays small: it goes into the sandbox too, where the platform does not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from muniment.kernel.release import VERSION

if TYPE_CHECKING:
    from muniment.connecting import connect as connect
    from muniment.programs.tracking import log as log


__version__ = VERSION

_FROM = {"connect": "muniment.connecting", "log": "muniment.programs.tracking"}


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module 'muniment' has no attribute {name!r}")
    return getattr(import_module(_FROM[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_FROM})
