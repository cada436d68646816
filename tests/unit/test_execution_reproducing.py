"""What two models that differ have to do with each other: the first thing in which their makings differ is named."""

from __future__ import annotations

from typing import Any

import pytest

from muniment.execution.model import Run
from muniment.execution.reproducing import side_by_side, unlike
from muniment.kernel.digest import Digest

JOB: dict[str, Any] = {
    "inputs": {"train": "sha256:1"},
    "params": {"threads": 2, "rate": 0.1},
    "source": "sha256:2",
    "entry": "train.py",
    "code": "sha256:3",
    "env": "sha256:4",
    "base": "sha256:5",
    "seed": 7,
    "arguments": [],
}
MACHINE = {"processor": "one", "flags": ["avx2"], "cpus": 2}


def made(name: str = "a", machine: dict[str, Any] | None = None, **changed: Any) -> Run:
    """A run that made a model."""
    return Run(
        id=name,
        project="main",
        kind="run",
        label="train.py",
        experiment=None,
        trial=None,
        name=None,
        requested_by="User:scientist",
        created_at="",
        plan=Digest.of(name.encode()),
        job={**JOB, **changed},
        asked={},
        facts={},
        result={"machine": MACHINE if machine is None else machine},
    )


@pytest.mark.parametrize(
    ("other", "cause"),
    [
        (made(inputs={"train": "sha256:9"}, seed=8), "data (train)"),
        (made(inputs={"train": "sha256:1", "more": "sha256:9"}), "data (more)"),
        (made(source="sha256:9", params={}), "code"),
        (made(env="sha256:9"), "libraries"),
        (made(base="sha256:9"), "base"),
        (made(seed=8), "seed"),
        (made(params={"threads": 1, "rate": 0.1}), "parameter threads"),
        (made(params={"rate": 0.1}), "parameter threads"),
        (made(machine={**MACHINE, "processor": "other", "cpus": 1}), "processor"),
        (made(machine={**MACHINE, "flags": []}), "processor's instructions"),
        (made(machine={**MACHINE, "cpus": 1}), "number of processors, which threads are taken from"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("said", ["equivalent", "different"])
def test_the_first_thing_that_differs_is_the_cause(other: Run, cause: str, said: str) -> None:
    """Data before code, libraries, seed, parameters and machine, whichever model is named first."""
    for pair in ((made(), other), (other, made())):
        found = side_by_side(said, [pair[0]], [pair[1]])
        assert found is not None
        assert (found["verdict"], found["cause"], found["differs"][0]) == (said, f"not alike: {cause}", cause)


def test_what_is_not_known_of_a_machine_is_no_difference() -> None:
    """A run of a time when less was noted is not blamed on what nobody knows."""
    assert unlike(made(machine={}), made()) == []
    assert unlike(made(), made(machine={"processor": "one"})) == []


def test_of_several_makings_the_most_alike_explain_the_difference() -> None:
    """A model that many runs made is set against the other by the pair of runs that differ in least."""
    far, near = made("far", seed=8, env="sha256:9"), made("near", params={**JOB["params"], "threads": 1})
    found = side_by_side("different", [far, near], [made("other")])
    assert found is not None
    assert (found["makings"], found["differs"]) == (["run:near", "run:other"], ["parameter threads"])


def test_equal_models_have_no_cause_or_that_of_their_files() -> None:
    """The same bytes need no cause; other bytes of the same model are its files'."""
    assert side_by_side("identical-bytes", [made()], [made(seed=8)]) == {"verdict": "identical-bytes"}
    found = side_by_side("identical-predictions", [made()], [made()])
    assert found is not None
    assert found["cause"].startswith("file format")


def test_what_nobody_made_and_what_is_no_verdict() -> None:
    """A model without a making has no cause that could be known; a word of the job's own is no verdict."""
    found = side_by_side("different", [made()], [])
    assert found is not None
    assert found["cause"].startswith("unknown")
    assert side_by_side("the best", [made()], [made()]) is None
    assert side_by_side(None, [], []) is None


def test_equal_plans_that_differ_are_the_codes_own_doing() -> None:
    """Where nothing that is known differs, the code asks chance, a clock or threads of its own."""
    found = side_by_side("different", [made()], [made("b")])
    assert found is not None
    assert (found["differs"], "of its own" in found["cause"]) == ([], True)
