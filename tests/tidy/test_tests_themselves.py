"""The tests keep their own rules: each says what it shows, asserts it, patches nothing and does not hope."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from sources import ROOT, calls, dotted, tracked, tree, where

THIS = Path(__file__)


def _files() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py" and ROOT / "tests" in path.parents]


def _tests() -> Iterator[tuple[Path, ast.FunctionDef]]:
    for path in _files():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and path.name.startswith("test_"):
                yield path, node


def test_every_test_states_its_property() -> None:
    """Each test has a docstring that says what is true when it passes."""
    assert [f"{where(path, node)} {node.name}" for path, node in _tests() if not ast.get_docstring(node)] == []


def test_every_test_asserts_something() -> None:
    """Each test asserts, expects an error, or calls what itself checks: ``check…``, ``refuse…``."""
    speaking = ("raises", "fail", "warns", "run_state_machine_as_test")
    offenders = [
        f"{where(path, node)} {node.name}"
        for path, node in _tests()
        if not any(isinstance(inner, ast.Assert) for inner in ast.walk(node))
        and not any(
            name.split(".")[-1] in speaking
            or name.split(".")[-1].lstrip("_").startswith(("assert_", "check", "refuse"))
            for name, _ in calls(node)
        )
    ]
    assert offenders == []


def test_no_test_patches_our_own_code() -> None:
    """Fakes implement ports: nothing is patched, and no mock library is used."""
    offenders = []
    for path in _files():
        for node in ast.walk(tree(path)):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
                if any(name.split(".")[-1] in ("mock", "pytest_mock") for name in names):
                    offenders.append(where(path, node))
            patches = isinstance(node, ast.Call) and dotted(node.func) in ("monkeypatch.setattr", "mocker.patch")
            if patches and dotted(node.args[0]) not in ("os", "sys"):
                offenders.append(where(path, node))
    assert offenders == []


def test_no_test_sleeps_to_be_right() -> None:
    """A test may pause inside a loop that waits for a condition; a sleep on its own hopes."""
    offenders = []
    for path in _files():
        waiting = {
            inner
            for loop in ast.walk(tree(path))
            if isinstance(loop, (ast.While, ast.For))
            for inner in ast.walk(loop)
            if isinstance(inner, ast.Call)
        }
        offenders += [
            where(path, call)
            for name, call in calls(tree(path))
            if name in ("time.sleep", "sleep", "asyncio.sleep") and call not in waiting
        ]
    assert offenders == []


def test_names_of_test_files_are_unique() -> None:
    """Files are imported by name: two of the same name in different folders would shadow one another."""
    counted = Counter(path.name for path in _files() if path.name not in ("__init__.py", "conftest.py"))
    assert [name for name, count in counted.items() if count > 1] == []
