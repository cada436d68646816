"""What all commands share: who asks, where, and how the answer is given: as one JSON document, or as a picture."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from muniment.cli.screen import Screen
    from muniment.sdk.client import Client
    from muniment.sdk.runs import Run

_SENTENCE = 400
"""Longer than any first sentence: help breaks lines, and cuts nothing."""

__all__ = ["COMMON", "Command", "Face", "Group", "pairs", "with_face"]


class Face:
    """One invocation of the command line: its common options, its client, its screen."""

    def __init__(self, connect: Callable[..., Client] | None = None) -> None:
        """``connect`` replaces the way to the platform in tests."""
        self.json = False
        self.home: str | None = None
        self.profile: str | None = None
        self.project: str | None = None
        self.url: str | None = None
        self._connect = connect
        self._client: Client | None = None
        self._document: Any = None

    @functools.cached_property
    def client(self) -> Client:
        """The platform, opened on first use; closed when the command ends, where there is one."""
        connect = self._connect or import_module("muniment.connecting").connect
        client: Client = connect(self.url, self.profile, self.project, home=self.home)
        context = click.get_current_context(silent=True)
        if context is not None:
            context.find_root().call_on_close(client.close)
        return client

    @functools.cached_property
    def screen(self) -> Screen:
        """Where people read answers: stdout."""
        screen: Screen = import_module("muniment.cli.screen").Screen.on_stdout()
        return screen

    @functools.cached_property
    def notes(self) -> Screen:
        """Where people read progress and hints: stderr."""
        screen: Screen = import_module("muniment.cli.screen").Screen.on_stderr()
        return screen

    def answer(self, document: Any, picture: Callable[[Screen], None]) -> None:
        """Give the answer: the picture now, or in JSON mode the document when the command has ended well."""
        if self.json:
            self._document = import_module("msgspec").to_builtins(document, enc_hook=str)
        else:
            picture(self.screen)

    def print_document(self) -> None:
        """Print the one document of this invocation, if there is one."""
        if self._document is not None:
            click.echo(json.dumps(self._document, indent=2))

    def started(self, run: Run) -> None:
        """Answer that a run was accepted and goes on by itself."""
        document = {"run": run.reference, "status": run.status, "answered": run.answered}
        self.answer(document, lambda screen: screen.done(f"{run.reference} {run.status}"))
        if run.answered:
            self.notes.line("  answered from the record; --fresh runs it again", style="dim")
        elif not self.json:
            self.notes.line(f"  watch it  muni runs watch {run.reference}", style="dim")

    def wait(self, run: Run) -> Run:
        """Show a run until it has ended; then it is known to have ended well.

        Raises:
            MunimentError: the error that the job ended with.
        """
        if run.answered:
            self.notes.line(f"answered from the record by {run.reference}; --fresh runs it again", style="dim")
        with import_module("muniment.cli.watching").watching(self.notes, run) as watch:
            run.wait(watch)
        return run.checked()


def _kept(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        if value:
            setattr(ctx.find_object(Face), name, value)

    return keep


def COMMON(*, hidden: bool) -> list[click.Parameter]:  # noqa: N802
    """The options that every command takes, before or after its name."""
    return [
        click.Option(
            ["--json"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            hidden=hidden,
            callback=_kept("json"),
            help="Print one JSON document on stdout.",
        ),
        *(
            click.Option(
                [f"--{name}"], metavar=what, expose_value=False, hidden=hidden, callback=_kept(name), help=line
            )
            for name, what, line in (
                ("profile", "NAME", "Who asks; else MUNI_PROFILE, else scientist."),
                ("project", "NAME", "Which project; else MUNI_PROJECT, else the profile's."),
                ("home", "DIR", "Home folder; else MUNIMENT_HOME, else ~/.muniment."),
                ("url", "URL", "A server to ask; else MUNI_URL, else the profile's, else the home folder itself."),
            )
        ),
    ]


class _Everywhere(click.Command):
    """Takes the common options, and says so in one line of help."""

    def __init__(self, *args: Any, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self.context_settings.setdefault("help_option_names", ["-h", "--help"])
        known = {option for param in self.params for option in param.opts}
        self.params += [option for option in COMMON(hidden=True) if not known & set(option.opts)]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples or hints, then what every command takes."""
        if self.epilog:
            formatter.write_paragraph()
            for line in self.epilog.splitlines():
                formatter.write_text(line)
        if ctx.parent is not None:
            formatter.write_paragraph()
            formatter.write_text("Everywhere: --json --profile --project --home --url; see muni --help.")


class Command(_Everywhere):
    """A command of ``muni``."""


class Group(_Everywhere, click.Group):
    """A group of commands of ``muni``."""

    command_class = Command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each command with its first sentence, whole."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, one.get_short_help_str(_SENTENCE)) for name, one in found if one is not None and not one.hidden]
            )


def with_face(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command its Face as first argument."""
    return click.make_pass_decorator(Face)(function)


def pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """An option given as ``name=value``, any number of times, each name once."""
    found: dict[str, str] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE", ctx, param)
        if name in found:
            raise click.BadParameter(f"{name!r} is given twice", ctx, param)
        found[name] = value
    return found


def numbers(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, int]:
    """Like ``pairs``; every value is a whole number."""
    found = pairs(ctx, param, given)
    for name, text in found.items():
        if not text.isdecimal() or len(text) > 18:
            raise click.BadParameter(f"{name}={text[:40]} is no whole number", ctx, param)
    return {name: int(text) for name, text in found.items()}


def values(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    """Like ``pairs``; a value is read as JSON if it parses, else taken as text."""
    return {name: _value(text) for name, text in pairs(ctx, param, given).items()}


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=lambda name: name)
    except ValueError:
        return text
