"""``muni prove-unused`` and ``muni reproduce``: answers that somebody else can check."""

from __future__ import annotations

from typing import Any

import click

from muniment.cli.data import DETACH
from muniment.cli.data_overlap import WITHOUT, key_columns
from muniment.cli.face import Command, Face, with_face
from muniment.cli.knowing import ANYTHING, DATA, MODEL
from muniment.cli.prove_rows import prove_rows
from muniment.cli.screen import Screen
from muniment.sdk.lineage import steps
from muniment.sdk.reproducing import VERDICTS, compared, reproduced


@click.command(
    "prove-unused", cls=Command, epilog="Example: muni prove-unused credit/holdout --in creditcarddefault-xgboost"
)
@click.argument("reference", type=ANYTHING)
@click.option("--in", "model", required=True, type=MODEL, metavar="MODEL", help="The model that may have used it.")
@click.option("--rows", is_flag=True, help="Look for its rows in every input, also under other names and formats.")
@click.option("--keys", metavar="COLUMN,...", multiple=True, help="With --rows: look for these columns alone too.")
@WITHOUT
@with_face
def prove_unused(
    face: Face, reference: str, model: str, rows: bool, keys: tuple[str, ...], without: tuple[str, ...]
) -> None:
    """Answer whether REFERENCE was used, directly or not, to make a model; with scope, checkpoint and grade.

    With --rows its rows are looked for in every snapshot that was read on the way to the model, by keyed fingerprints
    that are made once and kept. Exit code 0 means that the question was answered, either way: see "unused".
    """
    if (keys or without) and not rows:
        raise click.UsageError(f"{'--keys' if keys else '--without'} needs --rows")
    if rows:
        prove_rows(face, reference, model, key_columns(face, reference, keys, without))
        return
    proof = face.client.prove_unused(reference, model)
    reply = proof.reply
    scope, _, uncovered = reply.scope.partition(" Not covered: ")

    def draw(screen: Screen) -> None:
        if proof.unused:
            screen.done(f"{reply.reference} was not used to make {reply.model}")
        else:
            verb = "may have given rows to" if reply.verdict == "unused-object" else "was used to make"
            screen.line(f"{screen.mark('✗', 'x')} {reply.reference} {verb} {reply.model}", style="bold red")
        screen.facts(
            "",
            {
                "unused": proof.unused,
                "verdict": reply.verdict,
                "grade": reply.grade,
                "not covered": uncovered.removesuffix(".") if proof.unused else None,
                "searched": f"{reply.entities} entities, {reply.activities} runs",
                "scope": scope if proof.unused else reply.scope,
                "disjoint": tuple(f"{d.part} and {d.other} by {d.run} ({d.grade})" for d in reply.disjointness),
                "weakest link": reply.weakest,
                "checkpoint": f"{reply.checkpoint.size} entries, root {reply.checkpoint.root}",
            },
        )
        if proof.unused and reply.reference.startswith("data:"):
            screen.line()
            screen.line("  next  --rows looks for its rows in files of other origin too", style="dim")
        if reply.path:
            screen.line()
            screen.line(f"the way from {reply.path[0].source_label}", style="bold")
            for step in steps(proof):
                screen.line("  " + step)

    face.answer(reply, draw)


WITHIN = click.option(
    "--within",
    type=click.FloatRange(min=0, max=1),
    metavar="X",
    help="Largest difference of a score that is still equivalent; else bounds for double precision.",
)


@click.command(cls=Command, epilog="Example: muni reproduce creditcarddefault-xgboost --profile validator")
@click.argument("model", type=MODEL)
@WITHIN
@DETACH
@with_face
def reproduce(face: Face, model: str, within: float | None, detach: bool) -> None:
    """Make MODEL again from its record alone, and compare what comes out, bit for bit.

    Where other bytes come out, both models score the rows that MODEL was made of, and the first cause is named.
    Exit code 0 means that the job ran to its end; the verdict says how alike the models are.
    """
    if detach:
        face.started(face.client.jobs.reproduce(model))
        return
    found = reproduced(face.client, model, face.wait, within=within)
    face.answer(found, lambda screen: picture(screen, model, found))


@click.command(cls=Command, epilog="Example: muni model compare credit-pd@1 credit-pd@2 --within 1e-6")
@click.argument("model", type=MODEL)
@click.argument("other", type=MODEL)
@click.option("--data", type=DATA, help="Rows to score; else what MODEL was made of.")
@WITHIN
@with_face
def compare(face: Face, model: str, other: str, data: str | None, within: float | None) -> None:
    """Score MODEL and OTHER on the same rows: how far apart they are, and in what their makings differ first."""
    found = compared(face.client, model, other, face.wait, data=data, within=within)
    face.answer(found, lambda screen: picture(screen, f"{model} and {other}", found))


def picture(screen: Screen, model: str, found: dict[str, Any]) -> None:
    """What a reproduction came to, for people."""
    verdict: str = found.get("verdict", "unknown")
    shown = ("run", "grade", "requested_by", "original", "original_by", "plan")
    facts: dict[str, Any] = {"means": VERDICTS.get(verdict), **{name: found[name] for name in shown if name in found}}
    facts |= {"not scored": found.get("not_scored")}
    facts |= {"cause": found.get("cause"), "differs": ", ".join(found.get("differs", ())) or None}
    screen.facts(f"{model}: {verdict}", facts)
    if beside := found.get("comparison"):
        numbers = ("rows", "differing", "max_difference", "max_ulp", "flips", "bounds") if beside["rows"] else ()
        screen.line()
        screen.facts(
            "both, side by side",
            {
                "run": beside["run"],
                "same meaning": beside["equal_canonical_digests"],
                "no scores": beside["a"]["why_no_scores"] or beside["b"]["why_no_scores"],
                **{name: beside[name] for name in numbers},
            },
        )
