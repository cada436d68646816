"""Do online reads give what training saw? Compare, entity by entity and value by value.

Channel ``view`` holds the definition, ``rows`` the rows that were published, ``online`` what the online table holds, as
``online.jsonl`` does. The offline side is worked out again, by the point-in-time join at the moment of publication.
Result: ``report.json`` with counts, overall and by feature; no value and no key leaves.
"""

from __future__ import annotations

import json
from typing import Any, Final

from muniment.programs.contract import Job, run
from muniment.programs.feature_build import view_in
from muniment.programs.feature_latest import known_at, lines, moment_of
from muniment.programs.feature_view import key_text, sampled
from muniment.programs.parameters import Kind, Parameter
from muniment.programs.snapshots import read_snapshot

FORMAT: Final = "muniment.features-skew/1"
PARAMETERS: Final = (
    Parameter("as_of", Kind.TEXT, "the moment of publication", required=True),
    Parameter("seed", Kind.INTEGER, "which entities the sample holds", 0),
    Parameter("share", Kind.NUMBER, "share of the entities that is compared", 1.0, low=0.0, high=1.0),
)


def skew(job: Job) -> None:
    """Read both sides, compare, report."""
    given = job.parameters(PARAMETERS)
    view, rows = view_in(job), read_snapshot(job.channel("rows"))
    names = [feature.name for feature in view.features]
    offline = _by_key(lines(known_at(rows, view, moment_of(given["as_of"])), view), given["seed"], given["share"])
    online: dict[str, Any] = {}
    for path in sorted(job.channel("online").iterdir()):
        with path.open(encoding="utf-8") as file:
            rows_there = (json.loads(line) for line in file if line.strip())
            online |= _by_key(rows_there, given["seed"], given["share"])
    both = offline.keys() & online.keys()
    different = dict.fromkeys(names, 0)
    equal = times = 0
    for key in both:
        here, there = offline[key], online[key]
        apart = [name for name, a, b in zip(names, here["values"], there["values"], strict=True) if _differs(a, b)]
        for name in apart:
            different[name] += 1
        shifted = (here["event"], here["known"]) != (there["event"], there["known"])
        times += shifted
        equal += not apart and not shifted
    report = {
        "format": FORMAT,
        "view": view.name,
        "as_of": given["as_of"],
        "seed": given["seed"],
        "share": given["share"],
        "compared": len(offline.keys() | online.keys()),
        "equal": equal,
        "different": len(both) - equal,
        "different_times": times,
        "missing_online": len(offline.keys() - online.keys()),
        "missing_offline": len(online.keys() - offline.keys()),
        "features": [{"name": name, "different": count} for name, count in different.items()],
    }
    job.metrics(
        None, {name: report[name] for name in ("compared", "equal", "different", "missing_online", "missing_offline")}
    )
    job.write("report.json", report)


def _by_key(rows: Any, seed: int, share: float) -> dict[str, Any]:
    found = {}
    for row in rows:
        key = key_text(row["key"])
        if sampled(key, seed, share):
            found[key] = row
    return found


def _differs(offline: Any, online: Any) -> bool:
    """Equal means equal in type too: 1 is not 1.0, and 1 is not true."""
    return type(offline) is not type(online) or offline != online


if __name__ == "__main__":
    run(skew)
