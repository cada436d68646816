"""``muni prove-unused --rows``: whether rows of a snapshot were in what a model was made from."""

from __future__ import annotations

from collections.abc import Sequence

from muniment.cli.data_overlap import attending
from muniment.cli.face import Face
from muniment.cli.screen import Screen
from muniment.sdk.rows import SEARCHED, RowProof, absence_of_rows
from muniment.sdk.shown import count

__all__ = ["prove_rows"]


def prove_rows(face: Face, reference: str, model: str, keys: Sequence[str]) -> None:
    """Search, wait, and answer."""
    proof = absence_of_rows(face.client, reference, model, keys=keys, attend=attending(face))
    face.answer(proof.reply, lambda screen: picture(screen, proof))


def picture(screen: Screen, proof: RowProof) -> None:
    """The answer for people."""
    reply = proof.reply
    if proof.unused:
        screen.done(f"no row of {reply.reference} was in what {reply.model} was made from, as far as was searched")
    elif proof.verdict == "rows-used":
        line = (
            f"{count(reply.found)} of {count(reply.rows)} rows of {reply.reference} were in an input of {reply.model}"
        )
        screen.line(f"{screen.mark('✗', 'x')} {line}", style="bold red")
    else:
        line = f"{count(reply.found)} of {count(reply.rows)} rows of {reply.reference} may have been in an input"
        screen.line(f"{screen.mark('✗', 'x')} {line} of {reply.model}", style="bold yellow")
    screen.facts("", proof.facts())
    if reply.inputs:
        screen.line()
        screen.table(
            SEARCHED,
            [[*row[:2], *(count(number) for number in row[2:7]), row[7]] for row in proof.rows()],
            spare=["columns", "of", "once", "rows"],
        )
