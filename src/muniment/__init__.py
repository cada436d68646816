"""Muniment: train, validate, approve, serve and monitor models, and prove afterwards what happened.

``connect`` is for notebooks and programs outside; ``log`` is for scripts that run as a job. Both are imported when they
are first asked for, so that this file stays small: it goes into the sandbox too, where the platform does not.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from muniment.kernel.release import VERSION

if TYPE_CHECKING:
    from muniment.connecting import connect as connect
    from muniment.programs.debugging import emit as emit
    from muniment.programs.debugging import log_predictions as log_predictions
    from muniment.programs.debugging import log_tensor as log_tensor
    from muniment.programs.networks import watch as watch
    from muniment.programs.reporting import log_artifact as log_artifact
    from muniment.programs.reporting import log_figure as log_figure
    from muniment.programs.reporting import log_input as log_input
    from muniment.programs.reporting import log_metric as log_metric
    from muniment.programs.reporting import log_metrics as log_metrics
    from muniment.programs.reporting import log_param as log_param
    from muniment.programs.reporting import log_params as log_params
    from muniment.programs.reporting import set_tag as set_tag
    from muniment.programs.reporting import set_tags as set_tags
    from muniment.programs.reporting import track as track
    from muniment.programs.tracking import log as log


__version__ = VERSION

_FROM = {"connect": "muniment.connecting", "log": "muniment.programs.tracking"}
_FROM["load_ipython_extension"] = "muniment.connecting"
_FROM |= dict.fromkeys(("emit", "log_predictions", "log_tensor"), "muniment.programs.debugging")
_FROM["watch"] = "muniment.programs.networks"

_TOLD = ("log_artifact", "log_figure", "log_input", "log_metric", "log_metrics", "log_param", "log_params")
_FROM |= dict.fromkeys((*_TOLD, "set_tag", "set_tags"), "muniment.programs.reporting")
# Inside a job a tracked run is the job's own; outside, somebody must be asked for one.
_FROM["track"] = "muniment.programs.reporting" if "MUNIMENT_METRICS_FD" in os.environ else "muniment.connecting"


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module 'muniment' has no attribute {name!r}")
    return getattr(import_module(_FROM[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_FROM})
