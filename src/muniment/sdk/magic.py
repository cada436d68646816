"""``%load_ext muniment`` gives a notebook the magic ``%%job``: a cell as a hermetic job."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Callable
from typing import Any, Final, NoReturn

from muniment.errors import Invalid
from muniment.sdk.client import Client
from muniment.sdk.marked import cell_job
from muniment.sdk.runs import Run

__all__ = ["register"]

_OPTIONS: Final = ("experiment", "trial", "name", "env", "use_case", "purpose")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _unreadable(message)


def register(shell: Any, connect: Callable[[], Client]) -> None:
    """Give a notebook the magic.

    Args:
        shell: the interactive shell of IPython.
        connect: makes a client where the notebook holds none.
    """

    def job(line: str, cell: str) -> Run:
        """Run this cell as a hermetic job: ``%%job --input train=data:credit/train --experiment E --param depth=5``."""
        given = _parser().parse_args(shlex.split(line))
        known = shell.user_ns
        client = next((one for one in known.values() if isinstance(one, Client)), None) or connect()
        about: dict[str, Any] = {name: value for name in _OPTIONS if (value := getattr(given, name)) is not None}
        about |= {"inputs": dict(_pair(one) for one in given.input), "seed": given.seed, "fresh": given.fresh}
        about["params"] = {name: _value(text) for name, text in map(_pair, given.param)}
        return cell_job(client, cell, known, about).wait().checked()

    shell.register_magic_function(job, magic_kind="cell", magic_name="job")


def _parser() -> _Parser:
    parser = _Parser(prog="%%job", add_help=False)
    parser.add_argument("--input", action="append", default=[])
    parser.add_argument("--param", action="append", default=[])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", action="store_true")
    for name in _OPTIONS:
        parser.add_argument(f"--{name.replace('_', '-')}")
    return parser


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise _unreadable(f"{text!r} is no NAME=VALUE")
    return name, value


def _unreadable(why: str) -> Invalid:
    return Invalid("MUNI-A139", f"%%job: {why}", do="%%job --input train=data:NAME --experiment NAME")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
