"""Functions of a notebook as jobs: sent as source, with everything that they name, or refused by name."""

from __future__ import annotations

import io
import json
import math
import tarfile
from typing import Any, BinaryIO

import pytest

import muniment
from muniment.errors import Invalid
from muniment.sdk.client import Client
from muniment.sdk.marked import MarkedFunction, cell_job, gathered
from muniment.testing.transport import ScriptedTransport
from scripted import STARTED, detail

RATE = 0.1
NAMES = ("a", "b")
LOADED = object()


class Desk:
    """Takes what a client would send."""

    project = "main"

    def __init__(self) -> None:
        self.jobs = self
        self.sent: list[tuple[Any, str]] = []

    def script(self, request: Any, tree: BinaryIO) -> str:
        """Keep the request and its source."""
        with tarfile.open(fileobj=io.BytesIO(tree.read())) as tar:
            content = tar.extractfile("main.py")
            assert content is not None
            self.sent.append((request, content.read().decode()))
        return "run"


def helper(x: float) -> float:
    """Is named by others."""
    return math.sqrt(x) * RATE


class Scaler:
    """A class of the notebook."""

    def scale(self, x: float) -> float:
        """Use what the notebook knows."""
        return helper(x)


def fit(depth: int = 3, names: Any = None) -> dict[str, float]:
    """A training of the notebook."""

    def inner() -> float:
        return Scaler().scale(4.0)

    return {"depth": depth, "value": inner(), "names": len(NAMES if names is None else names)}


# As in a notebook, where everything is defined in the main module.
for one in (helper, Scaler, fit):
    one.__module__ = "__main__"


def test_what_a_function_names_comes_along() -> None:
    """Modules are imported, functions and classes bring their text, plain values are written out; the source runs."""
    source = gathered(fit)
    known: dict[str, Any] = {}
    exec(compile(source, "main.py", "exec"), known)
    assert known["fit"](depth=5) == {"depth": 5, "value": 2 * RATE, "names": 2}
    assert source.index("def helper") < source.index("class Scaler") < source.index("def fit")


def test_calling_it_sends_a_script_with_parameters() -> None:
    """The arguments are the job's parameters; the entry calls the function with what the job is given."""
    desk = Desk()
    marked = MarkedFunction(desk, fit, {"inputs": {"train": "data:credit"}, "experiment": "E", "seed": 7})
    assert marked.submit(depth=4) == "run"
    request, source = desk.sent[0]
    assert (request.entry, request.params, request.inputs) == ("main.py", {"depth": 4}, {"train": "data:credit"})
    assert (request.experiment, request.seed) == ("E", 7)
    assert "found = fit(**given)" in source
    assert marked.local(depth=1)["depth"] == 1
    assert marked.__name__ == "fit"


def test_the_same_function_is_the_same_source() -> None:
    """Nothing of the notebook's state but what is named is in it, so the record can answer a second call."""
    assert gathered(fit) == gathered(fit)
    assert "LOADED" not in gathered(fit)


def uses_data() -> Any:
    """Names something that has no source."""
    return LOADED


def test_what_has_no_source_is_refused_by_name() -> None:
    """Loaded data, open files and models belong into inputs: the refusal names the variable and says so."""
    with pytest.raises(Invalid) as refused:
        gathered(uses_data)
    assert (refused.value.code, refused.value.facts["name"]) == ("MUNI-A138", "LOADED")


@pytest.mark.parametrize("value", [object(), float("nan"), {1: "a"}, {"x": {1, 2}}, b"bytes"])
def test_arguments_are_plain_values(value: Any) -> None:
    """What JSON cannot hold exactly is no parameter."""
    with pytest.raises(Invalid) as refused:
        MarkedFunction(Desk(), fit, {}).submit(names=value)
    assert refused.value.code == "MUNI-A138"


def test_unknown_arguments_are_refused_here() -> None:
    """Before anything is sent."""
    desk = Desk()
    with pytest.raises(Invalid) as refused:
        MarkedFunction(desk, fit, {}).submit(depht=4)
    assert refused.value.code == "MUNI-A134"
    assert desk.sent == []


def test_a_closure_is_refused() -> None:
    """What a function took from another one is no part of its source."""
    hidden = [1]

    def nested() -> Any:
        return hidden

    with pytest.raises(Invalid) as refused:
        gathered(nested)
    assert refused.value.code == "MUNI-A136"


