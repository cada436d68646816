"""Runs a user's script unchanged: its source tree is unpacked in the sandbox, its working directory is that tree.

The tree comes as a tar whose digest is part of the plan. Only regular files and folders below the tree are taken; the
tar is read here, inside, and nowhere else. The script is started as ``python script.py ARGUMENTS`` would start it.
Hyperparameters are found where the public contract puts them: ``hyperparameters.json``, ``SM_HP_*`` and, for scripts
that parse their command line, as ``--name value`` in front of the given arguments. Standard library only.
"""

from __future__ import annotations

import os
import runpy
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from muniment.errors import Invalid
from muniment.programs.contract import Job, unexpected, visible

TREE = Path(os.environ.get("MUNIMENT_TREE", "/tmp/source"))  # noqa: S108 - the sandbox's own, empty, private /tmp
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
                target.write_bytes(content.read())
    except (tarfile.TarError, EOFError) as broken:
        raise Invalid("MUNI-D163", "the source tree is not a tar", reason=visible(str(broken))) from broken
    return count


def arguments(params: Mapping[str, Any], given: list[str]) -> list[str]:
    """The command line that a script parses: hyperparameters as ``--name value``, then what was given."""
    line: list[str] = []
    for name, value in params.items():
        line += [f"--{name}", value if isinstance(value, str) else str(value)]
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
    for folder in ("model", "output/data"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    sys.argv = [str(script), *arguments(job.given(), sys.argv[1:])]
    sys.path.insert(0, str(script.parent))
    os.chdir(TREE)
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as left:
        if left.code not in (None, 0):
            job.fail(_crash("MUNI-D165", "the script left with an exit code", entry, str(left.code)))
        raise
    except BaseException as broken:
        document = unexpected(broken)
        where = _line_in(broken, TREE)
        document |= {"code": "MUNI-D166", "message": f"the script failed: {document['facts']['type']}"}
        document["facts"] |= {"script": visible(entry, 200), "where": where or document["facts"]["where"]}
        document["facts"]["do"] = "the log holds the traceback: muni runs logs"
        job.fail(document)
        raise


def _crash(code: str, message: str, entry: str, detail: str) -> dict[str, Any]:
    return {"code": code, "message": message, "facts": {"script": visible(entry, 200), "detail": visible(detail)}}


def _line_in(broken: BaseException, tree: Path) -> str | None:
    where, step = None, broken.__traceback__
    while step is not None:
        name = step.tb_frame.f_code.co_filename
        if name.startswith(f"{tree}/"):
            where = f"{name[len(str(tree)) + 1 :]}:{step.tb_lineno}"
        step = step.tb_next
    return where


if __name__ == "__main__":
    main()
