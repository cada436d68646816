"""Rules of the source that no linter knows: each names what would rot first."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sources import PACKAGE, ROOT, calls, modules, tracked, tree, where

CORE = (
    *("evidence", "validation", "inventory", "data", "execution", "catalog", "gate", "policy"),
    *("identity", "vault", "ledger", "wire", "kernel", "errors"),
)
"""The rooms that know no engine and take time and chance by a port."""


def test_only_the_gate_mints_a_grant() -> None:
    """Permission is minted by a decision: no room but the gate makes a Grant."""
    offenders = [
        where(path, call)
        for path, module in modules()
        if "gate" not in path.relative_to(PACKAGE).parts
        for name, call in calls(module)
        if name.split(".")[-1] == "Grant"
    ]
    assert offenders == []


def test_the_core_takes_time_and_chance_by_a_port() -> None:
    """No room of the core reads the clock or draws chance itself; the kernel's ports are where both come in."""
    forbidden = re.compile(
        r"(datetime\.now|datetime\.utcnow|date\.today|datetime\.today|time\.time|time\.time_ns|os\.urandom"
        r"|uuid\.?uuid[14]|uuid[14]|secrets\.\w+|random\.\w+)$"
    )
    offenders = [
        f"{where(path, call)} {name}"
        for path, module in modules(*CORE)
        if path != PACKAGE / "kernel" / "ports.py"
        for name, call in calls(module)
        if forbidden.search(name)
    ]
    assert offenders == []


STANDALONE = PACKAGE / "evidence" / "verify.py"
"""The verifier for strangers: one file, not imported by the platform, which reads what it is given."""


def test_no_file_of_the_core_is_opened_by_hand() -> None:
    """The core reads and writes no files: objects come from the vault, state from the store."""
    forbidden = {"glob", "mmap", "os", "shutil", "tempfile"}
    offenders = []
    for path, module in modules(*CORE):
        if path in (STANDALONE, PACKAGE / "kernel" / "ports.py"):
            continue
        for node in ast.walk(module):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            offenders += [f"{where(path, node)} {name}" for name in names if name.split(".")[0] in forbidden]
        offenders += [f"{where(path, call)} open" for name, call in calls(module) if name == "open"]
    assert offenders == []


def test_the_verifier_for_strangers_stands_alone() -> None:
    """The verifier imports nothing but the standard library, so that an auditor needs Python and nothing else."""
    names = {
        name.split(".")[0]
        for node in ast.walk(tree(STANDALONE))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert names <= sys.stdlib_module_names


DANGEROUS = re.compile(
    r"^(eval|exec|os\.system|os\.popen|pickle\.loads?|pickle\.Unpickler|joblib\.load|dill\.loads?|cloudpickle\.loads?"
    r"|marshal\.loads?|shelve\.open|yaml\.load|yaml\.unsafe_load|torch\.load|subprocess\.getoutput)$"
)


def test_nothing_dangerous_is_called() -> None:
    """No pickle is opened, no text is run as code, no shell is started, anywhere in the product."""
    offenders = []
    for path, module in modules():
        for name, call in calls(module):
            if DANGEROUS.match(name):
                offenders.append(f"{where(path, call)} {name}")
            if any(k.arg == "shell" and not (isinstance(k.value, ast.Constant) and k.value.value is False)
                   for k in call.keywords):  # fmt: skip
                offenders.append(f"{where(path, call)} shell=")
    assert offenders == []


def _hidden_imports() -> Iterator[tuple[Path, ast.AST, str]]:
    for path, module in modules():
        for function in ast.walk(module):
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for node in ast.walk(function):
                    if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("muniment"):
                        yield path, node, str(node.module)
                    elif isinstance(node, ast.Import):
                        for name in node.names:
                            if name.name.startswith("muniment"):
                                yield path, node, name.name


def test_no_import_hides_inside_a_function() -> None:
    """A cycle is not dodged by an import inside a function.

    Only the faces may import our own modules late, to start quickly: commands, ``connect``, ``muniment`` itself.
    """
    late = {PACKAGE / "__init__.py", PACKAGE / "connecting.py"}
    offenders = [
        f"{where(path, node)} {name}"
        for path, node, name in _hidden_imports()
        if path not in late and path.relative_to(PACKAGE).parts[0] != "cli"
    ]
    assert offenders == []


def test_no_class_grows_into_a_manager() -> None:
    """The largest class has at most 20 methods: beautiful code rots first where everything meets."""
    sizes = {
        f"{where(path, node)} {node.name}": sum(
            isinstance(i, (ast.FunctionDef, ast.AsyncFunctionDef)) for i in node.body
        )
        for path, module in modules()
        for node in ast.walk(module)
        if isinstance(node, ast.ClassDef)
    }
    assert {name: size for name, size in sizes.items() if size > 20} == {}


def test_no_module_has_a_name_without_meaning() -> None:
    """A module is named after what it is about, never ``utils``, ``helpers``, ``common``, ``manager`` or ``base``."""
    empty = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "base", "misc"}
    meant = {PACKAGE / "adapters" / "sandbox" / "base.py"}  # the base root of a job is a thing of its own
    named = [path for path in tracked() if path.suffix == ".py" and path.stem in empty]
    assert [str(path.relative_to(ROOT)) for path in named if path not in meant] == []


MACHINE = re.compile(rb"(?<![\w.])/(?:work|Users)/|(?<![\w.])/home/[a-z]\w*/|/opt/pypi|/root/\.")
REGISTRY = re.compile(rb"pypi\.org|pythonhosted\.org|registry\.npmjs|artifactory", re.IGNORECASE)


@pytest.mark.parametrize(("what", "pattern"), [("a path of a machine", MACHINE), ("a package registry", REGISTRY)])
def test_no_file_names(what: str, pattern: re.Pattern[bytes]) -> None:
    """No tracked file names a path of somebody's machine or the host of a package registry."""
    allowed = {Path(__file__), ROOT / "scripts" / "lock"}
    offenders = []
    for path in tracked():
        if path not in allowed:
            content = path.read_bytes()
            for found in pattern.finditer(content):
                line = content.count(b"\n", 0, found.start()) + 1
                offenders.append(f"{path.relative_to(ROOT)}:{line} {found.group().decode()}")
    assert offenders == [], what


def test_no_data_file_of_others_is_tracked() -> None:
    """Data sets are not part of the product: no CSV, Parquet, archive or model file is tracked."""
    kinds = {".csv", ".gz", ".zip", ".parquet", ".xls", ".xlsx", ".arff", ".pkl", ".joblib", ".onnx", ".ubj", ".whl"}
    assert [str(path.relative_to(ROOT)) for path in tracked() if path.suffix in kinds] == []
