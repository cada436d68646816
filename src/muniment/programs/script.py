"""Runs a user's script or notebook unchanged: its source tree is unpacked in the sandbox, and is the working directory.

The tree comes as a tar whose digest is part of the plan. Only regular files and folders below the tree are taken; the
tar is read here, inside, and nowhere else. The script is started as ``python script.py ARGUMENTS`` would start it. What
its exceptions and exits say may hold data, so only their types and places leave in the failure document; the log, which
is sealed, holds the rest.

Hyperparameters are found where the public contract puts them: ``hyperparameters.json``, ``SM_HP_*`` and, for scripts
that parse their command line, as ``--name value`` in front of the given arguments. Standard library only.
"""

from __future__ import annotations

import errno
import json
import os
import runpy
import shutil
import sys
import tarfile
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from muniment.errors import Invalid
from muniment.programs.contract import CellFailed, Job, visible
from muniment.programs.debugging import watching
from muniment.programs.mlflow_harvest import harvest, prepare
from muniment.programs.r_scripts import RFailed, play_r

TREE = Path(os.environ.get("MUNIMENT_TREE", "/tmp/source"))  # noqa: S108 - the sandbox's own, empty, private /tmp
_OWN = ("MUNI-N128", "MUNI-N129", "MUNI-N131", "MUNI-N132", "MUNI-N133", "MUNI-N107")
"""What this program itself refuses once the tree is unpacked; every other refusal comes from the script."""

_MOST_FILES = 20_000
_MOST_BYTES = 512 << 20


def unpack(archive: Path, tree: Path) -> int:
    """Unpack a source tree and return how many files it has.

    Raises:
        Invalid: a member is no regular file, leaves the tree, or there are too many.
    """
    count, size = 0, 0
    try:
        with tarfile.open(archive, mode="r:") as members:
            for member in members:
                path = PurePosixPath(member.name)
                count, size = count + 1, size + member.size
                if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
                    raise Invalid("MUNI-D161", "a source tree holds plain files only", member=visible(member.name))
                if count > _MOST_FILES or size > _MOST_BYTES:
                    raise Invalid("MUNI-D162", "the source tree is too large", files=_MOST_FILES, bytes=_MOST_BYTES)
                target = tree / path
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                content = members.extractfile(member)
                if content is None or target.exists():
                    raise Invalid("MUNI-D161", "a source tree holds plain files only", member=visible(member.name))
                # The mode comes with the file: behind Landlock none can be changed afterwards.
                with open(target, "xb", opener=_program if member.mode & 0o100 else _plain) as file:
                    shutil.copyfileobj(content, file)
    except (tarfile.TarError, EOFError, OSError, ValueError) as broken:
        raise Invalid("MUNI-D163", "the source tree is not a usable tar", reason=type(broken).__name__) from broken
    return count


def _program(path: str, flags: int) -> int:
    return os.open(path, flags, 0o755)


def _plain(path: str, flags: int) -> int:
    return os.open(path, flags, 0o644)


def arguments(params: Mapping[str, Any], given: list[str]) -> list[str]:
    """The command line that a script parses: hyperparameters as ``--name value``, then what was given."""
    line: list[str] = []
    for name, value in params.items():
        if value is not None:
            line += [f"--{name}", json.dumps(value) if isinstance(value, (list, dict)) else str(value)]
    return line + given


