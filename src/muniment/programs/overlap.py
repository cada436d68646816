"""Count the rows that snapshots have in common, from their fingerprints alone: neither rows nor key are here.

Each channel holds fingerprints of one snapshot over one view: ``rows.fp`` and ``manifest.json``. The parameter
``pairs`` names which channels are compared, with a word on what for; ``question`` is what somebody asked, and is
repeated in the report so that the report answers it alone. Result: ``report.json``. The files are mapped and merged
block by block.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from muniment.analytics.rows import FINGERPRINT, FORMAT, common
from muniment.errors import IntegrityError, Invalid
from muniment.programs.contract import Job, run
from muniment.programs.parameters import Kind, Parameter
from muniment.programs.snapshots import bytes_digest, manifest_beside

PARAMETERS: Final = (
    Parameter("pairs", Kind.MAPPING, "channels to compare, by name of the pair: {a, b}", required=True),
    Parameter("question", Kind.MAPPING, "what was asked, repeated in the report"),
)


def overlap(job: Job) -> None:
    """Compare every pair."""
    given = job.parameters(PARAMETERS)
    sides: dict[str, tuple[np.ndarray, dict[str, Any]]] = {}
    pairs = {}
    for name, pair in sorted(given["pairs"].items()):
        (a, about_a), (b, about_b) = (_side(job, pair[side], sides) for side in ("a", "b"))
        if about_a["view"]["by"] != about_b["view"]["by"] or about_a["columns"] != about_b["columns"]:
            raise Invalid(
                "MUNI-O112", "the two sides are fingerprinted over different things", pair=name, do="this is a defect"
            )
        counts = common(a, b).document()
        pairs[name] = {
            **pair,
            "by": about_a["view"]["by"],
            "columns": about_a["columns"],
            **counts,
            "left_out_a": about_a["left_out"],
            "left_out_b": about_b["left_out"],
        }
        job.metrics(None, {f"{name}.shared": counts["shared"]})
    job.write("report.json", {"format": "muniment.overlap/1", "pairs": pairs, "question": given["question"]})


def _side(
    job: Job, channel: str, known: dict[str, tuple[np.ndarray, dict[str, Any]]]
) -> tuple[np.ndarray, dict[str, Any]]:
    if channel not in known:
        folder = job.channel(channel)
        about = manifest_beside(folder)
        if about is None or about.get("format") != FORMAT:
            raise Invalid("MUNI-O113", "the input holds no fingerprints", channel=channel, do="fingerprint it first")
        known[channel] = _mapped(folder, about), about
    return known[channel]


def _mapped(folder: Path, about: dict[str, Any]) -> np.ndarray:
    (part,) = about["parts"]
    path = folder / part["path"]
    if bytes_digest(path) != part["bytes_digest"] or path.stat().st_size != FINGERPRINT * about["rows"]:
        raise IntegrityError(
            "MUNI-D539", "the fingerprints are not those that their manifest names", channel=folder.name
        )
    if not about["rows"]:
        return np.zeros((0, 2), ">u8")
    return np.memmap(path, ">u8", "r", shape=(about["rows"], 2))


if __name__ == "__main__":
    run(overlap)
