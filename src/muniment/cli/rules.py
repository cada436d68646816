"""The options by which a job is watched by training rules, and how what they came to is shown."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.text import Text

from muniment.cli.screen import Screen
from muniment.errors import Invalid
from muniment.sdk.shown import visible
from muniment.wire.execution import Watching

__all__ = ["rule_options", "rule_rows", "rules_told", "watching_from"]

F = TypeVar("F", bound=Callable[..., Any])
_MOST_BYTES = 1 << 20


def rule_options(default: str) -> Callable[[F], F]:
    """``--rules``, ``--rule``, ``--rule-config`` and ``--stop-on`` for a command."""
    options = (
        click.option(
            "--rules",
            default=default,
            show_default=True,
            metavar="NAMES",
            help="Training rules: default, all, none, or names with commas.",
        ),
        click.option(
            "--rule",
            "own",
            multiple=True,
            metavar="FILE.py:FUNCTION",
            help="A rule of your own in the source tree, or one more by name; repeatable.",
        ),
        click.option(
            "--rule-config",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            metavar="FILE",
            help="Settings by rule, JSON or TOML.",
        ),
        click.option("--stop-on", multiple=True, metavar="RULE", help="Stop the job when this rule fires; repeatable."),
    )

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def watching_from(rules: str, own: Sequence[str], config: Path | None, stop_on: Sequence[str]) -> Watching:
    """What these options ask for.

    Raises:
        Invalid: the file of settings is neither JSON nor TOML, or holds no tables by rule.
    """
    named = [name.strip() for name in rules.split(",") if name.strip()]
    if "none" in named:
        named = ["none"]
    return Watching(rules=[*named, *own], settings=_settings(config), stop_on=list(stop_on))


def _settings(path: Path | None) -> dict[str, dict[str, Any]]:
    if path is None:
        return {}
    content = path.read_bytes()[: _MOST_BYTES + 1]
    try:
        if len(content) > _MOST_BYTES:
            raise ValueError("larger than 1 MiB")
        text = content.decode()
        found = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
        if not isinstance(found, dict) or not all(isinstance(value, dict) for value in found.values()):
            raise ValueError("no settings by rule")
    except (ValueError, RecursionError) as broken:
        raise Invalid(
            "MUNI-A157",
            f"the settings of rules in {path.name[:80]!r} are not readable: {str(broken)[:120]}",
            path=str(path),
            do='write settings by rule, such as {"Overfit": {"patience": 3}}',
        ) from broken
    return found


def rule_rows(rules: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """What each rule came to, those that fired first."""
    return [
        [str(one["rule"]), _state(one), "" if one["step"] is None else str(one["step"]), _said(one), str(one["grade"])]
        for one in sorted(rules, key=lambda one: not one["fired"])
    ]


def rules_told(screen: Screen, rules: Sequence[Mapping[str, Any]]) -> None:
    """A table of what each rule came to; nothing where none looked."""
    if rules:
        screen.line()
        colours = {"fired": "yellow", "stopped": "red", "quiet": "green"}
        rows: list[list[Any]] = [
            [row[0], Text(row[1], style=colours.get(row[1].split(",")[0], "dim")), *row[2:]] for row in rule_rows(rules)
        ]
        columns = ["rule", "came to", "step", "because", "grade"]
        screen.table(columns, rows, wrap=["because"], spare=["grade", "step"])


def _state(one: Mapping[str, Any]) -> str:
    if one["fired"]:
        word = "stopped the job" if one["stopped"] else "fired"
        return f"{word}, acknowledged" if one.get("settings", {}).get("acknowledge") else word
    return str(one["state"])


def _said(one: Mapping[str, Any]) -> str:
    known = one.get("settings", {}).get("acknowledge")
    return visible(f"{one['message']}; acknowledged: {known}" if one["fired"] and known else str(one["message"]))
