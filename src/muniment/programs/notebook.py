"""Runs a notebook cell by cell, in a kernel of its own, as nbclient does anywhere else.

The kernel is a process of the same sandbox and talks over sockets in a folder, because there is no network. A cell
tagged ``parameters`` is followed by one that sets what the job was given, as papermill does it. What cells print is
printed as they print it, so that ``auc=0.77`` on a line is a metric; the notebook with its results is an output.

Source: the notebook format 4.5 (nbformat); the tag ``parameters`` of papermill.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from muniment.errors import Invalid
from muniment.programs.contract import CellFailed

__all__ = ["play"]

_TAG: Final = "parameters"
_METRICS: Final = "MUNIMENT_METRICS_FD"


class _OwnInterpreter(KernelSpecManager):  # type: ignore[misc]
    """Knows one kernel: the interpreter that runs this."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        command = [sys.executable, "-s", "-P", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=[*command, "--HistoryManager.enabled=False"], language="python", display_name="job")


class _Played(NotebookClient):  # type: ignore[misc]
    """Passes on what cells print."""

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str, cell_index: int) -> Any:
        made = super().output(outs, msg, display_id, cell_index)
        if made is not None and made.get("output_type") == "stream":
            stream = sys.stderr if made["name"] == "stderr" else sys.stdout
            stream.write(msg["content"]["text"])
            stream.flush()
        return made


def play(path: Path, given: Mapping[str, Any], made: Path) -> None:
    """Run a notebook from its first cell to its last.

    Args:
        path: the notebook.
        given: parameters, set after the cell that is tagged so, else before the first cell.
        made: where the notebook goes with its results, also when a cell fails.

    Raises:
        Invalid: it is no notebook, or one of another language.
        CellFailed: a cell raised, or the kernel died in it.
    """
    book = _read(path)
    _set(book, given)
    place = Path(os.environ.get("TMPDIR", "/tmp"), "kernel")  # noqa: S108 - the sandbox's own, empty, private /tmp
    place.mkdir(mode=0o700, exist_ok=True)
    os.environ.update({name: str(place) for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTER_CONFIG_DIR")})
    os.environ.setdefault("MPLBACKEND", "agg")
    manager = AsyncKernelManager(
        transport="ipc", ip=str(place / "socket"), kernel_spec_manager=_OwnInterpreter(), kernel_name="python3"
    )
    client = _Played(book, km=manager, timeout=None, resources={"metadata": {"path": str(path.parent)}})
    declared = os.environ.get(_METRICS, "")
    try:
        asyncio.run(_run(client, (int(declared),) if declared.isdigit() else ()))
    except CellExecutionError as failed:
        raise CellFailed(_number(book), failed.ename) from failed
    except DeadKernelError as dead:
        raise CellFailed(_number(book), "the kernel died") from dead
    finally:
        made.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(book, made)


async def _run(client: NotebookClient, descriptors: tuple[int, ...]) -> None:
    await client.async_execute(pass_fds=descriptors)


def _read(path: Path) -> Any:
    try:
        book = nbformat.read(path, as_version=4)
        nbformat.validate(book)
    except Exception as broken:  # whatever a reader of foreign notebooks raises
        raise Invalid(
            "MUNI-N128", "the notebook is not readable", notebook=path.name[:80], reason=type(broken).__name__
        ) from broken
    language = book.metadata.get("kernelspec", {}).get("language") or book.metadata.get("language_info", {}).get("name")
    if (language or "python") != "python":
        raise Invalid(
            "MUNI-N129", "the notebook is not of Python", notebook=path.name[:80], language=str(language)[:40]
        )
    return book


def _set(book: Any, given: Mapping[str, Any]) -> None:
    if not given:
        return
    lines = "\n".join(f"{name} = {value!r}" for name, value in given.items() if name.isidentifier())
    cell = nbformat.v4.new_code_cell(f"# What the job was given\n{lines}", metadata={"tags": ["injected-parameters"]})
    tagged = [place for place, one in enumerate(book.cells) if _TAG in one.metadata.get("tags", ())]
    book.cells.insert(tagged[0] + 1 if tagged else 0, cell)


def _number(book: Any) -> int:
    """The cell that failed, among the cells of code: the last one that has run."""
    code = [one for one in book.cells if one.cell_type == "code"]
    return max((place for place, one in enumerate(code, 1) if one.get("execution_count") or one.outputs), default=1)
