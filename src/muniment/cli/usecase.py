"""``muni usecase``: what models may be used for. A job outside its use case is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click

from muniment.cli.face import Face, Group, pairs, with_face
from muniment.cli.impact import ASSESSING
from muniment.cli.screen import Screen
from muniment.errors import Invalid
from muniment.sdk.shown import count
from muniment.wire import inventory as wire

_REPEATED = {
    "allow": ("ALGORITHM", "An algorithm that may be used; 'script' for a script of one's own; none allows any."),
    "prohibit": ("COLUMN", "A column that no model may learn from."),
    "legal": ("TEXT", "A constraint that the law sets."),
    "jurisdiction": ("NAME", "Whose law."),
}


@click.group(cls=Group)
def usecase() -> None:
    """Use cases: purpose, owner, law, algorithms and columns; exposure and purpose make the tier of its models."""


for _assessing in ASSESSING:
    usecase.add_command(_assessing)


def _repeated(command: Any) -> Any:
    for name, (metavar, line) in reversed(_REPEATED.items()):
        command = click.option(f"--{name}", multiple=True, metavar=metavar, help=f"{line} Repeatable.")(command)
    return command


@usecase.command(epilog="Example: muni usecase add cards --purpose 'limits of cards' --owner ana --exposure 5000000")
@click.argument("name")
@click.option(
    "--file", "file", type=click.Path(path_type=Path), metavar="TOML", help="Take what is not given from a TOML file."
)
@click.option("--purpose", metavar="TEXT", help="What it is for, in a sentence.")
@click.option("--owner", metavar="NAME", help="The person who answers for it.")
@_repeated
@click.option(
    "--kpi",
    "kpis",
    multiple=True,
    metavar="NAME=EXPRESSION",
    callback=pairs,
    help="A key figure: auc='metric.auc >= 0.75'.",
)
@click.option("--exposure", type=click.IntRange(min=0), metavar="N", help="What is decided with it, in whole currency.")
@click.option("--currency", metavar="CODE", help="Three letters; else EUR.")
@click.option(
    "--class",
    "purpose_class",
    metavar="WORD",
    help="Purpose class: credit-decision, capital, marketing, operations or another word.",
)
@click.option("--intended-use", metavar="TEXT", help="For whom, in which processes.")
@click.option("--out-of-scope", metavar="TEXT", help="What it must not be used for.")
@with_face
def add(face: Face, name: str, file: Path | None, kpis: dict[str, str], **given: Any) -> None:
    """State what models may be used for; under a name that is there, its next version."""
    told = _from_file(file) if file is not None else {}
    names = {
        "allow": "allow",
        "prohibit": "prohibit",
        "allowed_algorithms": "allow",
        "prohibited_attributes": "prohibit",
    }
    told = {names.get(key, key): value for key, value in told.items()}
    if isinstance(told.get("kpis"), list):
        told["kpis"] = {kpi["name"]: kpi["expression"] for kpi in told["kpis"]}
    told |= {key: value for key, value in given.items() if value not in (None, ())}
    if kpis:
        told["kpis"] = kpis
    if missing := [f"--{key}" for key in ("purpose", "owner") if key not in told]:
        raise click.UsageError(f"give {' and '.join(missing)}, or name a file that says it: --file TOML")
    try:
        made = face.client.use_cases.add(name, **told)
    except TypeError as wrong:
        raise Invalid("MUNI-A154", "the file says what no use case has", file=str(file), reason=str(wrong)) from wrong
    face.answer(made.detail, lambda screen: screen.done(f"use case {made.detail.use_case} is stated"))


@usecase.command("list")
@click.option("--living", is_flag=True, help="Without those that are retired.")
@with_face
def list_(face: Face, living: bool) -> None:
    """List use cases in their newest versions, by name."""
    found = face.client.use_cases.list(retired=not living)
    rows = [
        [d.use_case, d.purpose, d.purpose_class, f"{count(d.exposure)} {d.currency}", d.owner, d.retired and "retired"]
        for d in (one.detail for one in found)
    ]
    columns = ["use case", "purpose", "class", "exposure", "owner", ""]
    empty = "no use case yet: muni usecase add --help"
    document = wire.UseCases(use_cases=[one.detail for one in found])
    face.answer(document, lambda screen: screen.table(columns, rows, empty=empty, wrap=["purpose"]))


@usecase.command()
@click.argument("name")
@with_face
def show(face: Face, name: str) -> None:
    """Show a use case with its history, its experiments and the models under it."""
    found = face.client.use_cases.show(name)
    d = found.use_case

    def draw(screen: Screen) -> None:
        screen.facts(
            d.use_case,
            {
                "retired": d.retired and d.retired[:19],
                "purpose": d.purpose,
                "class": d.purpose_class,
                "exposure": f"{count(d.exposure)} {d.currency}",
                "owner": d.owner,
                "algorithms": ", ".join(d.allowed_algorithms) or "any",
                "prohibited": ", ".join(d.prohibited_attributes),
                "key figures": tuple(f"{kpi.name}: {kpi.expression}" for kpi in d.kpis),
                "legal": tuple(d.legal),
                "jurisdiction": ", ".join(d.jurisdiction),
                "intended use": d.intended_use,
                "out of scope": d.out_of_scope,
                "experiments": ", ".join(found.experiments),
                "models": ", ".join(found.models),
                "record": d.record,
            },
        )
        screen.line()
        rows = [[one.version, one.at[:19], one.by, one.record] for one in found.history]
        screen.table(["version", "at", "by", "record"], rows, spare=["record"])

    face.answer(found, draw)


@usecase.command()
@click.argument("name")
@click.option("--reason", required=True, metavar="TEXT", help="Why it ends.")
@with_face
def retire(face: Face, name: str, reason: str) -> None:
    """End a use case: no job and no registration may name it any more."""
    ended = face.client.use_cases.retire(name, reason)
    face.answer(ended.detail, lambda screen: screen.done(f"use case {ended.name} is retired"))


@usecase.command()
@click.argument("experiment")
@click.option("--use-case", "name", metavar="NAME", help="The use case that its jobs belong to.")
@click.option("--free", is_flag=True, help="Let it belong to none any more.")
@with_face
def bind(face: Face, experiment: str, name: str | None, free: bool) -> None:
    """Let every job of an experiment belong to a use case, so that none can leave it out."""
    if free == (name is not None):
        raise click.UsageError("give --use-case NAME or --free")
    bound = face.client.use_cases.bind(experiment, name)
    said = f"jobs of {experiment} belong to {name}" if name else f"jobs of {experiment} belong to no use case"
    face.answer(bound, lambda screen: screen.done(said))


def _from_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as broken:
        raise Invalid("MUNI-A155", "this file is not TOML", file=str(file), reason=str(broken)) from broken