def main() -> None:
    """Run the script as ``__main__``; its exit is this program's exit."""
    job, root = Job.here(), Path(os.environ.get("MUNIMENT_ML_ROOT", "/opt/ml"))
    entry = os.environ["MUNIMENT_ENTRY"]
    try:
        unpack(root / "input/source.tar", TREE)
        script = TREE / entry
        if not script.is_file():
            raise Invalid("MUNI-D164", "the source tree does not hold the script", script=visible(entry))
    except Invalid as refusal:
        job.fail({"code": refusal.code, "message": refusal.message, "facts": refusal.facts})
        sys.exit(1)
    job.keep_room()
    for folder in ("model", "output/data"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    sys.argv = [str(script), *arguments(job.given(), sys.argv[1:])]
    sys.path.insert(0, str(script.parent))
    os.chdir(TREE)
    try:
        add_checks()
        _play(script, root)
    except SystemExit as left:
        if left.code not in (None, 0):
            code = left.code if isinstance(left.code, int) else 1
            job.fail(_told("MUNI-D165", f"the script left with exit code {code}", entry, _line_in(left, TREE)))
        else:
            job.give_room()
        raise
    except BaseException as broken:
        if isinstance(broken, Invalid) and broken.code in _OWN:
            job.fail({"code": broken.code, "message": broken.message, "facts": broken.facts})
            raise
        if isinstance(broken, CellFailed):
            job.fail(_told("MUNI-N130", f"the notebook failed: {visible(broken.kind)}", entry, f"cell {broken.cell}"))
            raise
        if isinstance(broken, RFailed):
            where = None if broken.line is None else f"{entry}:{broken.line}"
            job.fail(_told("MUNI-D166", f"the script failed: {visible(broken.kind)}", entry, where, broken.advice))
            sys.exit(1)
        kind = visible(type(broken).__name__)
        if isinstance(broken, OSError) and broken.errno is not None:
            kind += f" ({errno.errorcode.get(broken.errno, broken.errno)})"
        job.fail(_told("MUNI-D166", f"the script failed: {kind}", entry, _line_in(broken, TREE)))
        raise
    job.give_room()


def _play(script: Path, root: Path) -> None:
    """Run the script as ``__main__``; what it told MLflow by then is gathered, however it ended."""
    asked = prepare(os.environ)
    try:
        if script.suffix == ".ipynb":
            _play_notebook(script, root / "output/data" / script.name)
        elif script.suffix in (".R", ".r"):
            play_r(script, sys.argv[1:])
        else:
            runpy.run_path(str(script), run_name="__main__")
    finally:
        if asked:
            try:
                harvest(root)
            except OSError as full:
                sys.stderr.write(f"what was told to MLflow could not all be gathered: {full}\n")


def _play_notebook(script: Path, made: Path) -> None:
    """Run a notebook by what the environment holds for that.

    Raises:
        Invalid: the environment does not hold it.
    """
    if absent := [name for name in ("ipykernel", "nbclient") if find_spec(name) is None]:
        raise Invalid(
            "MUNI-N133",
            "this job environment cannot play notebooks",
            missing=absent,
            do="build one that holds ipykernel and nbclient, and name it: --env REF",
        )
    import_module("muniment.programs.notebook").play(script, Job.here().given(), made)


def add_checks() -> None:
    """Have the rules of the user's own look at what the script reports.

    Raises:
        Invalid: a rule is not in the source tree.
    """
    one = watching()
    for place in one.plan.get("custom", ()):
        path, _, name = place.partition(":")
        file = TREE / path
        if not file.is_file():
            raise Invalid("MUNI-N107", "the source tree does not hold the rule", rule=visible(place, 200))
        check = runpy.run_path(str(file), run_name="muniment_rule").get(name)
        if not callable(check):
            raise Invalid("MUNI-N107", "the source tree does not hold the rule", rule=visible(place, 200))
        one.add_check(place, check)


def _told(
    code: str,
    message: str,
    entry: str,
    where: str | None,
    advice: str = "the log holds the traceback: muni runs logs RUN",
) -> dict[str, Any]:
    facts = {"script": visible(entry, 200), "where": where, "do": advice}
    return {"code": code, "message": message, "facts": facts}


def _line_in(broken: BaseException, tree: Path) -> str | None:
    where, step = None, broken.__traceback__
    while step is not None:
        name = step.tb_frame.f_code.co_filename
        if name.startswith(f"{tree}/"):
            where = f"{name[len(str(tree)) + 1 :]}:{step.tb_lineno}"
        step = step.tb_next
    if isinstance(broken, SyntaxError) and (broken.filename or "").startswith(f"{tree}/"):
        where = f"{str(broken.filename)[len(str(tree)) + 1 :]}:{broken.lineno}"
    return where


if __name__ == "__main__":
    main()
