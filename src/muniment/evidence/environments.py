"""What a job environment is made of: packages with their licences, and a bill of materials."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from muniment.evidence.formats.cyclonedx import environment_bom
from muniment.execution.environments import Environments, Workshop, find_environment
from muniment.kernel.release import VERSION
from muniment.kernel.resources import INSTALLATION, PLATFORM
from muniment.kernel.verb import Call, Effect, verb
from muniment.vault.service import Vault
from muniment.wire import execution as wire

_UNSAID: Final = "(none stated)"


@verb(
    "evidence:DescribeEnvironment",
    on=INSTALLATION,
    request=wire.DescribeEnvironment,
    reply=wire.EnvironmentPackages,
    event="environment.described",
    group="env:read",
    effect=Effect.READ,
)
def describe_environment(call: Call, request: wire.DescribeEnvironment) -> wire.EnvironmentPackages:
    """Show the packages of a job environment with what they say of their licences, and its bill of materials."""
    environment = find_environment(call.use(Environments), request.env)
    vault = call.use(Vault)
    found = call.use(Workshop).packages(environment, lambda wheel: vault.stream(PLATFORM, wheel.digest))
    digests = {_plain(wheel.filename.split("-")[0]): str(wheel.digest) for wheel in environment.wheels}
    packages = [
        wire.Package(
            name=one.name,
            version=one.version,
            wheel=digests[_plain(one.name)],
            licence=one.licence,
            licence_files=list(one.licence_files),
            summary=one.summary,
            home=one.home,
        )
        for one in found
        if _plain(one.name) in digests
    ]
    document: dict[str, Any] = {
        "name": f"env:{environment.name}@{environment.version}",
        "digest": str(environment.digest),
        "python": environment.python,
        "created_at": environment.created_at,
        "packages": [
            {"name": one.name, "version": one.version, "sha256": one.wheel, "licence": one.licence} for one in packages
        ],
    }
    return wire.EnvironmentPackages(
        env=document["name"],
        digest=document["digest"],
        packages=packages,
        licences=dict(Counter(one.licence or _UNSAID for one in packages).most_common()),
        bom=environment_bom(document, VERSION),
    )


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


VERBS: Final = (describe_environment,)
