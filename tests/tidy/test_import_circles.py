"""No module of the product reaches itself by following imports: neither at run time, nor for types, nor late."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from sources import PACKAGE, modules


def _name(path: Path) -> str:
    """The dotted name of a module."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _wanted(node: ast.AST, name: str, package: bool, known: frozenset[str]) -> Iterator[str]:
    """The modules that one import statement names; ``from a import b`` names ``a.b`` when that is a module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = name.split(".")[: len(name.split(".")) - node.level + package] if node.level else []
        source = ".".join([*above, *([node.module] if node.module else [])])
        for alias in node.names:
            inner = f"{source}.{alias.name}"
            yield inner if inner in known else source


def imports(sources: Mapping[str, tuple[ast.Module, bool]]) -> dict[str, set[str]]:
    """Who imports whom, wherever the import stands: on top, under ``TYPE_CHECKING``, in a function."""
    known = frozenset(sources)
    return {
        name: {wanted for node in ast.walk(module) for wanted in _wanted(node, name, package, known) if wanted in known}
        - {name}
        for name, (module, package) in sources.items()
    }


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """The sets of modules that reach each other, by peeling off whoever imports nothing that is left, or is not
    imported by anything that is left.
    """
    left = dict(arrows)
    while True:
        imported = {wanted for name in left for wanted in left[name]}
        ends = [name for name in left if not (left[name] & left.keys()) or name not in imported]
        if not ends:
            break
        for name in ends:
            del left[name]
    return [sorted(left)] if left else []


def test_no_module_reaches_itself() -> None:
    """What stands higher knows what stands lower and never the other way, in types too."""
    sources = {_name(path): (module, path.name == "__init__.py") for path, module in modules()}
    assert len(sources) > 100, "the product is looked at"
    arrows = imports(sources)
    found = circles(arrows)
    ties = [
        f"{name} -> {wanted}"
        for circle in found
        for name in circle
        for wanted in sorted(arrows[name])
        if wanted in circle
    ]
    assert ties == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("import p.b", "from p.a import x"),
        ("from p import b", "from .a import x"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.b import y", "import p.a"),
        ("def late():\n    from p.b import y", "from . import a"),
    ],
)
def test_a_circle_is_found_wherever_it_hides(first: str, second: str) -> None:
    """The rule above sees an import on top, relative, for types only, and inside a function; one way is no circle."""
    sources = {"p": (ast.parse(""), True), "p.a": (ast.parse(first), False), "p.b": (ast.parse(second), False)}
    assert circles(imports(sources)) == [["p.a", "p.b"]]
    assert circles(imports({**sources, "p.b": (ast.parse("import os"), False)})) == []
