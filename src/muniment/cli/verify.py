"""``muni verify``: check an evidence pack or an export of the ledger; needs no installation and no login."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from muniment.cli.face import Command, Face, with_face
from muniment.cli.screen import Screen
from muniment.errors import Invalid
from muniment.evidence import verify as verifier


@click.command(
    cls=Command,
    epilog="Exit codes: 0 true, 1 tampered with or damaged, 2 neither a pack nor an export. "
    "Example: muni verify credit-pd.zip --key ledger.key --checkpoint last-year.txt",
)
@click.argument("pack", type=click.Path(path_type=Path))
@click.option("--key", metavar="KEY", help="The ledger's public key, or a file with it, from a place you trust.")
@click.option(
    "--checkpoint", type=click.Path(path_type=Path), multiple=True, metavar="FILE", help="A checkpoint that you kept."
)
@click.option("--witness", multiple=True, metavar="KEY", help="The key of a witness, or its file: must have cosigned.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=verifier.TOLERANCE_S,
    show_default=True,
    metavar="SECONDS",
    help="How long before an earlier entry one may be dated.",
)
@with_face
def verify(
    face: Face, pack: Path, key: str | None, checkpoint: tuple[Path, ...], witness: tuple[str, ...], tolerance: float
) -> None:
    """Check an evidence pack, or an export of the ledger, offline; says what was checked and what was not.

    The program is the verify.py that lies in every pack; nothing else of the platform has a part in it.
    """
    try:
        given = None if key is None else verifier.key_text(key)
        witnesses = [verifier.key_text(one) for one in witness]
        kept = [path.read_bytes().decode() for path in checkpoint]
    except (OSError, ValueError) as broken:
        raise Invalid("MUNI-A171", f"a key or a checkpoint cannot be read: {broken}"[:300]) from broken
    code, found = verifier.answer(pack, given, kept, tolerance, witnesses)
    face.answer(found, lambda screen: _draw(screen, code, found))
    if code:
        click.get_current_context().exit(code)


def _draw(screen: Screen, code: int, found: dict[str, Any]) -> None:
    if code:
        screen.line({1: "✗ not true: ", 2: "✗ not a pack: "}[code] + verifier.plain(str(found["reason"])))
        return
    screen.done(f"true: {found['kind']}")
    for title, points in (("Checked", found["checked"]), ("Not checked", found["not_checked"])):
        screen.line()
        screen.facts(title, {f"{number}": verifier.plain(point) for number, point in enumerate(points, 1)})
