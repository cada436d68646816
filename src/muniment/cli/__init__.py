"""The command line ``muni``: one file per command, each imported only when it is used."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import click

from muniment import __version__, errors
from muniment.cli.face import COMMON, Face, Group

__all__ = ["COMMANDS", "main", "muni"]

COMMANDS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "Start": {
        "init": ("init:init", "Create a platform in the home folder."),
        "demo": ("demo:demo", "Play the whole story on a credit file."),
        "up": ("up:up", "Serve the HTTP API and work the queue of jobs."),
        "doctor": ("doctor:doctor", "Check this machine's walls and the platform's health."),
        "login": ("login:login", "Sign in and keep a token as a profile."),
        "whoami": ("login:whoami", "Show who the platform takes you for."),
    },
    "Data and features": {
        "data": ("data:data", "Data sets: add, split, quality, overlap, diff, grant, hold, erase."),
        "feature": ("feature:feature", "Features: define, build, join as known then, read online."),
    },
    "Models": {
        "train": ("train:train", "Train a built-in algorithm, hermetically."),
        "tune": ("tune:tune", "Search for the parameters of an algorithm."),
        "run": ("run:run", "Run a script of yours unchanged, hermetically."),
        "evaluate": ("evaluate:evaluate", "Measure a model on a data set."),
        "explain": ("explain:explain", "What each feature contributes to a model."),
        "model": ("model:model", "Models: list, show, register, submit, review, approve."),
        "env": ("env:env", "Job environments: build, list, show, sbom, licences, index."),
    },
    "Find": {
        "search": ("search:search", "Find runs, data, models and everything else by one query."),
        "runs": ("runs:runs", "Runs: list, show, logs, watch, compare, metrics, artifacts."),
        "experiment": ("experiment:experiment", "Experiments: their trials, and the best of them."),
        "lineage": ("lineage:lineage", "Where a thing comes from, or what was made of it."),
        "trace": ("lineage:trace", "The whole way of a thing back to its sources, on one page."),
    },
    "Prove": {
        "prove-unused": ("prove:prove_unused", "Whether a data set was used to make a model, with proof."),
        "reproduce": ("prove:reproduce", "Make a model again from its record alone, and compare."),
        "report": ("report:report", "What the records answer a supervisor about a model."),
        "evidence": ("evidence:evidence", "Hand out everything that bears a model out, as one file."),
        "verify": ("verify:verify", "Check a pack or a ledger export; needs no installation."),
        "audit": ("audit:audit", "The ledger: tail, search, show, export, verify."),
        "witness": ("witness:witness", "Witnesses: somebody outside cosigns the ledger."),
    },
    "Govern": {
        "usecase": ("usecase:usecase", "What models may be used for: add, list, show, bind."),
        "inventory": ("assets:inventory", "The register of assets: export."),
        "board": ("board:board", "The inventory at a glance."),
        "gate": ("gate:gate", "What must hold of a model: set, show, check, facts."),
        "risk": ("risk:risk", "What can go wrong, tied to tests: add, list, show, retire."),
        "instructions": ("instructions:instructions", "Instructions for use: show, acknowledge."),
        "governance": ("governance:governance", "The board's appetite and reports: state, lay, show."),
        "finding": ("finding:finding", "What is not as it should be: open, list, show, close."),
        "challenge": ("challenge:challenge", "Questions about a model: show, add, reply."),
        "review": ("review:review", "When models are looked at again: list, schedule, done."),
        "change": ("change:change", "What differs between two versions: show, decide."),
        "catalogue": ("catalogue:catalogue", "Control catalogues: list, show, add."),
    },
    "People and rules": {
        "user": ("user:user", "People."),
        "group": ("user:group", "Groups of people."),
        "role": ("user:role", "Who may do what."),
        "token": ("user:token", "API tokens."),
        "project": ("user:project", "Projects."),
        "policy": ("policy:policy", "Policies: test, explain, show, publish."),
        "profile": ("login:profile", "Profiles on this machine: whose token a command uses."),
    },
    "Operate": {
        "upgrade": ("upgrade:upgrade", "Bring the database of an older release up to date."),
        "key": ("keys:key", "Keys: list, rotate."),
        "fsck": ("keys:fsck", "Check that every sealed object is there and opens."),
        "export": ("exporting:export", "Take everything out, readable without the platform."),
        "import": ("importing:import_", "Bring in an export, or a store of MLflow."),
        "completion": ("completion:completion", "Print the completion script of a shell."),
    },
}
"""The commands by section: where each lives, and its first line of help, so that ``--help`` imports none of them."""


_NAME: Final = max(len(name) for section in COMMANDS.values() for name in section)
"""Width of a name, so that the sections stand in one column."""


class Muni(Group):
    """The root: finds commands by name, and turns every way out into an exit code and one document."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, section by section."""
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one command that is used."""
        for section in COMMANDS.values():
            if cmd_name in section:
                module, _, attribute = section[cmd_name][0].partition(":")
                command: click.Command = getattr(import_module(f"muniment.cli.{module}"), attribute)
                return command
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section, without importing them."""
        for title, section in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:{_NAME}}", line) for name, (_, line) in section.items()])

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Every invocation has a Face of its own; tests pass theirs as ``obj``."""
        extra.setdefault("obj", Face())
        return super().make_context(info_name, args, parent, **extra)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line; in stand-alone mode exits 0, 1 refused or failed, 2 usage, 130 interrupted.

        A document is printed once the platform is closed: closing signs the ledger, and what fails there is the answer.
        """
        given = list(sys.argv[1:] if args is None else args)
        if not standalone_mode:
            return super().main(given, prog_name or "muni", complete_var, standalone_mode=False, **extra)
        as_json = "--json" in given[: given.index("--")] if "--" in given else "--json" in given
        face = extra.setdefault("obj", Face())
        try:
            code = super().main(given, prog_name or "muni", complete_var, standalone_mode=False, **extra)
            face.print_document()
        except click.UsageError as usage:
            code = _usage(usage, as_json)
        except errors.MunimentError as error:
            code = _failed(error, as_json)
        except (KeyboardInterrupt, click.Abort):
            code = 130
            if as_json:
                _print(errors.MunimentError("MUNI-A505", "interrupted").document())
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 1
        except OSError as trouble:
            code = _failed(_from_os(trouble), as_json)
        except Exception as bug:
            if os.environ.get("MUNI_DEBUG"):
                raise
            code = _failed(_from_bug(bug), as_json)
        sys.exit(code if isinstance(code, int) else 0)


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"muni {__version__}")
        ctx.exit()


