"""What jobs run on, as the supervisor sees it: the processor can change bits that nothing in a plan names."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any, Final

_ASKED_FOR: Final = ("sse", "ssse", "avx", "fma", "bmi", "amx", "f16c", "asimd", "sve", "fphp")
"""Beginnings of the flags by which numerical libraries choose their code."""


@cache
def seen_machine() -> dict[str, Any]:
    """The processor, its flags that numerical libraries ask for, and how many processors there are."""
    facts: dict[str, Any] = {"processor": None, "flags": [], "cpus": len(os.sched_getaffinity(0))}
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return facts
    for line in lines:
        key, _, value = (part.strip() for part in line.partition(":"))
        if key in ("model name", "CPU part") and facts["processor"] is None:
            facts["processor"] = value[:120]
        if key in ("flags", "Features") and not facts["flags"]:
            facts["flags"] = sorted(flag for flag in value.split() if flag.startswith(_ASKED_FOR))
    return facts
