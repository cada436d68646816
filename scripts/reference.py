"""Write the generated reference pages: errors, verbs, command line, HTTP, settings. ``make docs`` runs this.

Nothing here is typed twice: each page comes from the source itself, and a tidy test fails when a page is stale.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "muniment"
PAGES = ROOT / "docs" / "reference"

_BRANCHES = {
    "Unauthenticated": "Nobody is known by this credential: sign in, then retry.",
    "Denied": "Policy or the four-eyes rule said no: retrying cannot help.",
    "NotFound": "No such object, or not visible to this principal.",
    "Conflict": "The state moved on: read again, then retry.",
    "Invalid": "The request contradicts itself, the schema or the data: change it.",
    "IntegrityError": "Stored bytes or history do not verify: stop, keep the evidence, call a person.",
    "Unavailable": "An engine did not answer: safe to retry.",
}


@dataclass(frozen=True, slots=True)
class Raised:
    """One place that makes an error."""

    code: str
    kind: str
    message: str
    """The message with ``…`` where a value stands."""

    facts: tuple[str, ...]
    do: str | None
    """The advice, when it is the same text each time."""

    where: str
    """Module, for the page; the line would make it stale with every edit."""


@cache
def raised() -> tuple[Raised, ...]:
    """Every error with a literal code in the source, in the order of files and lines."""
    return tuple(_all_raised())


def _all_raised() -> Iterator[Raised]:
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in {*_BRANCHES, "MunimentError"} and len(node.args) >= 2:
                code = node.args[0]
                if isinstance(code, ast.Constant) and isinstance(code.value, str):
                    yield _raised(path, code.value, node)


def _raised(path: Path, code: str, call: ast.Call) -> Raised:
    advice = next((k.value for k in call.keywords if k.arg == "do"), None)
    return Raised(
        code,
        _name(call.func),
        template(call.args[1]),
        tuple(k.arg for k in call.keywords if k.arg and k.arg not in ("do", "retry")),
        template(advice) if advice is not None else None,
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts),
    )


def template(node: ast.expr) -> str:
    """A literal or formatted text with ``…`` where a value stands."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return template(node.left) + template(node.right)
    return "…"


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def errors_page() -> str:
    """Every error code: what it means, what it tells, what to do."""
    by_code: dict[str, list[Raised]] = {}
    for one in raised():
        by_code.setdefault(one.code, []).append(one)
    lines = [
        "# Errors",
        "",
        "Every error that the platform raises on purpose has a stable code, which is never re-used. Over HTTP and with"
        " `--json` it is a document `{code, message, facts, help}`; the fact `do` says what to do next.",
        "",
        "| branch | what the caller can do |",
        "|---|---|",
        *(f"| {kind} | {meaning} |" for kind, meaning in _BRANCHES.items()),
        "",
    ]
    for code, places in sorted(by_code.items()):
        first = places[0]
        facts = sorted({fact for place in places for fact in place.facts})
        lines += [f"## {code}", "", f"**{first.kind}**: {_escaped(first.message)}", ""]
        lines += [f"- facts: {', '.join(f'`{fact}`' for fact in facts)}"] if facts else []
        lines += [f"- do: {_escaped(advice)}" for advice in sorted({p.do for p in places if p.do and p.do != "…"})]
        lines += [f"- from: {', '.join(f'`{module}`' for module in sorted({p.where for p in places}))}", ""]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("|", "\\|")


def verbs_page() -> str:
    """Every verb: what it does, who may, where it is over HTTP, what it leaves in the ledger."""
    from muniment import bootstrap  # noqa: PLC0415
    from muniment.wire import routes  # noqa: PLC0415

    lines = [
        "# Verbs",
        "",
        "Everything that can be asked of the platform. Each passes the gate: it is authorised, done and recorded in one"
        " transaction. The route, the Cedar action and the audit event all come from one declaration.",
        "",
        "| action | what it does | on | effect | group | route | audit event |",
        "|---|---|---|---|---|---|---|",
    ]
    for verb in bootstrap.VERBS:
        method = "GET" if routes.reads(verb.action) and not verb.takes_body else "POST"
        route = f"`{method} {routes.template(verb.action, in_project=verb.on.in_project)}`"
        route = "internal" if verb.internal else route
        lines.append(
            f"| `{verb.action}` | {_escaped(verb.summary)} | {verb.on.name} | {verb.effect.value} | `{verb.group}` |"
            f" {route} | `{verb.event}` |"
        )
    return "\n".join([*lines, ""])


