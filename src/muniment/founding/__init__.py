"""How an installation comes to be, whole or not at all: founded anew, upgraded, or restored from an export."""

from __future__ import annotations

from muniment.founding.drilling import Drilled, exercise
from muniment.founding.initialising import TEAM, Initialised, initialise
from muniment.founding.restoring import Restored, Watch, restore
from muniment.founding.upgrading import Upgraded, upgrade

__all__ = [
    "TEAM",
    "Drilled",
    "Initialised",
    "Restored",
    "Upgraded",
    "Watch",
    "exercise",
    "initialise",
    "restore",
    "upgrade",
]
