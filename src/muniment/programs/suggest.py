"""What a search tries next, and what mattered in it, by Optuna: sampler and importances run here and nowhere else.

Everything comes as parameters and nothing is kept between jobs: the history of a study and a seed give the same
suggestions again. Results: ``report.json``, with ``suggestions`` or with ``importances`` and marginals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

from muniment.errors import Invalid
from muniment.programs.contract import Job, run
from muniment.programs.parameters import Kind, Parameter

FORMAT: Final = "muniment.suggestion/1"
PARAMETERS: Final = (
    Parameter("mode", Kind.TEXT, "what to do", required=True, choices=("suggest", "explain")),
    Parameter("space", Kind.MAPPING, "dimensions by name", required=True),
    Parameter("history", Kind.MAPPING, "trials so far: values in the order of names, objective, state", {}),
    Parameter("count", Kind.INTEGER, "how many to suggest", 1, low=1, high=1000),
    Parameter("startup", Kind.INTEGER, "trials by chance before the model counts", 10, low=0, high=1000),
    Parameter("seed", Kind.INTEGER, "seed of the sampler", 0, low=0, high=2**31 - 1),
    Parameter("maximise", Kind.BOOLEAN, "whether larger is better", True),
)
_STATES: Final = {"done": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
_BINS: Final = 6


def suggest(job: Job) -> None:
    """Suggest or explain."""
    given = job.parameters(PARAMETERS)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {name: _distribution(name, one) for name, one in sorted(given["space"].items())}
    sampler = optuna.samplers.TPESampler(
        seed=given["seed"], n_startup_trials=given["startup"], multivariate=True, constant_liar=True
    )
    study = optuna.create_study(sampler=sampler, direction="maximize" if given["maximise"] else "minimize")
    for row in given["history"].get("trials", []):
        study.add_trial(_trial(row, distributions))
    head = {"format": FORMAT, "mode": given["mode"], "optuna": optuna.__version__}
    if given["mode"] == "suggest":
        asked = [study.ask(distributions) for _ in range(given["count"])]
        job.write("report.json", {**head, "suggestions": [_plain(one.params) for one in asked]})
        return
    job.write("report.json", {**head, **_explained(study, distributions, given["seed"], maximise=given["maximise"])})


def _distribution(name: str, one: Any) -> BaseDistribution:
    try:
        kind = one["kind"]
        if kind == "choice":
            return CategoricalDistribution(tuple(one["choices"]))
        if kind in ("int", "logint"):
            step = int(one.get("step", 1))
            return IntDistribution(int(one["low"]), int(one["high"]), log=kind == "logint", step=step)
        return FloatDistribution(one["low"], one["high"], log=kind == "log", step=one.get("step"))
    except (KeyError, TypeError, ValueError) as broken:
        raise Invalid("MUNI-N120", f"the dimension {name[:40]!r} is not readable", parameter=name[:80]) from broken


def _trial(row: Sequence[Any], distributions: Mapping[str, BaseDistribution]) -> optuna.trial.FrozenTrial:
    values, objective, state = row[0], row[1], _STATES[row[2]]
    params = {
        name: int(value) if isinstance(one, IntDistribution) else value
        for (name, one), value in zip(distributions.items(), values, strict=True)
    }
    if state is TrialState.COMPLETE:
        return create_trial(params=params, distributions=dict(distributions), value=objective, state=state)
    seen = {} if objective is None else {0: float(objective)}
    return create_trial(
        params=params,
        distributions=dict(distributions),
        state=state,
        value=None,
        intermediate_values=seen if state is TrialState.PRUNED else {},
    )


def _explained(
    study: optuna.Study, distributions: Mapping[str, BaseDistribution], seed: int, *, maximise: bool
) -> dict[str, Any]:
    """Which parameters mattered (functional ANOVA over a forest, Hutter et al. 2014), and how the objective lies."""
    done = [one for one in study.trials if one.state is TrialState.COMPLETE]
    values = np.array([one.value for one in done], np.float64)
    importances: dict[str, float | None] = dict.fromkeys(distributions)
    reason = None
    if len(done) < 4 or np.ptp(values) == 0:
        reason = "too few trials that differ" if len(done) < 4 else "all trials came out the same"
    else:
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator, params=list(distributions))
        importances |= {name: float(share) for name, share in found.items()}
    return {
        "importances": importances,
        "method": "functional ANOVA over a random forest",
        "undefined": reason,
        "trials": len(done),
        "best": float(values.max() if maximise else values.min()) if done else None,
        "median": float(np.median(values)) if done else None,
        "marginals": {name: _marginal(name, one, done, values) for name, one in distributions.items()},
    }


def _marginal(
    name: str, one: BaseDistribution, done: Sequence[optuna.trial.FrozenTrial], values: np.ndarray
) -> list[dict[str, Any]]:
    """Mean objective over the values of one parameter: each value, or bins of equal counts."""
    given = [trial.params[name] for trial in done]
    known = sorted(set(given), key=lambda value: (str(type(value)), value))
    if isinstance(one, CategoricalDistribution) or len(known) <= _BINS:
        groups = [([value], np.array([other == value for other in given])) for value in known]
    else:
        numbers = np.array(given, np.float64)
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _BINS + 1)))
        place = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
        groups = [([float(edges[at]), float(edges[at + 1])], place == at) for at in range(len(edges) - 1)]
    return [
        {
            "values": [_plain_value(bound) for bound in bounds],
            "mean": float(values[mask].mean()),
            "trials": int(mask.sum()),
        }
        for bounds, mask in groups
        if mask.any()
    ]


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain_value(value) for name, value in params.items()}


def _plain_value(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


if __name__ == "__main__":
    run(suggest)
