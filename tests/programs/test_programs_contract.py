"""The contract of a job: parameters read strictly, one failure document, metrics on their pipe, no secret in either."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import SOURCE, Bench, start
from muniment.errors import Invalid
from muniment.programs.algorithms import ALGORITHMS, TRAINING, training_parameters
from muniment.programs.contract import unexpected, visible
from muniment.programs.parameters import Kind, Parameter, read_parameters
from muniment.programs.tracking import report


def test_a_program_runs_as_a_module(bench: Callable[[str], Bench]) -> None:
    """``python -m muniment.programs.ingest`` exits 0, leaves results and no failure, and reports metrics live."""
    desk = bench("job")
    desk.channel("file", {"source": b"a,y\n1,0\n2,1\n"})
    desk.given(target="y")
    status, metrics, errors = start(desk.root, "-m", "muniment.programs.ingest")
    assert (status, errors) == (0, "")
    assert {metric["name"]: metric["value"] for metric in metrics} == {"rows": 2, "columns": 2}
    assert not (desk.root / "output/failure").exists()


def test_a_refusal_is_one_document(bench: Callable[[str], Bench]) -> None:
    """A refusal exits 1 and leaves code, message and facts as JSON; the log holds the code, not the data."""
    desk = bench("job")
    desk.channel("file", {"source": b"a,y\n1,0\n2,SECRET-9f2c\n3\n"})
    status, _, errors = start(desk.root, "-m", "muniment.programs.ingest")
    failure = json.loads((desk.root / "output/failure").read_bytes())
    assert status == 1
    assert (failure["code"], failure["facts"]["line"]) == ("MUNI-D103", 4)
    assert errors.startswith("MUNI-D103: ")
    assert "SECRET" not in json.dumps(failure) + errors


def test_a_defect_is_one_document_too(bench: Callable[[str], Bench]) -> None:
    """Whatever breaks, the platform reads type and place; of the text no more than 40 characters leave the sandbox."""
    desk = bench("job")
    code = (
        "from muniment.programs.contract import run\n"
        "def broken(job):\n    raise KeyError('x' * 30 + 'y' * 3000)\n"
        "run(broken)"
    )
    status, _, errors = start(desk.root, "-c", code)
    failure = json.loads((desk.root / "output/failure").read_bytes())
    assert (status, failure["code"], failure["facts"]["type"]) == (1, "MUNI-D599", "KeyError")
    assert "yyyyyyyyyyyy" not in json.dumps(failure) + errors


def test_running_out_of_memory_is_said() -> None:
    """A MemoryError is named as what it is, with the advice to give more."""
    assert unexpected(MemoryError())["message"] == "the program ran out of memory"


def test_control_characters_are_made_visible() -> None:
    """Text from outside never starts a new line or moves a cursor in a document, and is cut."""
    assert visible("a\n\x1b[31m\u202e") == "a\\n\\x1b[31m\\u202e"
    assert len(visible("x" * 100)) == 41


@pytest.mark.parametrize("content", [b"[1]", b"{", b"\xff"])
def test_hyperparameters_must_be_one_object(content: bytes, bench: Callable[[str], Bench]) -> None:
    """Anything but one JSON object is refused by the same code."""
    desk = bench("job")
    desk.given()
    (desk.root / "input/config/hyperparameters.json").write_bytes(content)
    status, _, _ = start(desk.root, "-m", "muniment.programs.ingest")
    assert status == 1
    assert json.loads((desk.root / "output/failure").read_bytes())["code"] == "MUNI-D135"


TABLE = (
    Parameter("eta", Kind.NUMBER, "rate", 0.1, low=0, high=1),
    Parameter("depth", Kind.INTEGER, "depth", 3, low=1, high=9),
    Parameter("how", Kind.TEXT, "way", "a", choices=("a", "b")),
    Parameter("on", Kind.BOOLEAN, "switch", False),
    Parameter("drop", Kind.NAMES, "columns", ()),
    Parameter("shares", Kind.MAPPING, "shares", {}),
)


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({"eta": "0.5"}, "eta", 0.5),
        ({"eta": 1}, "eta", 1.0),
        ({"depth": "7"}, "depth", 7),
        ({"depth": 7.0}, "depth", 7),
        ({"on": "True"}, "on", True),
        ({"drop": "a, b"}, "drop", ["a", "b"]),
        ({"drop": '["a,b"]'}, "drop", ["a,b"]),
        ({"shares": '{"a": 0.5}'}, "shares", {"a": 0.5}),
        ({"how": None}, "how", "a"),
    ],
)
def test_values_come_as_json_or_as_text(given: dict[str, Any], name: str, value: Any) -> None:
    """The SageMaker habit of texts and our JSON values read the same; null means the default."""
    assert read_parameters(given, TABLE)[name] == value


@pytest.mark.parametrize(
    ("given", "code", "facts"),
    [
        ({"etta": 0.1}, "MUNI-D130", {"nearest": "eta"}),
        ({"eta": "fast"}, "MUNI-D131", {"parameter": "eta"}),
        ({"eta": "nan"}, "MUNI-D131", {}),
        ({"eta": True}, "MUNI-D131", {}),
        ({"eta": 1.5}, "MUNI-D132", {"allowed": "0 <= number <= 1"}),
        ({"depth": 0}, "MUNI-D132", {"allowed": "1 <= integer <= 9"}),
        ({"depth": 2.5}, "MUNI-D131", {}),
        ({"depth": "٣٣x"}, "MUNI-D131", {}),
        ({"how": "c"}, "MUNI-D132", {"allowed": "a | b"}),
        ({"on": "yes"}, "MUNI-D131", {}),
        ({"drop": [1]}, "MUNI-D131", {}),
        ({"shares": "[1]"}, "MUNI-D131", {}),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, Any], code: str, facts: dict[str, Any]) -> None:
    """Unknown, of another type or out of range: the refusal names the parameter, the range and the nearest name."""
    with pytest.raises(Invalid) as refused:
        read_parameters(given, TABLE)
    assert refused.value.code == code
    assert {name: refused.value.facts[name] for name in facts} == facts


def test_defaults_keep_their_own_ranges() -> None:
    """Every default is one that the table itself would take, and every parameter says what it means."""
    for algorithm in ALGORITHMS:
        for parameter in training_parameters(algorithm):
            assert parameter.meaning
            if parameter.default not in (None, ()):
                assert parameter.read(parameter.default) == parameter.default
    assert set(TRAINING[0].choices) == set(ALGORITHMS)


def test_metrics_reach_the_pipe_as_they_are(tmp_path: Path) -> None:
    """Numbers with their step; NaN and infinities by name, so that every line is JSON."""
    code = (
        "from muniment.programs.tracking import log\n"
        "log(auc=0.77, step=3); log(loss=float('nan'), top=float('-inf')); log(**{'n': True})"
    )
    status, metrics, _ = start(tmp_path, "-c", code)
    assert status == 0
    assert [(m["name"], m["value"], m["step"]) for m in metrics] == [
        ("auc", 0.77, 3), ("loss", "NaN", None), ("top", "-Infinity", None), ("n", 1.0, None)
    ]  # fmt: skip


def test_without_a_pipe_a_script_runs_on(tmp_path: Path) -> None:
    """Outside the platform, and when nobody reads any more, metrics go nowhere and nothing fails."""
    code = "from muniment.programs.tracking import log\nfor n in range(20000): log(a=n)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(SOURCE)}, check=False).returncode == 0
    read, write = os.pipe()
    os.close(read)
    environment = {"PYTHONPATH": str(SOURCE), "MUNIMENT_METRICS_FD": str(write)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, pass_fds=[write], check=False)
    os.close(write)
    assert done.returncode == 0


@pytest.mark.parametrize("metrics", [{"a": "0.5"}, {"a": None}, {"a" * 300: 1.0}, {"a": [1]}])
def test_what_is_no_metric_is_refused(metrics: dict[str, Any]) -> None:
    """A text is no number, and a name has an end."""
    with pytest.raises(Invalid) as refused:
        report(None, metrics)
    assert refused.value.code == "MUNI-D136"


def test_the_control_plane_can_read_what_it_needs() -> None:
    """Parameters, algorithms, model formats, tracking and the contract import nothing but the standard library."""
    names = ("parameters", "algorithms", "model_formats", "tracking", "contract")
    code = "import sys\n" + "\n".join(f"import muniment.programs.{name}" for name in names)
    code += "\nprint(sorted({m.partition('.')[0] for m in sys.modules} - set(sys.stdlib_module_names)))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n{code}"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == "['__main__', 'muniment']"


def test_a_parameter_answers_to_the_names_of_its_library_but_only_to_one_at_a_time() -> None:
    """``learning_rate`` is ``eta`` to XGBoost; both together are refused, even when they agree."""
    table = training_parameters("xgboost")
    assert read_parameters({"algorithm": "xgboost", "learning_rate": 0.1}, table)["eta"] == 0.1
    with pytest.raises(Invalid) as refused:
        read_parameters({"algorithm": "xgboost", "learning_rate": 0.1, "eta": 0.1}, table)
    assert refused.value.code == "MUNI-D121"
    names = [name for one in table for name in (one.name, *one.aliases)]
    assert len(names) == len(set(names))
