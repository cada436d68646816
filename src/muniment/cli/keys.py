"""``muni key`` and ``muni fsck``: what is sealed, under which keys, and whether it is all there."""

from __future__ import annotations

import click

from muniment.cli.face import Command, Face, Group, with_face
from muniment.cli.screen import Screen
from muniment.errors import IntegrityError
from muniment.sdk.shown import count, size
from muniment.wire import vault as wire


@click.group(cls=Group)
def key() -> None:
    """Keys: every project seals its objects under a key of its own."""


@key.command("list")
@with_face
def list_(face: Face) -> None:
    """List the versions of the project's key, newest first."""
    found = face.client.ask("vault:ListKeys", wire.ListKeys(project=face.client.project), wire.Keys)
    rows = [[k.version, k.state, k.key, k.created_at[:16], count(k.objects)] for k in found.keys]
    face.answer(found, lambda screen: screen.table(["version", "", "key", "since", "objects"], rows, right=1))


@key.command()
@with_face
def rotate(face: Face) -> None:
    """Make the project's next key and re-wrap everything under it; no stored byte changes."""
    made = face.client.ask("vault:RotateKey", wire.RotateKey(project=face.client.project), wire.RotatedKey)
    text = f"{made.project} seals under version {made.version}; {count(made.objects)} objects moved"
    face.answer(made, lambda screen: screen.done(text))


@click.command(cls=Command)
@click.option("--deep", is_flag=True, help="Read every object to its end and compare its digest.")
@click.option(
    "--everything", is_flag=True, help="All projects, and bytes that nothing refers to; needs the right to do so."
)
@with_face
def fsck(face: Face, deep: bool, everything: bool) -> None:
    """Check that every sealed object of the project is there and opens; exit code 1 when one does not."""
    if everything:
        found = face.client.ask("vault:CheckStore", wire.CheckStore(deep=deep), wire.CheckedObjects)
    else:
        request = wire.CheckObjects(project=face.client.project, deep=deep)
        found = face.client.ask("vault:CheckObjects", request, wire.CheckedObjects)
    if not found.sound:
        raise IntegrityError(
            "MUNI-A507",
            "sealed objects are missing or altered",
            objects=found.objects,
            findings=[f"{f.code} {f.object}: {f.what}" for f in found.findings if f.harm],
            do=next((f.do for f in found.findings if f.harm), "restore them from a backup"),
        )

    def draw(screen: Screen) -> None:
        screen.done(f"{count(found.objects)} sealed objects are there and open")
        read = f"{size(found.bytes_opened)} to the end" if found.deep else "headers only; muni fsck --deep reads all"
        screen.facts(
            "",
            {
                "read": read,
                "where": "everywhere" if everything else f"project {face.client.project}",
                "destroyed on purpose": count(found.erased) if found.erased else None,
            },
        )
        if found.findings:
            screen.table(
                ["code", "object", "what", "do"],
                [[f.code, f.object, f.what, f.do] for f in found.findings],
                wrap=["what", "do"],
            )

    face.answer(found, draw)
