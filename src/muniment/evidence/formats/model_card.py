"""A model card: one page about a model, for people and for tools that read its front matter.

Source: Mitchell et al., Model Cards for Model Reporting (2019), arXiv:1810.03993; the sections are theirs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

_MARKUP: Final = re.compile(r"([\\`*_{}\[\]<>#|!~])")
_NONE: Final = "Not recorded."


def model_card(dossier: Mapping[str, Any]) -> str:
    """The card; what nobody recorded is said to be missing, and each figure names the run it comes from."""
    return "\n".join([*_front_matter(dossier), *_sections(dossier)]) + "\n"


def _front_matter(dossier: Mapping[str, Any]) -> Iterator[str]:
    """YAML whose values are JSON, which is YAML: nothing a name holds can break out of it."""
    model = dossier["model"]
    evaluation = dossier["evaluations"][0] if dossier["evaluations"] else None
    yield "---"
    yield f"model: {json.dumps(model['reference'])}"
    yield f"digest: {json.dumps(model['digest'])}"
    yield f"algorithm: {json.dumps(model['algorithm'])}"
    yield f"state: {json.dumps(dossier['state']['value'])}"
    yield f"datasets: {json.dumps([one['reference'] for one in dossier['data'] if one['role'] == 'train'])}"
    yield f"metrics: {json.dumps(evaluation['metrics'] if evaluation else {}, sort_keys=True)}"
    yield "---"


def _sections(dossier: Mapping[str, Any]) -> Iterator[str]:
    model, state = dossier["model"], dossier["state"]
    use_case, registration = dossier.get("use_case") or {}, dossier.get("registration") or {}
    training, checkpoint = dossier.get("training") or {}, dossier["checkpoint"]
    yield f"\n# {_text(model['reference'])}\n"
    yield (
        f"As recorded in {_text(checkpoint['origin'])} up to entry {checkpoint['size']}, {_text(checkpoint['time'])}. "
        "Proven: written by the platform from what ran. Attested: signed by a person. Declared: stated by somebody."
    )
    yield "\n## Model details\n"
    yield from _facts(
        {
            "Digest": model["digest"],
            "Algorithm": model["algorithm"],
            "Made": f"{model['created_at']} for {model['created_by']}",
            "Grade of its origin": model["grade"],
            "State": state["value"],
            "Tier": state.get("tier"),
            "Owner": registration.get("owner"),
            "Trained by": training.get("run"),
            "Parameters": json.dumps(training["params"], sort_keys=True) if training.get("params") else None,
        }
    )
    yield "\n## Intended use\n"
    yield from _facts(
        {
            "Use case": use_case.get("name"),
            "Purpose": use_case.get("purpose"),
            "Intended use": use_case.get("intended_use"),
            "Out of scope": use_case.get("out_of_scope"),
            "Limits of use": "; ".join(map(str, state.get("use_limits") or [])),
            "Conditions": "; ".join(map(str, state.get("conditions") or [])),
        }
    )
    yield "\n## Data\n"
    yield from _table(
        ("role", "data", "rows", "grade", "digest"),
        ((one["role"], one["reference"], one.get("rows"), one["grade"], one["digest"]) for one in dossier["data"]),
    )
    yield "\n## Measurements\n"
    yield from _table(
        ("measured on", "metric", "value", "run"),
        (
            (evaluation["data"], name, repr(value), evaluation["run"])
            for evaluation in dossier["evaluations"]
            for name, value in sorted(evaluation["metrics"].items())
        ),
    )
    yield "\n## What drives it\n"
    features = (dossier["explanations"][0]["report"].get("features") or []) if dossier["explanations"] else []
    yield from _table(
        ("feature", "share of all contributions"),
        ((one["name"], f"{one['share']:.1%}") for one in features[:10] if one.get("share") is not None),
    )
    yield "\n## Review\n"
    yield from _table(
        ("signed as", "by", "at"),
        ((one["meaning"], one["signer"], one["at"]) for one in dossier["signatures"]),
    )
    yield "\n## Limits\n"
    limits = [str(limit) for limit in registration.get("limits") or []]
    yield "\n".join(f"- {_text(limit)}" for limit in limits) if limits else _NONE


def _facts(facts: Mapping[str, Any]) -> Iterator[str]:
    known = {name: value for name, value in facts.items() if value not in (None, "")}
    if not known:
        yield _NONE
    for name, value in known.items():
        yield f"- {name}: {_text(value)}"


def _table(columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    lines = [f"| {' | '.join('' if cell is None else _text(cell) for cell in row)} |" for row in rows]
    if not lines:
        yield _NONE
        return
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    yield from lines


def _text(value: Any) -> str:
    """Text on one line in which no character means anything to Markdown, and none turns the reading direction."""
    shown = "".join(c if c.isprintable() else " " for c in str(value))
    return _MARKUP.sub(r"\\\1", shown)
