"""Searches: equal seeds give equal trials, whoever is faster; nothing is begun twice or left out, however they end."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laws import examples
from muniment.errors import Invalid
from muniment.kernel.draws import draw, order
from muniment.tuning.planning import STARTUP, Design, Do, Phase, Trial, barrier, batch_of, batch_range, due
from muniment.tuning.space import read_space

DESIGNS = st.builds(
    Design,
    sampler=st.sampled_from(["grid", "random", "tpe"]),
    trials=st.integers(1, 25),
    concurrency=st.integers(1, 6),
    early_stop=st.booleans(),
    evaluates=st.booleans(),
)


class Played:
    """A study whose jobs end in any order, and whose client may be gone at any moment."""

    def __init__(self, design: Design, chance: random.Random) -> None:
        self.design, self.chance = design, chance
        self.phases = [Phase.WAITING] * design.trials
        self.batches: dict[int, bool] = {}
        self.explained: set[int] = set()
        self.begun: list[tuple[str, int]] = []
        self.seen: dict[int, tuple[Phase, ...]] = {}
        """What was known of the trials before its barrier when a trial began."""

    def due(self) -> tuple[Any, ...]:
        """What is due now."""
        trials = [
            Trial(number, phase, 0.5 if phase is Phase.DONE else None) for number, phase in enumerate(self.phases)
        ]
        return due(self.design, trials, self.batches, self.explained)

    def advance(self, most: int) -> None:
        """Begin what is due, or only the first of it, as if the transaction of the rest had been lost."""
        for step in self.due()[:most]:
            assert (step.do, step.number) not in self.begun
            self.begun.append((step.do, step.number))
            if step.do is Do.TRAIN:
                known = self.phases[: barrier(self.design, step.number)]
                assert all(phase.over for phase in known)
                self.seen[step.number] = tuple(known)
                self.phases[step.number] = Phase.TRAINING
            elif step.do is Do.EVALUATE:
                self.phases[step.number] = Phase.EVALUATING
            elif step.do is Do.SUGGEST:
                self.batches[step.number] = False
            else:
                self.explained.add(0)
        assert sum(phase.running for phase in self.phases) <= self.design.concurrency

    def end_something(self, fate: list[Phase]) -> bool:
        """Let one running job end; False when none runs. How a trial ends is settled by its number alone."""
        running = [
            ("trial", number) for number, phase in enumerate(self.phases) if phase in (Phase.TRAINING, Phase.EVALUATING)
        ]
        running += [("batch", number) for number, ended in self.batches.items() if not ended]
        if not running:
            return False
        what, number = self.chance.choice(running)
        if what == "batch":
            self.batches[number] = True
        elif self.phases[number] is Phase.EVALUATING or fate[number] is not Phase.DONE or not self.design.evaluates:
            self.phases[number] = fate[number]
        else:
            self.phases[number] = Phase.TRAINED
        return True


@settings(max_examples=examples(60), deadline=None)
@given(DESIGNS, st.randoms(use_true_random=False), st.data())
def test_every_trial_is_done_once_wherever_the_client_dies(design: Design, chance: random.Random, data: Any) -> None:
    """From any standing the same function goes on: every trial begins once, within the limit, and all end."""
    fate = [
        data.draw(st.sampled_from([Phase.DONE, Phase.DONE, Phase.PRUNED, Phase.FAILED])) for _ in range(design.trials)
    ]
    study = Played(design, chance)
    for _ in range(40 * design.trials + 40):
        study.advance(chance.choice([0, 1, 2, 99]) if _ < 20 * design.trials else 99)
        if not study.end_something(fate) and not study.due():
            break
    assert study.phases == fate
    trained = sorted(number for do, number in study.begun if do is Do.TRAIN)
    assert trained == list(range(design.trials))
    if design.evaluates:
        assert sorted(number for do, number in study.begun if do is Do.EVALUATE) == [
            number for number in range(design.trials) if fate[number] is Phase.DONE
        ]
    assert bool(study.explained) == (fate.count(Phase.DONE) > 1)


@settings(max_examples=examples(40), deadline=None)
@given(DESIGNS, st.randoms(use_true_random=False), st.randoms(use_true_random=False), st.data())
def test_what_a_trial_is_given_never_hangs_on_who_was_faster(
    design: Design, one: random.Random, other: random.Random, data: Any
) -> None:
    """Two runs of one study, with jobs that end in other orders, show each trial the same ends of the same others."""
    fate = [data.draw(st.sampled_from([Phase.DONE, Phase.PRUNED, Phase.FAILED])) for _ in range(design.trials)]
    seen = []
    for chance in (one, other):
        study = Played(design, chance)
        for _ in range(40 * design.trials + 40):
            study.advance(99)
            if not study.end_something(fate) and not study.due():
                break
        seen.append(study.seen)
    assert seen[0] == seen[1]


@given(st.integers(1, 300), st.integers(1, 64))
def test_batches_part_the_trials(trials: int, concurrency: int) -> None:
    """Every trial of TPE after the first ones is in one batch, and a batch knows its trials."""
    design = Design("tpe", trials, concurrency, early_stop=False, evaluates=True)
    for number in range(trials):
        batch = batch_of(design, number)
        assert (batch is None) == (number < STARTUP)
        assert batch is None or number in batch_range(design, batch)


@given(st.integers(0, 2**31 - 1), st.integers(0, 999))
def test_chance_repeats_and_stays_in_its_range(seed: int, number: int) -> None:
    """The same seed and place give the same draw; another place gives another; values lie within the space."""
    space = read_space(
        {
            "depth": "int:2..8",
            "trees": "int:10..100:10",
            "eta": "log:0.01..0.3",
            "rows": "float:0.5..1",
            "leaves": "logint:4..512",
            "weight": "none|balanced",
        }
    )
    first = space.random(seed, number)
    assert first == space.random(seed, number)
    assert first != space.random(seed, number + 1)
    assert first["depth"] in range(2, 9)
    assert first["trees"] in range(10, 101, 10)
    assert 0.01 <= first["eta"] <= 0.3
    assert 0.5 <= first["rows"] < 1
    assert isinstance(first["leaves"], int)
    assert 4 <= first["leaves"] <= 512
    assert first["weight"] in ("none", "balanced")
    assert 0 <= draw(seed, "x", number) < 1
    assert sorted(order(seed, 12, "x")) == list(range(12))


def test_chance_is_spread_evenly() -> None:
    """Of 4,000 draws each tenth of the range gets its share, and whole numbers get equal shares."""
    counts = [0] * 10
    for number in range(4_000):
        counts[int(draw(7, "trial", number, "eta") * 10)] += 1
    assert all(330 <= count <= 470 for count in counts)
    depths = [read_space({"depth": "int:2..5"}).random(3, number)["depth"] for number in range(4_000)]
    assert all(900 <= depths.count(depth) <= 1_100 for depth in range(2, 6))


def test_draws_are_those_of_ever() -> None:
    """A recorded search can be repeated years later: the draws of a seed are part of the contract."""
    assert [round(draw(1, "trial", number, "eta"), 12) for number in range(3)] == [
        0.813727052632,
        0.430295226421,
        0.850546543943,
    ]


@given(st.integers(0, 10_000), st.integers(1, 40))
def test_a_part_of_a_grid_is_drawn_from_it_without_repeats(seed: int, trials: int) -> None:
    """As many points as wanted, each once, all of the grid; all of them in order when all are wanted."""
    space = read_space({"depth": "int:2..5", "eta": "log:0.01..1/3", "weight": "a|b"})
    points = space.grid()
    assert len(points) == 24
    chosen = space.of_grid(seed, trials)
    assert len(chosen) == min(trials, 24)
    assert all(point in points for point in chosen)
    assert len({repr(point) for point in chosen}) == len(chosen)
    if trials >= 24:
        assert chosen == points


def test_grids_have_both_ends() -> None:
    """Points of a grid are evenly spaced with both ends among them, in the logarithm where the range says so."""
    assert read_space({"x": "log:0.01..1/3"}).grid() == [{"x": pytest.approx(value)} for value in (0.01, 0.1, 1.0)]
    assert read_space({"x": "float:0..1:0.25"}).grid() == [{"x": value} for value in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert read_space({"x": "int:1..10/4"}).grid() == [{"x": value} for value in (1, 4, 7, 10)]


@pytest.mark.parametrize(
    ("space", "code"),
    [
        ({}, "MUNI-N112"),
        ({"x": "int:5..2"}, "MUNI-N113"),
        ({"x": "log:0..1"}, "MUNI-N113"),
        ({"x": "log:0.1..1:0.1"}, "MUNI-N113"),
        ({"x": "float:0..1:0"}, "MUNI-N113"),
        ({"x": "int:1.5..3"}, "MUNI-N114"),
        ({"x": "5"}, "MUNI-N114"),
        ({"x": "float:nan..1"}, "MUNI-N114"),
        ({"x": []}, "MUNI-N114"),
        ({"x": ["a", "a"]}, "MUNI-N114"),
        ({"x": {"kind": "choice"}}, "MUNI-N114"),
        ({"x": {"kind": "int"}}, "MUNI-N114"),
        ({"../x": "int:1..2"}, "MUNI-N114"),
        ({f"x{n}": "int:1..2" for n in range(31)}, "MUNI-N112"),
    ],
)
def test_a_space_that_is_none_is_refused(space: dict[str, Any], code: str) -> None:
    """Empty ranges, ranges without a logarithm, texts that are no ranges: refused, with how to say it."""
    with pytest.raises(Invalid) as refused:
        read_space(space)
    assert refused.value.code == code


def test_a_grid_needs_points_and_is_bounded() -> None:
    """A range without steps has no grid, and a grid of millions is refused before it is made."""
    with pytest.raises(Invalid) as refused:
        read_space({"x": "float:0..1"}).grid()
    assert refused.value.code == "MUNI-N110"
    for space in ({"x": "int:1..200", "y": "int:1..200"}, {"x": "int:1..99999999"}, {"x": "float:0..1:0.0000001"}):
        with pytest.raises(Invalid) as refused:
            read_space(space).grid()
        assert refused.value.code == "MUNI-N111"


@given(st.integers(-50, 50), st.integers(1, 60))
def test_a_space_is_read_from_its_own_record(low: int, width: int) -> None:
    """What stands in the record of a study describes the same space again."""
    space = read_space(
        {"a": f"int:{low}..{low + width}", "b": "log:1e-4..1", "c": ["x", 2, True], "d": "float:0..1:0.5/3"}
    )
    assert read_space(space.document()) == space
