"""Reaching a platform: whose profile, which home folder or URL, in this process or over HTTP.

A profile is a file ``HOME/profiles/<name>.json`` that only its owner can read: ``{"name", "token", "project", "url"}``.
Beside it lies the private half of his signing key, once he has enrolled one: ``HOME/profiles/<name>.key.pem``.
What is not said falls back on the environment (``MUNIMENT_HOME``, ``MUNI_PROFILE``, ``MUNI_PROJECT``, ``MUNI_URL``),
then on the profile, then on the defaults.
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec

from muniment.adapters.sources.opening import OutsideSources
from muniment.errors import Invalid, NotFound
from muniment.kernel.identifiers import check_name
from muniment.sdk.client import Client
from muniment.sdk.tracking import TrackedRun

__all__ = [
    "Profile",
    "connect",
    "forget_profile",
    "home_folder",
    "nobody",
    "profile_names",
    "read_profile",
    "track",
    "write_profile",
]

FAVOURITE: Final = "scientist"
"""The profile that is taken when none is named and there are several."""

DEFAULT_PROJECT: Final = "main"


class Profile(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """Who one is towards a platform."""

    name: str
    token: str
    project: str = DEFAULT_PROJECT
    url: str | None = None
    """A server to talk to; None means the platform in the home folder, in this process."""

    def __repr__(self) -> str:
        return f"Profile({self.name!r}, project={self.project!r}, url={self.url!r})"


def connect(
    home_or_url: str | Path | None = None,
    profile: str | None = None,
    project: str | None = None,
    *,
    home: str | Path | None = None,
) -> Client:
    """A client for the platform in a home folder (in this process) or behind a URL (over HTTP).

    Args:
        home_or_url: the home folder, or a URL; None looks at the environment and the profile.
        profile: name of the profile that says who asks.
        project: name of the project; None takes the profile's.
        home: where profiles are, when the first argument is a URL.

    Raises:
        NotFound: there is no such home folder or profile.
        Invalid: the profile cannot be used.
    """
    given = None if home_or_url is None else str(home_or_url)
    url = given if given is not None and "://" in given else None
    folder = home_folder(home if url is not None or given is None else given)
    who = read_profile(folder, profile)
    chosen = project or os.environ.get("MUNI_PROJECT") or who.project
    if url is None:
        url = (os.environ.get("MUNI_URL") if given is None else None) or who.url
    key_file = folder / "profiles" / f"{who.name}.key.pem"
    spool = _spool(folder, url, who.name, chosen)
    if url:
        return _remote(url, who.token, chosen, key_file, spool)
    return _local(folder, who.token, chosen, key_file, spool)


def track(experiment: str, **about: Any) -> TrackedRun:
    """Begin a tracked run as whoever ``connect`` finds; see ``Client.track``."""
    return connect().track(experiment, **about)


def load_ipython_extension(shell: Any) -> None:
    """Give a notebook the magic ``%%job``; IPython calls this for ``%load_ext muniment``."""
    import_module("muniment.sdk.magic").register(shell, connect)


def home_folder(home: str | Path | None = None) -> Path:
    """The home folder: as given, else ``MUNIMENT_HOME``, else ``~/.muniment``."""
    return Path(home or os.environ.get("MUNIMENT_HOME") or "~/.muniment").expanduser().absolute()


def profile_names(home: Path) -> list[str]:
    """The names of the profiles in a home folder."""
    return sorted(file.stem for file in (home / "profiles").glob("*.json"))


def read_profile(home: Path, name: str | None = None) -> Profile:
    """The profile of this name; without one ``MUNI_PROFILE``, else ``scientist``, else the only one there is.

    Raises:
        NotFound: there is none of that name, or none at all, or several and no name.
        Invalid: others than its owner can read it, or it is not a profile.
    """
    names = profile_names(home)
    wanted = name or os.environ.get("MUNI_PROFILE")
    if not names:
        raise NotFound(
            "MUNI-A203",
            f"nobody has signed in under {home}",
            home=str(home),
            do="create a platform with: muni init   or sign in to one with: muni login --url URL",
        )
    if wanted is None:
        wanted = FAVOURITE if FAVOURITE in names else names[0] if len(names) == 1 else None
    if wanted is None:
        raise NotFound("MUNI-A204", "say who you are", profiles=names, do="--profile NAME, or set MUNI_PROFILE")
    if wanted not in names:
        raise NotFound(
            "MUNI-A205", f"there is no profile {wanted[:80]!r}", profiles=names, do="choose one of these with --profile"
        )
    file = home / "profiles" / f"{wanted}.json"
    if file.stat().st_mode & 0o077:
        raise Invalid("MUNI-A106", "others can read this profile's token", file=str(file), do=f"chmod 600 {file}")
    try:
        return msgspec.json.decode(file.read_bytes(), type=Profile)
    except msgspec.DecodeError as broken:
        raise Invalid("MUNI-A107", "this file is not a profile", file=str(file), detail=str(broken)) from broken


def write_profile(home: Path, profile: Profile) -> Path:
    """Keep a profile so that only its owner can read it; replaces one of the same name."""
    check_name(profile.name, "profile")
    folder = home / "profiles"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / f"{profile.name}.json"
    fresh = folder / f".{profile.name}.new"
    with suppress(FileNotFoundError):
        fresh.unlink()
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(msgspec.json.format(msgspec.json.encode(profile), indent=2) + b"\n")
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
    return file


def forget_profile(home: Path, name: str) -> None:
    """Remove a profile from this machine; its token stays valid until it is revoked.

    Raises:
        NotFound: there is none of that name.
    """
    if name not in profile_names(home):
        raise NotFound("MUNI-A205", f"there is no profile {name[:80]!r}", profiles=profile_names(home))
    (home / "profiles" / f"{name}.json").unlink()


def nobody(home: str | Path | None = None, url: str | None = None) -> Client:
    """A client without a token, good for signing in and nothing else."""
    where = url or os.environ.get("MUNI_URL")
    return _remote(where, None, DEFAULT_PROJECT) if where else _local(home_folder(home), None, DEFAULT_PROJECT)


def _spool(home: Path, url: str | None, profile: str, project: str) -> Path:
    """Where tracked runs wait for their server: one folder for each server, person and project."""
    told = sha256("\0".join((url or str(home), profile, project)).encode()).hexdigest()
    return home / "tracking" / f"{profile}-{told[:16]}"


def _remote(
    url: str, token: str | None, project: str, key_file: Path | None = None, spool: Path | None = None
) -> Client:
    from muniment.sdk.http import HttpTransport  # noqa: PLC0415  httpx is slow to import and seldom needed

    transport = HttpTransport(url, token)
    return Client(
        transport, project=project, close=transport.close, key_file=key_file, spool=spool, sources=OutsideSources()
    )


def _local(
    home: Path, token: str | None, project: str, key_file: Path | None = None, spool: Path | None = None
) -> Client:
    from muniment.bootstrap import open_platform  # noqa: PLC0415  the whole platform; a URL needs none of it

    platform = open_platform(home)
    return Client(
        platform.transport(token),
        project=project,
        worker=platform.work_until,
        close=platform.close,
        key_file=key_file,
        spool=spool,
        sources=OutsideSources(),
    )
