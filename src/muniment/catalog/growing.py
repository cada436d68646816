"""What is known of an entity when it is recorded again: the same bytes may come twice, as different things. Pure.

Whoever records bytes first must not decide what they are: a file that was once handed in as a source tree still holds
rows when it is ingested later, and the search for its rows has to see it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from muniment.catalog.model import Entity, EntityKind
from muniment.kernel.grade import weakest

KINDS: Final = (
    EntityKind.DATA,
    EntityKind.FILE,
    EntityKind.ARTIFACT,
    EntityKind.FINGERPRINTS,
    EntityKind.FEATURES,
    EntityKind.MODEL,
    EntityKind.PROOF,
    EntityKind.REPORT,
    EntityKind.METRICS,
    EntityKind.CODE,
    EntityKind.ENVIRONMENT,
    EntityKind.BASE,
)
"""What certainly holds rows first, then what may, then what is taken to hold none."""

CLASSIFICATIONS: Final = ("public", "internal", "confidential", "restricted")
"""How data may be handled, the loosest first."""


def grown(known: Entity, told: Entity) -> Entity:
    """The entity after a second record of the same bytes.

    Author and moment stay those of the first record. Facts only grow; where two contradict, those of the stronger grade
    win, at equal grades those about the kind that says more, else the first. The stricter classification stays.
    """
    kind = min(known.kind, told.kind, key=KINDS.index)
    stronger = known.grade is not told.grade and weakest([known.grade, told.grade]) is known.grade
    later = stronger or (known.grade is told.grade and kind is not known.kind)
    facts = {**known.facts, **told.facts} if later else {**told.facts, **known.facts}
    classified = [str(one.facts["classification"]) for one in (known, told) if "classification" in one.facts]
    if classified:
        facts["classification"] = max(classified, key=_strictness)
    return replace(known, kind=kind, grade=told.grade if stronger else known.grade, facts=facts)


def _strictness(classification: str) -> int:
    """A word that is not one of ours is the strictest."""
    known = classification in CLASSIFICATIONS
    return CLASSIFICATIONS.index(classification) if known else len(CLASSIFICATIONS)
