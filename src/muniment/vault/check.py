"""What a check of the vault says about what it found: pure, from errors and leftovers to findings."""

from __future__ import annotations

from collections.abc import Iterable

from muniment.errors import MunimentError
from muniment.vault.model import Finding, FindingCode, Sealed


def broken_object(sealed: Sealed, broken: MunimentError) -> Finding:
    """The finding for an object that did not verify."""
    missing = broken.code == "MUNI-V508"
    return Finding(
        FindingCode.BLOB_MISSING if missing else FindingCode.DOES_NOT_OPEN,
        sealed.digest,
        f"{broken.message} (project {sealed.project}, {broken.code})",
        "restore the object store from a backup"
        if missing
        else "keep what is there as evidence, then restore the object store or the database from a backup",
        harm=True,
    )


def lost_key(project: str, version: int, lost: MunimentError) -> Finding:
    """The finding for a key version whose objects cannot be opened."""
    return Finding(
        FindingCode.KEY_LOST,
        f"{project}@{version}",
        lost.message,
        "restore the key file; if the key was destroyed on purpose, what it sealed is gone for ever",
        harm=True,
    )


def leftovers(unnamed: Iterable[str], drafts: Iterable[str], so_far: Iterable[Finding]) -> list[Finding]:
    """The findings for stored bytes that no record names, and for drafts whose writer died.

    While a key is lost, the names of its objects are unknown, so nothing is called an orphan.
    """
    findings = [
        Finding(
            FindingCode.ABANDONED_DRAFT,
            name,
            "its writer ended before the object was complete",
            "nothing refers to it: it goes when the platform starts again",
            harm=False,
        )
        for name in sorted(drafts)
    ]
    if not any(finding.code is FindingCode.KEY_LOST for finding in so_far):
        findings += [
            Finding(
                FindingCode.ORPHAN_BLOB,
                name,
                "these bytes were sealed, and no record names them",
                "if nothing was being stored during the check, they can be removed",
                harm=False,
            )
            for name in sorted(unnamed)
        ]
    return findings