def test_a_cell_is_sent_with_what_it_names() -> None:
    """A cell may use functions and values of the notebook; what it sets itself is its own."""
    desk = Desk()
    known = {"helper": helper, "math": math, "RATE": 0.5, "later": LOADED}
    cell_job(desk, "later = helper(9.0)\nprint(later)\n", known, {"inputs": {}, "params": {"a": 1}, "seed": 2})
    request, source = desk.sent[0]
    assert (request.params, request.seed) == ({"a": 1}, 2)
    assert json.dumps(source).count("def helper") == 1
    with pytest.raises(Invalid) as refused:
        cell_job(desk, "for", known, {})
    assert refused.value.code == "MUNI-A135"


PASSWORD = "correct horse"
FEW_TOKENS = 512
DSN = "postgresql://ana:hunter22@db/prod"


def leaking() -> str:
    """Names a secret of the notebook."""
    return PASSWORD


def connecting() -> str:
    """Names an address with a password."""
    return DSN


def counting() -> int:
    """Names what only sounds like one."""
    return FEW_TOKENS


@pytest.mark.parametrize(("function", "name"), [(leaking, "PASSWORD"), (connecting, "DSN")])
def test_a_secret_of_the_notebook_is_not_sent(function: Any, name: str) -> None:
    """Source stays in the record: what is called like a secret, or looks like one, is refused, and never shown."""
    desk = Desk()
    with pytest.raises(Invalid) as refused:
        MarkedFunction(desk, function, {}).submit()  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.facts["names"][0], desk.sent) == ("MUNI-A140", name, [])
    assert "correct horse" not in str(refused.value.document()) + str(refused.value)
    assert "hunter22" not in str(refused.value.document()) + str(refused.value)


@pytest.mark.parametrize(
    "cell",
    [
        'connect(password="abc-def-1")\n', 'settings = {"api_key": "0123456789"}\n',
        'os.environ["DB_PASSWORD"] = "longer"\n',
        'def f(token="abcdefgh"): pass\n', 'class A:\n    secret: str = "abcdefgh"\n', 'dbPassword = b"abcdefgh"\n',
        'x = "ghp_0123456789012345678901234567890"\n', 'def f(*, private_key="abcdefgh"): pass\n',
    ],
)  # fmt: skip
def test_a_secret_in_a_cell_is_not_sent(cell: str) -> None:
    """Wherever it stands: assigned, as an argument, a default, an item."""
    desk = Desk()
    with pytest.raises(Invalid) as refused:
        cell_job(desk, cell, {}, {})  # type: ignore[arg-type]
    assert (refused.value.code, desk.sent) == ("MUNI-A140", [])


def test_what_only_sounds_like_a_secret_is_sent() -> None:
    """Numbers, short words, names that merely hold the word, and parameters of trainings."""
    desk = Desk()
    MarkedFunction(desk, counting, {}).submit()  # type: ignore[arg-type]
    words = 'pad_token = "pad"\neos_token = "<|endoftext|>"\ntoken_count = "512 tokens"\n'
    words += 'secretary = "Frau Holle"\ntoken = None\n'
    cell_job(desk, words, {}, {})  # type: ignore[arg-type]
    assert len(desk.sent) == 2


class Shell:
    """As much of IPython's shell as an extension asks of it."""

    def __init__(self, **known: Any) -> None:
        self.user_ns = known
        self.magics: dict[str, Any] = {}

    def register_magic_function(self, function: Any, magic_kind: str, magic_name: str) -> None:
        """Keep a magic."""
        assert magic_kind == "cell"
        self.magics[magic_name] = function


def test_the_extension_gives_a_notebook_its_magic() -> None:
    """``%load_ext muniment`` finds the extension at the front door; ``%%job`` asks by the client of the notebook."""
    transport = ScriptedTransport({"execution:RunScript": STARTED, "execution:ShowRun": detail("ok")})
    shell = Shell(m=Client(transport, project="main"), RATE=RATE)
    muniment.load_ipython_extension(shell)
    run = shell.magics["job"]("--input train=data:credit --param depth=5 --name nb --seed 3", "print(RATE * 2)\n")
    assert run.reference == "run:1"
    request = transport.asked[0][1]
    assert (request.inputs, request.params, request.name, request.seed) == (
        {"train": "data:credit"},
        {"depth": 5},
        "nb",
        3,
    )
    for line in ("--input nothing", "--unknown 1", "--seed x"):
        with pytest.raises(Invalid) as refused:
            shell.magics["job"](line, "pass\n")
        assert refused.value.code == "MUNI-A139"
