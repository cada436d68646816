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
from muniment.sdk.reproducing import VERDICTS, reproduced


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
                "searched": f"{reply.entities} entities, {reply.activities} runs",
                "scope": reply.scope,
                "disjoint": tuple(f"{d.part} and {d.other} by {d.run} ({d.grade})" for d in reply.disjointness),
                "weakest link": reply.weakest,
                "checkpoint": f"{reply.checkpoint.size} entries, root {reply.checkpoint.root}",
            },
        )
        if reply.path:
            screen.line()
            screen.line(f"the way from {reply.path[0].source_label}", style="bold")
            for step in steps(proof):
                screen.line("  " + step)

    face.answer(reply, draw)


@click.command(cls=Command, epilog="Example: muni reproduce creditcarddefault-xgboost --profile validator")
@click.argument("model", type=MODEL)
@DETACH
@with_face
def reproduce(face: Face, model: str, detach: bool) -> None:
    """Make MODEL again from its record alone, and compare what comes out, bit for bit.

    Exit code 0 means that the job ran to its end; the verdict says how alike the models are.
    """
    if detach:
        face.started(face.client.jobs.reproduce(model))
        return
    found = reproduced(face.client, model, face.wait)
    face.answer(found, lambda screen: picture(screen, model, found))


def picture(screen: Screen, model: str, found: dict[str, Any]) -> None:
    """What a reproduction came to, for people."""
    verdict: str = found.get("verdict", "unknown")
    shown = ("run", "grade", "requested_by", "original", "original_by", "plan")
    facts: dict[str, Any] = {"means": VERDICTS.get(verdict), **{name: found[name] for name in shown if name in found}}
    if verdict == "different":
        facts["cause"] = found.get("cause")
    screen.facts(f"{model}: {verdict}", facts)
    if compared := found.get("comparison"):
        numbers = ("rows", "differing", "max_difference", "max_ulp", "flips", "bounds") if compared["rows"] else ()
        screen.line()
        screen.facts(
            "both, side by side",
            {
                "run": compared["run"],
                "same meaning": compared["equal_canonical_digests"],
                "no scores": compared["a"]["why_no_scores"] or compared["b"]["why_no_scores"],
                **{name: compared[name] for name in numbers},
            },
        )