@click.command(
    "muni",
    cls=Muni,
    params=[
        *COMMON(hidden=False),
        click.Option(
            ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version."
        ),
    ],
    context_settings={"max_content_width": 110},
    epilog="First steps: muni init, then muni demo.  Everything is recorded; muni audit tail shows it.",
)
def muni() -> None:
    """Train, validate and approve models, and prove afterwards what happened.

    Every command takes --json: then exactly one JSON document is printed, and progress goes to stderr.
    Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
    """


def main() -> None:
    """The entry point of the command ``muni``."""
    muni.main()


def _usage(usage: click.UsageError, as_json: bool) -> int:
    if isinstance(usage, click.exceptions.NoArgsIsHelpError):
        click.echo(usage.format_message(), err=True)
    elif as_json:
        facts = {"usage": usage.ctx.get_usage()} if usage.ctx else {}
        _print(errors.Invalid("MUNI-A108", usage.format_message(), **facts).document())
    else:
        usage.show()
    return 2


def _failed(error: errors.MunimentError, as_json: bool) -> int:
    if as_json:
        _print(error.document())
    else:
        import_module("muniment.cli.screen").show_error(error)
    return 1


def _from_os(trouble: OSError) -> errors.MunimentError:
    what = trouble.strerror or type(trouble).__name__
    return errors.Invalid("MUNI-A105", f"{what}: {trouble.filename}" if trouble.filename else what)


def _from_bug(bug: Exception) -> errors.MunimentError:
    kind = type(bug).__name__
    do = "this is a defect of the command line; MUNI_DEBUG=1 shows where"
    return errors.MunimentError("MUNI-A500", f"unexpected failure: {kind}: {bug}", kind=kind, do=do)


def _print(document: dict[str, Any]) -> None:
    click.echo(json.dumps(document, indent=2, default=str))
