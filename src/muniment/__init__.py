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
    from muniment.programs.debugging import emit as emit
    from muniment.programs.debugging import log_predictions as log_predictions
    from muniment.programs.debugging import log_tensor as log_tensor
    from muniment.programs.tracking import log as log


__version__ = VERSION

_FROM = {"connect": "muniment.connecting", "log": "muniment.programs.tracking"}
_FROM |= dict.fromkeys(("emit", "log_predictions", "log_tensor"), "muniment.programs.debugging")


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module 'muniment' has no attribute {name!r}")
    return getattr(import_module(_FROM[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_FROM})
