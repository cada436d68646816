"""``muni doctor``: what this machine can enforce, and whether the platform in the home folder is well."""

from __future__ import annotations

import platform as machine
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from muniment.adapters.sandbox.workshop import cache_folder
from muniment.bootstrap import Platform, open_platform
from muniment.cli.face import Command, Face, with_face
from muniment.cli.screen import Screen
from muniment.connecting import home_folder, profile_names
from muniment.errors import MunimentError, Unavailable
from muniment.sdk.shown import size

_LEAST_FREE = 1 << 30
"""Bytes free on the disk below which a person should know."""


@click.command(cls=Command)
@with_face
def doctor(face: Face) -> None:
    """Check what this machine can enforce, and the platform's health; exit code 1 when something is wrong.

    Walls are judged by canaries that ran, not by flags that were set.
    """
    home = home_folder(face.home)
    checks = [_python(), _room(home), *_installation(home)]
    broken = [check for check in checks if check["state"] == "wrong"]
    if broken:
        raise Unavailable(
            "MUNI-A509",
            f"{len(broken)} of {len(checks)} checks found something wrong",
            wrong=[f"{check['check']}: {check['found']}" for check in broken],
            fine=[f"{check['check']}: {check['found']}" for check in checks if check not in broken],
            do=next((check["do"] for check in broken if check["do"]), "see docs/how-to/"),
        )

    def draw(screen: Screen) -> None:
        marks = {"fine": screen.mark("✓", "+"), "note": "!"}
        screen.table(
            ["", "check", "found"], [[marks[c["state"]], c["check"], c["found"]] for c in checks], wrap=["found"]
        )
        for check in checks:
            if check["do"]:
                screen.line(f"  {check['check']}: {check['do']}", style="yellow")

    face.answer({"home": str(home), "checks": checks}, draw)


def _check(name: str, found: str, state: str = "fine", do: str = "") -> dict[str, Any]:
    return {"check": name, "state": state, "found": found, "do": do}


def _python() -> dict[str, Any]:
    return _check("python", f"{machine.python_version()} on {machine.system()} {machine.release()} {machine.machine()}")


def _room(home: Path) -> dict[str, Any]:
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    low = free < _LEAST_FREE
    return _check("disk", f"{size(free)} free at {there}", "wrong" if low else "fine", "make room" if low else "")


def _installation(home: Path) -> list[dict[str, Any]]:
    try:
        platform = open_platform(home)
    except MunimentError as trouble:
        return [_check("installation", f"{trouble.code}: {trouble.message}", "wrong", str(trouble.facts.get("do", "")))]
    try:
        return [
            _check("installation", f"{home}, profiles {', '.join(profile_names(home)) or 'none'}"),
            _check("database", platform.store.engine.dialect.name),
            _engine(platform),
            _cache(),
        ]
    finally:
        platform.close()


def _engine(platform: Platform) -> dict[str, Any]:
    try:
        seen = platform.engine().probe()
    except MunimentError as trouble:
        return _check("walls", f"{trouble.code}: {trouble.message}", "wrong", str(trouble.facts.get("do", "")))
    weak = [name for name, strength in seen.walls().items() if strength != "enforced"]
    found = f"{seen.engine} {seen.version}: canaries passed" + (
        f"; not fully enforced: {', '.join(weak)}" if weak else ""
    )
    if not seen.complete:
        return _check("walls", found, "note", "lineage of runs here is only declared")
    return _check("walls", found, "note" if weak else "fine")


def _cache() -> dict[str, Any]:
    folder = cache_folder()
    return _check("job environments", f"trees under {folder}, Python {sys.version_info.major}.{sys.version_info.minor}")
