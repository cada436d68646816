"""Functions and cells of a notebook as hermetic jobs.

A marked function is sent as source, never as a pickle: its own text, and the text of everything from the notebook that
it names, gathered when it is called. What it names must therefore be a module, a function or class with source, or a
plain value; anything else belongs into an input or a parameter, and is refused by name.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import io
import json
import linecache
import re
import tarfile
import textwrap
from collections.abc import Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any, Final, Protocol

from muniment.errors import Invalid
from muniment.sdk.asking import Asking, Watch
from muniment.sdk.runs import Run, channels
from muniment.wire import execution as wx

__all__ = ["MarkedFunction", "cell_job", "gathered"]

_ENTRY: Final = "main.py"
_LARGEST: Final = 64 * 1024
_SHORTEST: Final = 6
"""Characters: a shorter text is a word, and no secret."""

_SECRET_NAME: Final = re.compile(
    r"(?:^|_|[a-z](?=[A-Z]))(?:token|secret|password|passwd|passphrase|pwd|api_?key|access_?key|secret_?key|private_?key|"
    r"credentials?)$",
    re.IGNORECASE,
)
_SECRET_FORM: Final = re.compile(
    r"muni_[a-z0-9]{2,}_|gh[pousr]_[A-Za-z0-9]{20}|github_pat_|glpat-|xox[abprs]-|sk-[A-Za-z0-9_-]{20}|hf_[A-Za-z0-9]{20}"
    r"|A(?:KIA|SIA)[A-Z0-9]{16}|-----BEGIN [A-Z ]*PRIVATE KEY|eyJ[A-Za-z0-9_-]{10,}\.eyJ|[a-z+]{2,20}://[^/\s:@]+:[^/\s:@]+@"
)
"""Of tokens of well-known services, private keys, JSON web tokens, and addresses with a password."""
_RUN: Final = """

if __name__ == "__main__":
    import json
    from pathlib import Path

    import muniment

    given = json.loads(Path("/opt/ml/input/config/hyperparameters.json").read_text())
    found = {name}(**given)
    if isinstance(found, dict):
        muniment.log_metrics({{name: value for name, value in found.items() if isinstance(value, (int, float))}})
"""


class _Client(Asking, Protocol):
    jobs: Any


class MarkedFunction:
    """A function that runs as a job when it is called; ``local`` runs it here."""

    def __init__(self, client: _Client, function: FunctionType, about: Mapping[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self._client, self._about = client, dict(about)
        self.local = function
        """The function as it was written."""

    def __call__(self, watch: Watch | None = None, /, **params: Any) -> Run:
        """Run it as a job and wait for it; the arguments are the job's parameters."""
        run: Run = self.submit(**params).wait(watch).checked()
        return run

    def submit(self, **params: Any) -> Run:
        """Run it as a job; gives the run at once.

        Raises:
            Invalid: an argument is no parameter of the function or no plain value, or the function names something
            that cannot be sent as source.
        """
        try:
            bound = inspect.signature(self.local).bind(**params)
        except TypeError as unfit:
            raise Invalid(
                "MUNI-A134", f"{self.local.__name__} does not take these arguments: {unfit}", given=sorted(params)
            ) from unfit
        _plain(bound.arguments)
        source = gathered(self.local)
        return _send(self._client, source + _RUN.format(name=self.local.__name__), bound.arguments, self._about)

    def __repr__(self) -> str:
        return f"<job {self.local.__name__}{inspect.signature(self.local)}>"


