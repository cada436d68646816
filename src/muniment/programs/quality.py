"""Measure the quality of a snapshot by declared rules.

Channel ``data`` holds a snapshot. Result: ``report.json`` (``muniment.quality/1``). The job has no clock: the moment
from which ages are counted is a parameter.
"""

from __future__ import annotations

from typing import Final

from muniment.analytics.content import content_digest
from muniment.analytics.quality import assess
from muniment.analytics.quality_rules import read_rules
from muniment.kernel.identifiers import parse_time
from muniment.programs.contract import Job, run
from muniment.programs.parameters import Kind, Parameter
from muniment.programs.snapshots import read_snapshot

PARAMETERS: Final = (
    Parameter("rules", Kind.MAPPING, "rules of quality: {rule: [...]}", {"rule": []}),
    Parameter("as_of", Kind.TEXT, "moment from which ages are counted, in ISO 8601", required=True),
)


def quality(job: Job) -> None:
    """Read, judge and report."""
    given = job.parameters(PARAMETERS)
    table = read_snapshot(job.channel("data"))
    report = assess(table, read_rules(given["rules"], table.column_names), parse_time(given["as_of"]))
    verdicts = [one["verdict"] for one in report["rules"]]
    job.metrics(None, {"rules": len(verdicts), "violated": verdicts.count("violated")})
    job.write("report.json", {**report, "content_digest": content_digest(table)})


if __name__ == "__main__":
    run(quality)
