"""From a plan to a launch: what exactly stands in the sandbox, and which pins make a run repeatable. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, Final

from muniment.errors import Invalid
from muniment.execution.model import Part, ResolvedJob
from muniment.execution.ports import CODE, INPUT, MODEL, OUTPUT, Inline, Input, Launch, Limits
from muniment.kernel.canonical import canonical

ARCHIVE: Final = f"{CODE}/muniment.zip"
SOURCE: Final = f"{INPUT}/source.tar"
PYTHON: Final = "/env/bin/python"

PINS: Final[Mapping[str, str]] = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "LC_ALL": "C.UTF-8",
    "MKL_CBWR": "COMPATIBLE",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "OMP_DYNAMIC": "FALSE",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "OPENBLAS_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "2",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
    "SOURCE_DATE_EPOCH": "315532800",
    "TZ": "UTC",
}
"""Variables that take chance, place and processor out of a run (threads, hash seed, time zone, BLAS kernel)."""

Opener = Callable[[Part], Callable[[], AbstractContextManager[BinaryIO]]]


def launch(
    job: ResolvedJob,
    run: str,
    channels: Mapping[str, Sequence[Part]],
    source: Part | None,
    archive: bytes,
    base: Path,
    env: Path,
    open_part: Opener,
    secrets: Mapping[str, bytes] | None = None,
) -> Launch:
    """What the engine is given for a plan.

    Args:
        job: the plan.
        run: id of the run, for people.
        channels: the sealed files of each input channel.
        source: the user's source tree, a tar that is unpacked inside.
        archive: the platform's programs, an importable zip.
        base: base root on this machine.
        env: environment tree on this machine.
        open_part: how a sealed file is opened.
        secrets: what the keys that the plan names are, by file name.
    """
    inputs = [
        Input(f"{INPUT}/data/{channel}/{part.path}", part.size, part.digest, open_part(part))
        for channel, parts in sorted(channels.items())
        for part in parts
    ]
    if source is not None:
        inputs.append(Input(SOURCE, source.size, source.digest, open_part(source)))
    return Launch(
        argv=(PYTHON, "-s", "-P", "-m", job.program, *job.arguments),
        environment=variables(job, tuple(sorted(channels))),
        base=base,
        env=env,
        inputs=tuple(inputs),
        files=(
            Inline(ARCHIVE, archive),
            *_configuration(job, tuple(sorted(channels))),
            *(Inline(f"{INPUT}/config/keys/{name}", secret) for name, secret in sorted((secrets or {}).items())),
        ),
        limits=Limits(**{name: int(value) for name, value in job.limits.items()}),
        name=f"{job.kind}-{run}",
    )


def variables(job: ResolvedJob, channels: tuple[str, ...]) -> dict[str, str]:
    """The whole environment of a job: the pins, and the public ``SM_*`` contract.

    Raises:
        Invalid: two channels or parameters differ only in what a variable's name cannot say (``a-b``, ``a_b``).
    """
    environment = {
        **PINS,
        "PYTHONPATH": ARCHIVE,
        "MUNIMENT_SEED": str(job.seed),
        "SM_CHANNELS": json.dumps(channels),
        "SM_CURRENT_HOST": "job",
        "SM_HOSTS": '["job"]',
        "SM_HPS": json.dumps(dict(job.params), sort_keys=True),
        "SM_INPUT_CONFIG_DIR": f"{INPUT}/config",
        "SM_INPUT_DIR": INPUT,
        "SM_MODEL_DIR": MODEL,
        "SM_NUM_CPUS": "1",
        "SM_NUM_GPUS": "0",
        "SM_OUTPUT_DATA_DIR": f"{OUTPUT}/data",
        "SM_OUTPUT_DIR": OUTPUT,
        "SM_USER_ARGS": json.dumps(list(job.arguments)),
    }
    if job.rules:
        environment["MUNIMENT_RULES"] = canonical(dict(job.rules)).decode()
    if job.entry is not None:
        environment["MUNIMENT_ENTRY"] = job.entry
    given = [(f"SM_CHANNEL_{_shout(channel)}", f"{INPUT}/data/{channel}") for channel in channels]
    for name, value in job.params.items():
        given.append((f"SM_HP_{_shout(name)}", value if isinstance(value, str) else json.dumps(value)))
    for variable, text in given:
        if variable in environment:
            raise Invalid("MUNI-X129", "two inputs or parameters have one variable", variable=variable)
        environment[variable] = text
    return environment


def _configuration(job: ResolvedJob, channels: tuple[str, ...]) -> tuple[Inline, ...]:
    channel = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    documents: dict[str, Any] = {
        "hyperparameters.json": dict(job.params),
        "inputdataconfig.json": dict.fromkeys(channels, channel),
        "resourceconfig.json": {"current_host": "job", "hosts": ["job"], "network_interface_name": "lo"},
    }
    return tuple(Inline(f"{INPUT}/config/{name}", canonical(document)) for name, document in documents.items())


def _shout(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name).upper()
