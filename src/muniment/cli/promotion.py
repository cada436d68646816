"""``muni model promote`` and ``check``: into production, and whether a model may be loaded."""

from __future__ import annotations

import click

from muniment.cli.face import Command, Face, with_face
from muniment.cli.knowing import MODEL
from muniment.cli.screen import Screen
from muniment.sdk.shown import size


@click.command("promote", cls=Command, epilog="Example: muni model promote credit-pd --from main --project live")
@click.argument("model")
@click.option("--from", "source", required=True, metavar="PROJECT", help="The project that it comes from.")
@click.option("--digest", metavar="DIGEST", help="The digest that you mean; another one is refused.")
@click.option("--emergency", is_flag=True, help="Also when it is approved by break-glass alone.")
@click.option("--reason", default="", metavar="TEXT", help="Why.")
@with_face
def promote(face: Face, model: str, source: str, digest: str | None, emergency: bool, reason: str) -> None:
    """Bring an approved version into this stricter project, by digest, under the approval that it has."""
    made = face.client.models.promote(model, source=source, digest=digest, emergency=emergency, reason=reason)

    def draw(screen: Screen) -> None:
        screen.done(f"{made.source_model} of {made.source} is {made.model} in {made.project}")
        screen.facts(
            "",
            {
                "digest": made.digest,
                "files": f"{made.files} ({size(made.bytes)})",
                "tier": made.tier,
                "state": "approved (EMERGENCY)" if made.emergency else made.state,
                "approved by": ", ".join(made.approved_by),
                "expires": made.expires[:19],
                "conditions": tuple(made.conditions),
                "use limits": tuple(made.use_limits),
                "record": made.record,
            },
        )

    face.answer(made, draw)


@click.command("check", cls=Command)
@click.argument("model", type=MODEL)
@click.option("--quick", is_flag=True, help="Do not read the files to their end.")
@with_face
def check(face: Face, model: str, quick: bool) -> None:
    """Say whether a model may be loaded now: manifest, files, signatures, records and state.

    Exit code 0 when it may, 1 when it may not.
    """
    found = face.client.models.get(model).approval(files=not quick)

    def draw(screen: Screen) -> None:
        if found.usable:
            screen.done(f"{found.model} may be loaded: {found.because[0]}")
        else:
            screen.line(f"{screen.mark('✗', 'x')} {found.model} may not be loaded", style="bold red")
        screen.facts(
            "",
            {
                "because": tuple(found.because),
                "expires": found.expires and found.expires[:19],
                "conditions": tuple(found.conditions),
                "use limits": tuple(found.use_limits),
                "manifest": found.manifest,
                "checked": tuple(found.checked),
            },
        )

    face.answer(found, draw)
    if not found.usable:
        click.get_current_context().exit(1)


PROMOTION = (promote, check)
"""The commands that belong to ``muni model``."""