def cli_page() -> str:
    """Every command with its arguments and options, as ``--help`` shows them."""
    import click  # noqa: PLC0415

    from muniment import cli  # noqa: PLC0415

    lines = ["# Command line", "", "What `muni COMMAND --help` says, on one page.", ""]

    def walk(command: click.Command, context: click.Context) -> None:
        text = command.get_help(context)
        lines.extend([f"## {context.command_path}", "", "```text", *(line.rstrip() for line in text.splitlines())])
        lines.extend(["```", ""])
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                if inner is not None and not inner.hidden:
                    walk(inner, opened(inner, name, context))

    def opened(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
        return command.make_context(name, [], parent, resilient_parsing=True, terminal_width=100)

    walk(cli.muni, opened(cli.muni, "muni"))
    return "\n".join(lines)


def openapi_page() -> str:
    """The OpenAPI document of the HTTP API."""
    from muniment import __version__, bootstrap  # noqa: PLC0415
    from muniment.http.openapi import document  # noqa: PLC0415

    return json.dumps(document(bootstrap.VERBS, __version__), indent=1, ensure_ascii=False) + "\n"


def facts_page() -> str:
    """Every name that a fact can have, with what it says."""
    from muniment.inventory.facts import fact  # noqa: PLC0415

    lines = [
        "# Facts",
        "",
        "What gates, control catalogues and reports can ask of one model version, in [expressions](expressions.md).",
        "`muni gate facts MODEL` shows what is known of a version, with the grade and the record of each fact, and why"
        " the rest is not known. *Measured* facts count for a [gate](../how-to/set-a-gate.md) only when their run was"
        " asked for after the gate was fixed.",
        "",
        "| fact | what it says | measured |",
        "|---|---|---|",
    ]
    told = {**{f"{name}.…": text for name, text in fact.FAMILIES.items()}, **fact.NAMES}
    for name, text in sorted(told.items()):
        measured = "yes" if fact.family_of(name) in fact.MEASURED else ""
        lines.append(f"| `{name}` | {_escaped(text)} | {measured} |")
    return "\n".join([*lines, ""])


def rules_page() -> str:
    """Every training rule with its settings and their defaults."""
    from muniment.programs.rules import DEFAULT, RULES, Family  # noqa: PLC0415

    lines = [
        "# Training rules",
        "",
        "What a job reports is judged outside of it, while it runs. Names and defaults are those of the SageMaker",
        "Debugger built-in rules. A value at a bound is let pass, one beyond it fires; AllZero fires at its bound.",
        "Every rule also takes `acknowledge`: why a finding is expected of this model; it is then recorded and stops",
        "nothing. How to use them: [Tune a model](../how-to/tune-a-model.md).",
        "",
        f"`--rules default` is {', '.join(DEFAULT)}; `--rules all` is every rule that needs no setting.",
        "",
        "Confusion takes shares of the observed class; the published text divides by the total of the diagonal, by",
        "which no two classes can both reach 0.9. TreeDepth walks the tree; the published rule takes the logarithm of",
        "the largest node number, which is wrong for trees that grow leaf by leaf. ClassImbalance fires on any default",
        "rate below 9.1 %.",
    ]
    for family in Family:
        lines += ["", f"## {family.value.capitalize()}"]
        for rule in RULES:
            if rule.family is family:
                lines += ["", f"### {rule.name}", "", f"Fires when {rule.meaning}. Looks at: {rule.looks_at}.", ""]
                lines += ["| setting | default | range | meaning |", "|---|---|---|---|"]
                for one in rule.settings:
                    default = (
                        "required" if one.required else "none" if one.default is None else f"`{_shown(one.default)}`"
                    )
                    lines.append(f"| `{one.name}` | {default} | {_escaped(one.range)} | {one.meaning} |")
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def search_page() -> str:
    """The grammar of search as the parser states it, and the fields of every kind."""
    from muniment.search import language  # noqa: PLC0415
    from muniment.search.kinds import KINDS  # noqa: PLC0415

    told = (language.__doc__ or "").partition("\n\n")[2].replace("``", "`")
    before, _, rest = told.partition("::\n\n")
    grammar, _, after = rest.partition("\n\n")
    lines = ["# Search", "", "How to use it: [Search](../how-to/search.md).", "", before + ":", "", "```text"]
    lines += [line.removeprefix("    ") for line in grammar.splitlines()]
    lines += ["```", "", after.strip()]
    bounds = f"at most {language.LONGEST:,} characters, {language.MOST_TESTS} tests, {language.MOST_VALUES} values"
    lines += ["", f"A query has {bounds} in a list and {language.DEEPEST} parentheses and negations around a test."]
    lines += ["", '`NAME` stands for any name; one that is no plain word stands in quotes: `metric."val auc"`.']
    for kind in KINDS.values():
        also = f" Also: {', '.join(f'`{alias}`' for alias in kind.aliases)}." if kind.aliases else ""
        lines += ["", f"## {kind.name}", "", f"{kind.meaning[0].upper()}{kind.meaning[1:]}.{also}", ""]
        if kind.lineage:
            lines += ["`upstream of` and `downstream of` apply.", ""]
        lines += ["| field | values | meaning |", "|---|---|---|"]
        for one in kind.fields:
            values = f"{one.type.value}{', several' if one.many else ''}"
            lines.append(f"| `{one.shown}` | {values} | {one.meaning} |")
    return "\n".join(lines) + "\n"


def pages() -> dict[str, Callable[[], str]]:
    """The pages that can be generated from what is there."""
    found: dict[str, Callable[[], str]] = {"errors.md": errors_page}
    if find_spec("muniment.bootstrap"):
        found |= {"verbs.md": verbs_page, "cli.md": cli_page, "openapi.json": openapi_page, "facts.md": facts_page}
        found |= {"rules.md": rules_page, "search.md": search_page}
    return found


def main() -> int:
    """Write every page; name those that changed."""
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, generate in pages().items():
        path, text = PAGES / name, generate()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
