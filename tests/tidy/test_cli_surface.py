"""The command line as a whole: every command is there, explains itself, and speaks of verbs that exist."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click

from muniment.adapters.sandbox import Require
from muniment.bootstrap import VERBS
from muniment.cli import COMMANDS, muni
from muniment.kernel.verb import Effect, Verb
from muniment.wire.routes import reads
from walking import each

SOURCE = Path(__file__).resolve().parents[2] / "src" / "muniment"
PROMISED = {
    "init", "up", "demo", "doctor", "train", "run", "lineage", "prove-unused", "reproduce", "fsck", "evaluate",
    "data add", "data list", "data show", "data split", "data profile", "runs list", "runs show", "runs logs",
    "data overlap", "data diff",
    "runs cancel", "runs compare", "model list", "model show", "model fetch", "audit tail", "audit search",
    "audit show", "audit export", "audit verify", "policy test", "policy explain", "policy show", "policy publish",
    "user add", "user list", "group add", "group list", "token issue", "token list", "token revoke", "role grant",
    "role list", "role revoke", "project add", "project list", "key list", "key rotate", "env list", "env build",
    "report", "catalogue list", "catalogue show", "catalogue add",
    "env show", "completion", "whoami", "login", "profile list",
    "witness init", "witness trust", "witness serve", "witness show", "witness cosign", "witness add", "witness list",
    "witness remove", "witness submit", "witness request", "witness accept",
}  # fmt: skip


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name."""
    context = click.Context(muni)
    for name in muni.list_commands(context):
        command = muni.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            for inner in command.list_commands(context):
                found = command.get_command(context, inner)
                assert found is not None
                yield f"{name} {inner}", found


def test_everything_promised_is_there() -> None:
    """The fixed interface, which others script against, is complete."""
    assert {name for name, _ in commands()} >= PROMISED


def test_every_command_and_option_explains_itself() -> None:
    """Each command has a first line of help that is a sentence, each option a help text, each name is the table's."""
    for name, command in commands():
        assert command.name == name.rpartition(" ")[2], name
        assert (command.help or "").strip().splitlines()[0].rstrip().endswith((".", ",", ":")), name
        for param in command.params:
            if isinstance(param, click.Option):
                assert param.help, f"{name} {param.opts}"
                assert param.help.endswith("."), f"{name} {param.opts}"


def test_every_command_takes_the_common_options() -> None:
    """--json, --profile, --project, --home and --url are accepted after every command."""
    for name, command in commands():
        known = {option for param in command.params for option in param.opts}
        assert {"--json", "--profile", "--project", "--home", "--url"} <= known, name


def test_the_overview_imports_no_command() -> None:
    """Muni --help and import muniment stay fast because nothing heavy is imported for them."""
    code = (
        "import sys\n"
        "from muniment.cli import muni\n"
        "muni.main(['--help'], standalone_mode=False)\n"
        "heavy = {'rich', 'httpx', 'sqlalchemy', 'msgspec', 'tink', 'cedarpy', 'starlette', 'muniment.sdk'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_overview_lists_each_command_once() -> None:
    """Each command has one line of help in one section."""
    names = [name for section in COMMANDS.values() for name in section]
    assert len(names) == len(set(names))
    for section in COMMANDS.values():
        for name, (_, line) in section.items():
            assert line.endswith("."), name
            assert len(line) < 70, name


def test_clients_ask_for_verbs_that_exist_by_their_types() -> None:
    """Each ``ask`` and ``download`` in SDK and CLI names a verb, and expects the reply that the verb gives."""
    seen = set()
    for path in [*(SOURCE / "sdk").glob("*.py"), *(SOURCE / "cli").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            first = node.args[0]
            if node.func.attr in ("ask", "download", "_start") and isinstance(first, ast.Constant):
                verb = VERBS.find(str(first.value))
                seen.add(verb.action)
                if node.func.attr == "ask":
                    reply = node.args[2]
                    name = reply.attr if isinstance(reply, ast.Attribute) else getattr(reply, "id", "")
                    given = verb.reply.__name__
                    assert name in (given, "object"), f"{path.name}: {verb.action} gives {given}"
    assert len(seen) > 40


@each(VERBS)
def test_what_is_asked_by_get_changes_nothing(verb: Verb) -> None:
    """A verb whose phrase promises to read only reads."""
    if reads(verb.action):
        assert verb.effect is Effect.READ


def test_what_init_lets_one_require_can_be_required() -> None:
    """The choices of --require are those that an installation can open with."""
    command = import_module("muniment.cli.init").init
    (option,) = (param for param in command.params if param.name == "require")
    assert [Require(choice) for choice in option.type.choices] == list(Require)
