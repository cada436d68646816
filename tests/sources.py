"""The repository read as text and syntax trees, for the tidy tests."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "muniment"


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that belongs to the product: what git tracks, or would, and that still exists."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    return tuple(ROOT / name for name in listed if name and (ROOT / name).is_file())


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def modules(*rooms: str) -> Iterator[tuple[Path, ast.Module]]:
    """The Python files of the package, or of some of its rooms, with their syntax trees."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if not rooms or path.relative_to(PACKAGE).parts[0].removesuffix(".py") in rooms:
            yield path, tree(path)


def dotted(node: ast.expr) -> str:
    """``a.b.c`` of a name or an attribute chain; the last parts only when the chain starts with an expression."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(root: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call below a node with its dotted name."""
    for node in ast.walk(root):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node


def where(path: Path, node: ast.AST) -> str:
    """``path:line`` as an editor takes it."""
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
