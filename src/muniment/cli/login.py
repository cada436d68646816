"""``muni login``, ``whoami`` and ``profile``: who one is towards a platform."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from muniment.cli.face import Command, Face, Group, with_face
from muniment.errors import Denied, Invalid, NotFound
from muniment.wire import identity as wire


@click.command(cls=Command, epilog="Example: muni login --url https://muniment.bank.example --name ana")
@click.option("--name", metavar="NAME", help="User name; asks for the password.")
@click.option("--token-stdin", is_flag=True, help="Read a token from standard input instead of signing in.")
@click.option("--as", "profile_name", metavar="PROFILE", help="Name of the profile; else the user's name.")
@with_face
def login(face: Face, name: str | None, token_stdin: bool, profile_name: str | None) -> None:
    """Sign in, and keep the token as a profile on this machine.

    A password gives a token for 12 hours. With --token-stdin a token made by muni token issue is kept.
    """
    connecting = import_module("muniment.connecting")
    if bool(name) == token_stdin:
        raise click.UsageError("sign in with either --name or --token-stdin")
    if token_stdin:
        token = sys.stdin.readline().strip()
        expires = None
        label = profile_name or "me"
    else:
        password = click.prompt("password", hide_input=True, err=True)
        request = wire.SignIn(name=str(name), password=password)
        client = connecting.nobody(face.home, face.url)
        try:
            issued = client.ask("identity:SignIn", request, wire.IssuedToken)
        finally:
            client.close()
        token, expires, label = issued.token, issued.expires_at, profile_name or issued.owner
    home = connecting.home_folder(face.home)
    url = face.url or os.environ.get("MUNI_URL")
    kept = connecting.Profile(name=label, token=token, project=face.project or "main", url=url)
    path = connecting.write_profile(home, kept)
    document = {"profile": label, "file": str(path), "url": url, "expires_at": expires}
    until = f" until {expires[:16]}" if expires else ""
    face.answer(document, lambda screen: screen.done(f"signed in as profile {label}{until}"))


@click.command(cls=Command)
@with_face
def whoami(face: Face) -> None:
    """Show who the platform takes you for: groups, roles, and the credential in use."""
    me = face.client.ask("identity:WhoAmI", wire.WhoAmI(), wire.Identity)
    try:
        grants = face.client.stewardship.grants.list(mine=True, state="active")
    except (Denied, NotFound, Invalid):  # whoever may not look into the project has no access to its data either
        grants = []
    roles = [
        f"{r.role} {'in ' + r.scope if r.scope else 'everywhere'}" + (f" until {r.until[:16]}" if r.until else "")
        for r in me.roles
        if r.active
    ]
    face.answer(
        me,
        lambda screen: screen.facts(
            me.name,
            {
                "kind": me.kind,
                "project": face.client.project,
                "recognised by": f"{me.method} {me.credential}",
                "until": me.expires_at and me.expires_at[:16],
                "limited to": me.actions,
                "groups": me.groups,
                "roles": roles or "none",
                "access to data": [f"{g.dataset} for {g.purpose} until {(g.until or '')[:16]}" for g in grants] or None,
            },
        ),
    )


@click.group(cls=Group)
def profile() -> None:
    """Profiles on this machine: each is a token with a project, and perhaps the URL of a server."""


@profile.command("list")
@with_face
def list_(face: Face) -> None:
    """List the profiles; a star marks the one that is taken when none is named."""
    connecting = import_module("muniment.connecting")
    home: Path = connecting.home_folder(face.home)
    taken = _taken(connecting, home, face.profile)
    found = [connecting.read_profile(home, name) for name in connecting.profile_names(home)]
    document = {
        "home": str(home),
        "profiles": [
            {"name": one.name, "project": one.project, "url": one.url, "taken": one.name == taken} for one in found
        ],
    }
    rows = [
        ["*" if one.name == taken else "", one.name, one.project, one.url or f"in process, {home}"] for one in found
    ]
    face.answer(
        document, lambda screen: screen.table(["", "profile", "project", "where"], rows, empty="nobody has signed in")
    )


@profile.command()
@click.argument("name")
@with_face
def remove(face: Face, name: str) -> None:
    """Forget a profile on this machine; its token stays valid until it is revoked: muni token revoke."""
    connecting = import_module("muniment.connecting")
    connecting.forget_profile(connecting.home_folder(face.home), name)
    face.answer({"profile": name, "removed": True}, lambda screen: screen.done(f"profile {name} is forgotten here"))


def _taken(connecting: Any, home: Path, name: str | None) -> str | None:
    errors = import_module("muniment.errors")
    try:
        chosen: str = connecting.read_profile(home, name).name
    except errors.MunimentError:
        return None
    return chosen
