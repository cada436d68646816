"""The contract between a job and the platform: the public ``/opt/ml`` layout, and one failure document.

Reads ``input/config/hyperparameters.json`` and ``input/data/<channel>/``; writes ``model/``, ``output/data/`` and,
when the program refuses or breaks, ``output/failure``: one JSON document ``{code, message, facts}``; the exit status
is then
1. The root comes from ``MUNIMENT_ML_ROOT``, ``/opt/ml`` by default. Standard library only.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from typing import Any, NoReturn

from muniment.errors import Invalid, MunimentError
from muniment.programs.parameters import Parameter, read_parameters
from muniment.programs.tracking import report

__all__ = ["CellFailed", "Job", "run"]

_VISIBLE = 40
_ROOM = 16 << 10


class Job:
    """One run of a program, seen from inside: what it was given and where its results go."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @classmethod
    def here(cls) -> Job:
        """The job this process runs in."""
        return cls(Path(os.environ.get("MUNIMENT_ML_ROOT", "/opt/ml")))

    @property
    def model(self) -> Path:
        """The folder of the model: an output."""
        return self._folder("model")

    @property
    def results(self) -> Path:
        """The folder of all other outputs."""
        return self._folder("output/data")

    def given(self) -> dict[str, Any]:
        """The hyperparameters as they were given.

        Raises:
            Invalid: the file is not one JSON object.
        """
        path = self._root / "input/config/hyperparameters.json"
        try:
            given = json.loads(path.read_bytes()) if path.exists() else {}
        except ValueError as broken:
            raise Invalid(
                "MUNI-D135", "hyperparameters.json is not a JSON object", do="write one JSON object"
            ) from broken
        if not isinstance(given, dict):
            raise Invalid("MUNI-D135", "hyperparameters.json is not a JSON object", do="write one JSON object")
        return given

    def parameters(self, declared: Iterable[Parameter]) -> dict[str, Any]:
        """The hyperparameters by the program's own table; see ``read_parameters`` for what is refused."""
        return read_parameters(self.given(), declared)

    def has_channel(self, name: str) -> bool:
        """Whether the job was given this input."""
        return (self._root / "input/data" / name).is_dir()

    def channel(self, name: str) -> Path:
        """The folder of one input.

        Raises:
            Invalid: the job was not given this input, or it is empty.
        """
        folder = self._root / "input/data" / name
        if not folder.is_dir() or not any(folder.iterdir()):
            raise Invalid("MUNI-D134", f"the input {name!r} is missing", channel=name, do=f"declare an input {name!r}")
        return folder

    def key(self, name: str) -> bytes:
        """A secret that the platform lent to this job.

        Raises:
            Invalid: the job was given no such key.
        """
        path = self._root / "input/config/keys" / name
        if not path.is_file():
            raise Invalid("MUNI-O114", f"the job was given no key {name!r}", key=name, do="this is a defect")
        return path.read_bytes()

    def write(self, name: str, document: Mapping[str, Any]) -> None:
        """Write a result document, ``name`` relative to the results; keys sorted, floats shortest and exact."""
        path = self.results / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")

    def metrics(self, step: int | None, values: Mapping[str, float]) -> None:
        """Report metrics live, all of the same step (None: of the job as a whole)."""
        report(step, values)

    def keep_room(self) -> None:
        """Take the room of a failure document while there is some: a program that fills the disk can still say so."""
        self._failure.write_bytes(b" " * _ROOM)

    def give_room(self) -> None:
        """There is no failure to tell."""
        self._failure.unlink(missing_ok=True)

    def fail(self, document: Mapping[str, Any]) -> None:
        """Leave the failure document."""
        self._failure.write_text(
            json.dumps(document, sort_keys=True, ensure_ascii=False, default=str) + "\n", encoding="utf-8"
        )

    @property
    def _failure(self) -> Path:
        return self._folder("output") / "failure"

    def _folder(self, name: str) -> Path:
        folder = self._root / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


class CellFailed(Exception):
    """A cell of a notebook raised; place and type are all that is told outside of the sealed log."""

    def __init__(self, cell: int, kind: str) -> None:
        super().__init__(f"cell {cell}: {kind}")
        self.cell = cell
        """Its number among the cells of code, from 1."""
        self.kind = kind
        """The name of the exception's type."""


def run(program: Callable[[Job], None]) -> NoReturn:
    """Run a program as this process: exit 0, or leave a failure document and exit 1."""
    job = Job.here()
    job.keep_room()
    try:
        program(job)
    except MunimentError as refusal:
        job.fail({"code": refusal.code, "message": refusal.message, "facts": refusal.facts})
        sys.stderr.write(f"{refusal.code}: {refusal.message}\n")
        sys.exit(1)
    except BaseException as broken:  # one failure document for whatever happens: the platform reads nothing else
        job.fail(unexpected(broken))
        sys.stderr.write(f"MUNI-D599: {type(broken).__name__}: {visible(str(broken))}\n")
        sys.exit(1)
    job.give_room()
    sys.exit(0)


def unexpected(broken: BaseException) -> dict[str, Any]:
    """The failure document of a defect: type and place; its text may hold data, and goes to the sealed log alone."""
    frames = traceback.extract_tb(broken.__traceback__)
    ours = [frame for frame in frames if "muniment" in frame.filename] or frames
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "unknown"
    message, advice = "the program failed unexpectedly", "this is a defect of the program: report type and place"
    if isinstance(broken, MemoryError):
        message, advice = "the program ran out of memory", "give the job more memory: --memory-mb"
    elif isinstance(broken, OSError) and broken.errno in (ENOSPC, EDQUOT, EFBIG):
        message, advice = "the program ran out of room", "give its results more room: --output-mb"
    return {
        "code": "MUNI-D599",
        "message": message,
        "facts": {
            "type": type(broken).__name__,
            "where": where,
            "do": advice,
        },
    }


def visible(text: str, limit: int = _VISIBLE) -> str:
    """At most ``limit`` characters of a text from outside, with control characters made visible."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:limit])
    return shown[:limit] + ("…" if len(text) > limit else "")
