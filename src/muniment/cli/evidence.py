"""``muni evidence``: the pack of a model, for somebody who trusts nobody."""

from __future__ import annotations

import click

from muniment.cli.face import Command, Face, with_face
from muniment.cli.knowing import MODEL
from muniment.cli.screen import Screen
from muniment.sdk.evidence import pack_of, save_pack
from muniment.sdk.shown import size


@click.command(cls=Command, epilog="Example: muni evidence credit-pd -o credit-pd.zip --profile auditor")
@click.argument("model", type=MODEL)
@click.option("-o", "--output", type=click.Path(), required=True, metavar="FILE", help="Where the pack is written.")
@click.option("--checkpoint", type=click.IntRange(min=1), metavar="SIZE", help="As of a checkpoint of so many entries.")
@click.option(
    "--since",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="SIZE",
    help="Prove that the ledger goes on from a checkpoint of that many entries, which the receiver kept.",
)
@click.option("--cosigned", is_flag=True, help="With cosignatures of witnesses, who are asked first.")
@with_face
def evidence(
    face: Face, model: str, output: str, checkpoint: int | None, since: tuple[int, ...], cosigned: bool
) -> None:
    """Hand out all that bears a model out: report, records, proofs, signatures, keys and a verifier, in one file.

    The same checkpoint gives the same bytes. muni verify FILE checks it, and so does the verify.py inside, anywhere.
    """
    found = face.client.models.get(model)
    chunks = pack_of(face.client, found.reference, checkpoint=checkpoint, since=since, cosigned=cosigned)
    made = save_pack(found.reference, chunks, output)
    document = {
        "model": made.model,
        "digest": found.digest,
        "pack": str(made.file),
        "pack_digest": made.digest,
        "size": made.size,
    }

    def draw(screen: Screen) -> None:
        screen.done(f"the evidence about {made.model} is in {made.file} ({size(made.size)})")
        screen.facts("", {"digest": made.digest, "check it": f"muni verify {made.file}"})

    face.answer(document, draw)
