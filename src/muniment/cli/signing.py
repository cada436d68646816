"""``muni user key`` and ``muni user link``: what people sign with, and which accounts are one person."""

from __future__ import annotations

import click
from rich.text import Text

from muniment.cli.face import Command, Face, Group, with_face
from muniment.wire import identity as wire

__all__ = ["key", "link", "links", "unlink"]

_WHOLE = len("sha256:") + 64
_SHOWN = len("sha256:") + 16
"""So much of a key names it on a line."""


@click.group("key", cls=Group)
def key() -> None:
    """Signing keys: made here, beside the profile; only their public half goes to the platform."""


@key.command()
@click.option("--label", metavar="TEXT", default="", help="What to call it.")
@click.option("--passphrase", is_flag=True, help="Ask for a passphrase that encrypts the key file.")
@with_face
def enrol(face: Face, label: str, passphrase: bool) -> None:
    """Make a signing key of your own and make its public half known; needed to submit, review or approve."""
    keys, chosen = face.client.keys, None
    if passphrase:
        chosen = click.prompt("passphrase", hide_input=True, confirmation_prompt=True, err=True)
    made = keys.enrol(label, passphrase=chosen)
    said = f"{made.owner} signs with {made.key}"
    face.answer(made, lambda screen: screen.done(said))
    if not face.json and keys.file is not None:
        face.notes.line(f"  its private half  {keys.file}", style="dim")


@key.command()
@click.option("--label", metavar="TEXT", default="", help="What to call the new key.")
@click.option("--passphrase", is_flag=True, help="Ask for a passphrase that encrypts the new key file.")
@with_face
def renew(face: Face, label: str, passphrase: bool) -> None:
    """Put a new key in the place of yours, which endorses it and then signs no more."""
    keys, chosen = face.client.keys, None
    if keys.locked:
        keys.unlock(click.prompt("passphrase of your signing key", hide_input=True, err=True))
    if passphrase:
        chosen = click.prompt("new passphrase", hide_input=True, confirmation_prompt=True, err=True)
    made = keys.renew(label, passphrase=chosen)
    face.answer(made, lambda screen: screen.done(f"{made.owner} signs with {made.key}; the former key signs no more"))


@key.command("list")
@click.option("--of", "owner", metavar="NAME", help="Those of somebody else.")
@click.option("--all", "everybody", is_flag=True, help="Those of everybody.")
@with_face
def list_(face: Face, owner: str | None, everybody: bool) -> None:
    """List signing keys, newest first, also revoked ones; without an option your own."""
    found = wire.SigningKeys(keys=_known(face, owner, everybody=everybody or owner is not None))
    rows = [
        [Text(k.key[:_SHOWN]), k.owner, k.label, k.enrolled_at[:10], k.revoked_at and f"revoked {k.revoked_at[:10]}"]
        for k in found.keys
    ]
    empty = "no signing key yet: muni user key enrol"
    face.answer(found, lambda screen: screen.table(["key", "owner", "label", "since", ""], rows, empty=empty))


def _known(face: Face, owner: str | None = None, *, everybody: bool) -> list[wire.SigningKey]:
    """One's own keys, or those of somebody else or of all."""
    if not everybody:
        return list(face.client.keys.list())
    request = wire.ListSigningKeysOf(owner=owner)
    return face.client.ask("identity:ListSigningKeysOf", request, wire.SigningKeys).keys


@key.command()
@click.argument("fingerprint")
@click.option("--of", "other", is_flag=True, help="It is somebody else's.")
@with_face
def revoke(face: Face, fingerprint: str, other: bool) -> None:
    """Let a key sign no more; what it signed before stays signed. A beginning that fits one key will do."""
    if len(fingerprint) < _WHOLE:
        known = _known(face, everybody=other)
        fits = [one.key for one in known if one.key.startswith((fingerprint, f"sha256:{fingerprint}"))]
        fingerprint = fits[0] if len(fits) == 1 else fingerprint
    if other:
        request = wire.RevokeSigningKeyOf(key=fingerprint)
        ended = face.client.ask("identity:RevokeSigningKeyOf", request, wire.SigningKey)
    else:
        ended = face.client.keys.revoke(fingerprint)
    face.answer(ended, lambda screen: screen.done(f"{ended.key} of {ended.owner} signs no more"))


@click.command("link", cls=Command)
@click.argument("account")
@click.argument("other")
@with_face
def link(face: Face, account: str, other: str) -> None:
    """State that two accounts belong to one person: what one of them made, the other cannot approve."""
    request = wire.LinkAccounts(account=account, other=other)
    made = face.client.ask("identity:LinkAccounts", request, wire.AccountLink)
    face.answer(made, lambda screen: screen.done(f"{made.account} and {made.other} are one person ({made.id})"))


@click.command("unlink", cls=Command)
@click.argument("id", metavar="LINK")
@with_face
def unlink(face: Face, id: str) -> None:
    """End a link that was made in error; another administrator than the one who made it does that."""
    ended = face.client.ask("identity:UnlinkAccounts", wire.UnlinkAccounts(link=id), wire.AccountLink)
    face.answer(ended, lambda screen: screen.done(f"{ended.account} and {ended.other} are two people"))


@click.command("links", cls=Command)
@with_face
def links(face: Face) -> None:
    """List which accounts are known to belong to one person."""
    found = face.client.ask("identity:ListAccountLinks", wire.ListAccountLinks(), wire.AccountLinks)
    rows = [[one.id, one.account, one.other, one.since[:10], one.linked_by] for one in found.links]
    columns = ["link", "account", "is also", "since", "stated by"]
    face.answer(found, lambda screen: screen.table(columns, rows, empty="no accounts are linked"))
