"""Names for runs whose client gives none, as MLflow's server makes them up: easy to say and to tell apart."""

from __future__ import annotations

import secrets
from typing import Final

__all__ = ["made_up"]

_HOW: Final = (
    *("able", "amber", "bold", "brave", "brisk", "calm", "clear", "clever", "cool", "eager", "early", "fair"),
    *("fresh", "gentle", "glad", "grand", "keen", "kind", "lively", "lucky", "mellow", "merry", "mild", "neat"),
    *("noble", "plain", "proud", "quick", "quiet", "ready", "sharp", "steady", "sunny", "swift", "warm", "wise"),
)
_WHO: Final = (
    *("badger", "bear", "beaver", "bee", "bison", "condor", "crab", "crane", "crow", "deer", "dove", "eagle"),
    *("elk", "falcon", "finch", "fox", "frog", "goose", "hare", "hawk", "heron", "ibis", "jay", "kite"),
    *("lark", "lynx", "mole", "newt", "otter", "owl", "raven", "robin", "seal", "stork", "swan", "wren"),
)


def made_up() -> str:
    """A name such as ``calm-heron-412``; one of more than a million."""
    return f"{secrets.choice(_HOW)}-{secrets.choice(_WHO)}-{secrets.randbelow(1000)}"
