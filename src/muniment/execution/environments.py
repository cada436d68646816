"""Job environments: a set of sealed wheels under one digest, rebuilt offline at a fixed path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from muniment.errors import Invalid, NotFound
from muniment.execution.indexes import Indexes, check_index
from muniment.kernel.canonical import digest_of
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import check_name, format_time
from muniment.kernel.reference import Named, parse_reference
from muniment.kernel.resources import INSTALLATION, PLATFORM
from muniment.kernel.verb import Call, Effect, verb
from muniment.vault.service import Vault
from muniment.wire import execution as wire

_WHEEL: Final = re.compile(
    r"[A-Za-z0-9_.]+-[A-Za-z0-9_.!+]+(-[0-9][A-Za-z0-9_.]*)?-[A-Za-z0-9_.]+-[A-Za-z0-9_]+-[A-Za-z0-9_.]+\.whl"
)
_PINNED: Final = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?==\S+")


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel, sealed in the platform's own project."""

    filename: str
    digest: Digest

    def document(self) -> dict[str, str]:
        """As it is stored."""
        return {"filename": self.filename, "digest": str(self.digest)}

    @staticmethod
    def parse(document: Mapping[str, str]) -> Wheel:
        """The inverse of ``document``."""
        return Wheel(document["filename"], Digest(document["digest"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnvironment:
    """A version of a job environment."""

    name: str
    version: int
    python: str
    """Version of Python its wheels are for, ``3.11``."""

    wheels: tuple[Wheel, ...]
    lock: Digest
    """The lock's text, sealed in the platform's own project."""

    created_at: str
    index: str | None = None
    """Name of the package index its wheels came from, as its maker said."""

    @property
    def digest(self) -> Digest:
        """Names what jobs find under ``/env``: the wheels and the Python they are for; never the lock's text."""
        return environment_digest(self.python, self.wheels)


def environment_digest(python: str, wheels: tuple[Wheel, ...]) -> Digest:
    """Digest of an environment's content, whatever its name."""
    return digest_of(
        {"format": "muniment.environment/1", "python": python, "wheels": sorted(str(wheel.digest) for wheel in wheels)}
    )


class Environments(Protocol):
    """The job environments of the installation."""

    def add(self, environment: JobEnvironment) -> None:
        """Keep a new version."""

    def all(self) -> tuple[JobEnvironment, ...]:
        """Every version of every environment, newest first."""

    def newest(self, name: str, version: int | None = None) -> JobEnvironment | None:
        """The newest version of a name, or the one asked for."""

    def of_digest(self, digest: Digest) -> JobEnvironment | None:
        """An environment by what it is."""


@dataclass(frozen=True, slots=True)
class Package:
    """What an installed package says of itself. It is a stranger's word: shown, never acted on."""

    name: str
    version: str
    licence: str
    licence_files: tuple[str, ...]
    summary: str
    home: str


@dataclass(frozen=True, slots=True)
class BaseRoot:
    """The root file system that jobs run on."""

    path: Path
    digest: Digest


ReadWheel = Callable[[Wheel], Iterable[bytes]]
"""Gives the bytes of a wheel, piece by piece."""


class Workshop(Protocol):
    """Makes the trees that jobs run on, on this machine."""

    @property
    def python(self) -> str:
        """Version of Python in the base root, ``3.11``."""

    def machine(self) -> Mapping[str, Any]:
        """What jobs run on here: ``processor``, ``flags`` that numerical libraries ask for, ``cpus``."""

    def base(self) -> BaseRoot:
        """The base root of this machine, built when it is not there yet."""

    def packed_base(self) -> AbstractContextManager[BinaryIO]:
        """The base root of this machine as one archive; the same root always gives the same bytes."""

    def unpacked_base(self, digest: Digest, archive: Iterable[bytes]) -> BaseRoot:
        """A base root of another machine or of another time, unpacked from its archive when it is not there yet.

        Raises:
            IntegrityError: the archive does not hold the base root of that digest.
            Invalid: it is of another version of Python than environments are built for here.
        """

    def tree(self, environment: JobEnvironment, read: ReadWheel) -> Path:
        """The tree of an environment, rebuilt offline from its sealed wheels when it is not there yet."""

    def ready(self, digest: Digest) -> bool:
        """Whether the tree of this environment is built on this machine."""

    def packages(self, environment: JobEnvironment, read: ReadWheel) -> tuple[Package, ...]:
        """What the packages in the tree of an environment say of themselves, by name."""


def check_lock(lock: str, wheels: tuple[Wheel, ...]) -> None:
    """Accept a lock only when each line pins a version with hashes, and wheels and lines belong together.

    A requirement under a condition (``; python_version < "3.11"``) may have no wheel.

    Raises:
        Invalid: a requirement without a pin or a hash, a URL, a wheel that the lock does not know, or a requirement
        without a wheel.
    """
    logical = lock.replace("\\\n", " ")
    hashes: set[str] = set()
    pins: list[tuple[str, set[str]]] = []
    for number, line in enumerate(logical.splitlines(), 1):
        text = line.split(" #")[0].strip()
        if not text or text.startswith("#"):
            continue
        found = re.findall(r"--hash=sha256:([0-9a-f]{64})", text)
        if not _PINNED.match(text) or not found or "://" in text:
            raise Invalid(
                "MUNI-X101",
                "a lock pins every requirement with a version and hashes, and names no address",
                line=number,
                given=text[:120],
                do="uv pip compile --generate-hashes --no-emit-index-url requirements.in",
            )
        hashes.update(found)
        pins.append((text, set(found)))
    strangers = [wheel.filename for wheel in wheels if wheel.digest.hex not in hashes]
    if strangers or not wheels:
        raise Invalid(
            "MUNI-X102",
            "every wheel of an environment must be named by its lock",
            not_in_lock=strangers[:10],
            wheels=len(wheels),
        )
    kept = {wheel.digest.hex for wheel in wheels}
    absent = [text.split()[0][:80] for text, found in pins if not found & kept and ";" not in text]
    if absent or len({wheel.filename for wheel in wheels}) < len(wheels):
        raise Invalid(
            "MUNI-X128", "an environment has one wheel for each requirement of its lock", without_wheel=absent[:10]
        )


def find_environment(environments: Environments, text: str) -> JobEnvironment:
    """The environment a reference such as ``tabular``, ``env:tabular@2`` or a digest names.

    Raises:
        NotFound: there is none.
    """
    reference = parse_reference(text, kind="env")
    found = (
        (environments.newest(reference.name, reference.version) if reference.at is None else None)
        if isinstance(reference, Named)
        else environments.of_digest(reference)
    )
    if found is None:
        raise NotFound(
            "MUNI-X201",
            f"there is no job environment {text[:80]!r}",
            environments=sorted({one.name for one in environments.all()}),
            do="muni env build tabular",
        )
    return found


@verb(
    "execution:StoreWheel",
    on=INSTALLATION,
    request=wire.StoreWheel,
    reply=wire.StoredWheel,
    event="wheel.stored",
    group="env:manage",
    takes_body=True,
)
def store_wheel(call: Call, request: wire.StoreWheel) -> wire.StoredWheel:
    """Keep a wheel as a sealed object."""
    _check_wheel(request.filename)
    call.note(wheel=request.filename, digest=str(call.body.digest))
    return wire.StoredWheel(filename=request.filename, digest=str(call.body.digest), size=call.body.size)


@verb(
    "execution:DefineEnvironment",
    on=INSTALLATION,
    request=wire.DefineEnvironment,
    reply=wire.Environment,
    event="environment.defined",
    group="env:manage",
)
def define_environment(call: Call, request: wire.DefineEnvironment) -> wire.Environment:
    """Name a set of kept wheels as the next version of a job environment."""
    name = check_name(request.name, "job environment")
    vault, workshop, environments = call.use(Vault), call.use(Workshop), call.use(Environments)
    wheels = tuple(
        sorted(
            (Wheel(_check_wheel(one.filename), Digest(one.digest)) for one in request.wheels), key=lambda w: w.filename
        )
    )
    missing = [wheel.filename for wheel in wheels if not vault.has(call.session, PLATFORM, wheel.digest)]
    if missing:
        raise Invalid("MUNI-X103", "some wheels are not kept here", missing=missing[:10], do="store them first")
    check_lock(request.lock, wheels)
    check_index(call.use(Indexes), request.index)
    newest = environments.newest(name)
    if newest is not None and newest.digest == environment_digest(workshop.python, wheels):
        return environment_reply(newest, workshop)
    sealed = vault.seal_bytes(PLATFORM, request.lock.encode())
    vault.register(call.session, PLATFORM, sealed)
    made = JobEnvironment(
        name=name,
        version=newest.version + 1 if newest else 1,
        python=workshop.python,
        wheels=wheels,
        lock=sealed.digest,
        created_at=format_time(call.now),
        index=request.index,
    )
    environments.add(made)
    call.note(environment=f"env:{name}@{made.version}", digest=str(made.digest), wheels=len(wheels))
    return environment_reply(made, workshop)


@verb(
    "execution:ListEnvironments",
    on=INSTALLATION,
    request=wire.ListEnvironments,
    reply=wire.Environments,
    event="environments.listed",
    group="env:read",
    effect=Effect.READ,
)
def list_environments(call: Call, request: wire.ListEnvironments) -> wire.Environments:
    """List the job environments."""
    workshop = call.use(Workshop)
    return wire.Environments(environments=[environment_reply(one, workshop) for one in call.use(Environments).all()])


@verb(
    "execution:ShowEnvironment",
    on=INSTALLATION,
    request=wire.ShowEnvironment,
    reply=wire.Environment,
    event="environment.shown",
    group="env:read",
    effect=Effect.READ,
)
def show_environment(call: Call, request: wire.ShowEnvironment) -> wire.Environment:
    """Show a job environment with its wheels."""
    return environment_reply(find_environment(call.use(Environments), request.env), call.use(Workshop))


def environment_reply(environment: JobEnvironment, workshop: Workshop) -> wire.Environment:
    """The environment as the faces show it."""
    return wire.Environment(
        name=environment.name,
        version=environment.version,
        digest=str(environment.digest),
        python=environment.python,
        wheels=[wire.WheelName(filename=wheel.filename, digest=str(wheel.digest)) for wheel in environment.wheels],
        created_at=environment.created_at,
        ready=workshop.ready(environment.digest),
        index=environment.index,
    )


def _check_wheel(filename: str) -> str:
    if not _WHEEL.fullmatch(filename):
        raise Invalid(
            "MUNI-X104",
            "not the name of a wheel",
            given=filename[:200],
            do="source distributions are refused: they run code when installed",
        )
    return filename


VERBS: Final = (store_wheel, define_environment, list_environments, show_environment)