def cell_job(client: _Client, cell: str, namespace: Mapping[str, Any], about: Mapping[str, Any]) -> Run:
    """Run the text of a cell as a job; what it names is gathered from the notebook as for a marked function.

    Args:
        client: who asks.
        cell: the text.
        namespace: what the notebook knows.
        about: ``inputs``, ``experiment``, ``seed`` and the like.

    Raises:
        Invalid: the cell is no Python, or names something that cannot be sent as source.
    """
    try:
        tree = ast.parse(cell)
    except SyntaxError as broken:
        raise Invalid("MUNI-A135", "the cell is no Python", line=broken.lineno, reason=broken.msg) from broken
    stored = {one.id for one in ast.walk(tree) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    named = {one.id for one in ast.walk(tree) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}
    parts = _parts({name: namespace[name] for name in sorted(named - stored) if name in namespace}, {})
    return _send(client, "".join(parts) + cell + "\n", {}, about)


def gathered(function: FunctionType) -> str:
    """The source of a function, with that of everything it names, in an order in which it can be run.

    Raises:
        Invalid: something that it names cannot be sent as source.
    """
    if function.__closure__:
        raise Invalid(
            "MUNI-A136",
            f"{function.__name__} is made inside another function",
            names=list(function.__code__.co_freevars)[:10],
            do="define it at the top level of the notebook",
        )
    done: dict[str, str] = {}
    parts = _parts(_named(function), done)
    return "".join(parts) + _text(function, function.__name__)


def _parts(names: Mapping[str, Any], done: dict[str, str]) -> Iterator[str]:
    for name, value in names.items():
        if name in done:
            continue
        done[name] = ""
        if isinstance(value, ModuleType):
            yield f"import {value.__name__} as {name}\n" if value.__name__ != name else f"import {name}\n"
        elif isinstance(value, MarkedFunction):
            yield from _parts(_named(value.local), done)
            yield _text(value.local, name)
        elif isinstance(value, (FunctionType, type)) and value.__module__ not in ("__main__", "builtins", None):
            yield f"from {value.__module__} import {value.__qualname__} as {name}\n"
        elif isinstance(value, FunctionType):
            yield from _parts(_named(value), done)
            yield _text(value, name)
        elif isinstance(value, type):
            for method in vars(value).values():
                if isinstance(method, FunctionType):
                    yield from _parts({k: v for k, v in _named(method).items() if v is not value}, done)
            yield _text(value, name)
        else:
            yield f"{name} = {_literal(name, value)}\n"


def _named(function: FunctionType) -> dict[str, Any]:
    """What a function names outside of itself, also in functions within it."""
    names: list[str] = []
    waiting = [function.__code__]
    while waiting:
        code = waiting.pop()
        names += code.co_names
        waiting += [one for one in code.co_consts if inspect.iscode(one)]
    known = function.__globals__
    return {
        name: known[name]
        for name in dict.fromkeys(names)
        if name in known and not hasattr(builtins, name) and known[name] is not function
    }


def _text(value: Any, name: str) -> str:
    try:
        text = textwrap.dedent(_class_text(value) if isinstance(value, type) else inspect.getsource(value))
    except (OSError, TypeError) as absent:
        raise Invalid(
            "MUNI-A137", f"the source of {name} is not known", name=name, do="define it in a cell or in a file"
        ) from absent
    tree = ast.parse(text)
    top = tree.body[0]
    # The decorator marks it for here; inside it is a function like any other.
    first = top.lineno if isinstance(top, (ast.FunctionDef, ast.ClassDef)) else 1
    return "".join(text.splitlines(keepends=True)[first - 1 :]).rstrip("\n") + "\n\n"


def _class_text(value: type) -> str:
    """The text of a class, found by the cell or file that its methods come from: a notebook has no module file."""
    method = next((one for one in vars(value).values() if isinstance(one, FunctionType)), None)
    lines = linecache.getlines(method.__code__.co_filename) if method is not None else []
    for node in ast.walk(ast.parse("".join(lines))):
        if isinstance(node, ast.ClassDef) and node.name == value.__name__ and node.end_lineno is not None:
            return "".join(lines[node.lineno - 1 : node.end_lineno])
    raise OSError(value.__name__)


def _literal(name: str, value: Any) -> str:
    text = repr(value)
    try:
        same = len(text) <= _LARGEST and ast.literal_eval(text) == value
    except (ValueError, SyntaxError, TypeError):
        same = False
    if not same:
        raise _unsendable(name, value)
    return text


def _plain(params: Mapping[str, Any]) -> None:
    for name, value in params.items():
        try:
            same = json.loads(json.dumps(value, allow_nan=False)) == value
        except (TypeError, ValueError):
            same = False
        if not same:
            raise _unsendable(name, value)


def _unsendable(name: str, value: Any) -> Invalid:
    kind = type(value).__name__
    return Invalid(
        "MUNI-A138",
        f"{name} is a {kind}: it cannot be sent as source",
        name=name,
        type=kind,
        do="add data as a data set and mount it as an input; give small values as arguments",
    )


def _check_secrets(source: str, params: Mapping[str, Any]) -> None:
    """Refuse what looks like a secret: source and parameters stand in the record, where no erasure takes one line out.

    Raises:
        Invalid: a text is called like a secret, or has the form of one; the place is named, never the text.
    """
    found = [*_secrets(ast.parse(source)), *(name for name, value in params.items() if _is_secret(name, value))]
    if found:
        raise Invalid(
            "MUNI-A140",
            f"{found[0]} looks like a secret, and what is sent as source stays in the record",
            names=sorted(set(found))[:10],
            do="leave it out: a job has no network to use it on; call it otherwise when it is no secret",
        )


def _secrets(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _named_secrets(target, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield from _named_secrets(node.target, node.value)
        elif isinstance(node, ast.keyword) and node.arg is not None:
            yield from _named_secrets(ast.Name(node.arg), node.value)
        elif isinstance(node, ast.arguments):
            given = [*node.posonlyargs, *node.args]
            pairs = [*zip(reversed(given), reversed(node.defaults), strict=False)]
            pairs += [(one, default) for one, default in zip(node.kwonlyargs, node.kw_defaults, strict=True) if default]
            for one, default in pairs:
                yield from _named_secrets(ast.Name(one.arg), default)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield from _named_secrets(ast.Name(key.value), value)
        elif isinstance(node, ast.Constant) and _is_secret("", node.value):
            yield f"the text in line {node.lineno}"


def _named_secrets(target: ast.AST, value: ast.AST) -> Iterator[str]:
    name = getattr(target, "id", None) or getattr(target, "attr", None)
    key = getattr(target, "slice", None)
    if isinstance(key, ast.Constant) and isinstance(key.value, str):
        name = key.value
    if name and isinstance(value, ast.Constant) and _is_secret(name, value.value):
        yield name


def _is_secret(name: str, value: Any) -> bool:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    if not isinstance(text, str):
        return False
    if _SECRET_FORM.match(text) is not None:
        return True
    special = text[:1] in ("<", "[")  # a token of a tokenizer, as in pad_token="[PAD]"
    return len(text) >= _SHORTEST and not special and _SECRET_NAME.search(name) is not None


def _send(client: _Client, source: str, params: Mapping[str, Any], about: Mapping[str, Any]) -> Run:
    _check_secrets(source, params)
    tree = io.BytesIO()
    with tarfile.open(fileobj=tree, mode="w", format=tarfile.PAX_FORMAT) as tar:
        entry = tarfile.TarInfo(_ENTRY)
        entry.size, entry.mode = len(source.encode()), 0o644
        tar.addfile(entry, io.BytesIO(source.encode()))
    tree.seek(0)
    given = {"params": dict(params), **about, "inputs": channels(about.get("inputs", {}))}
    request = wx.RunScript(project=client.project, entry=_ENTRY, **given)
    run: Run = client.jobs.script(request, tree)
    return run
