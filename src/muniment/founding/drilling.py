"""An exercise of the exit plan: an installation is made of an export, tried, and thrown away."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from muniment.bootstrap import Platform, open_platform
from muniment.errors import Conflict, Denied, MunimentError
from muniment.founding.restoring import Restored, Watch, restore
from muniment.identity.ports import Projects
from muniment.kernel.digest import Digest
from muniment.wire.execution import ReproduceModel, RunDetail, ShowRun, Started
from muniment.wire.identity import IssuedToken, IssueTokenFor
from muniment.wire.inventory import ListModels, ModelDetail, Models, ShowModel
from muniment.wire.records import InventoryReport, RecordsReport, VerifyInventory, VerifyRecords

_LET_GO: Final = ("MUNI-W301", "MUNI-W402", "MUNI-W403")
"""Refusals that say that the data of a model are not to be used any more, which is no defect of an export."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """How it went."""

    outcome: str
    """``passed`` or ``failed``."""

    manifest: str
    """Digest of the export's manifest; of nothing when the export could not be read."""

    rows: int = 0
    objects: int = 0
    entries: int = 0
    reproduced: str = ""
    """The model that was made again from the export alone; empty when there was none."""

    verdict: str = ""
    findings: tuple[str, ...] = ()
    """What was wrong; empty when it passed."""

    seconds: int = 0


def exercise(export: Path, watch: Watch) -> Drilled:
    """Make an installation of an export in a temporary folder, and see whether it is one.

    History, records and every object are verified there, and the newest model is made again by whoever made it first.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="muniment-drill-") as folder:
        try:
            made = restore(export, Path(folder) / "home", key_file=Path(folder) / "keys" / "drill.keys", watch=watch)
        except MunimentError as broken:
            return Drilled(outcome="failed", manifest=str(Digest.of(b"")), findings=(_said(broken),))
        platform = open_platform(made.home)
        try:
            findings, reproduced, verdict = _try(platform, made, watch)
        finally:
            platform.close()
    return Drilled(
        outcome="failed" if findings else "passed",
        manifest=made.manifest,
        rows=made.rows,
        objects=made.objects,
        entries=made.entries,
        reproduced=reproduced,
        verdict=verdict,
        findings=tuple(findings),
        seconds=round(time.monotonic() - started),
    )


def _try(platform: Platform, made: Restored, watch: Watch) -> tuple[list[str], str, str]:
    watch("verify what was made", 0, 0)
    findings = list(_unsound(platform, made))
    watch("make a model again", 0, 0)
    try:
        reproduced, verdict = _reproduce(platform, made)
    except MunimentError as broken:
        return [*findings, _said(broken)], "", ""
    if reproduced and verdict != "identical-bytes":
        findings.append(f"{reproduced} came out otherwise: {verdict}")
    return findings, reproduced, verdict


def _unsound(platform: Platform, made: Restored) -> Iterator[str]:
    history = platform.ledger.verify(deep=True)
    yield from (found.what for found in history.findings)
    administrator = platform.transport(next(iter(made.tokens.values())))
    yield from administrator.invoke("execution:VerifyRecords", VerifyRecords(), RecordsReport).findings
    yield from administrator.invoke("inventory:VerifyInventory", VerifyInventory(), InventoryReport).findings
    checked = platform.vault.fsck(deep=True)
    yield from (f"{found.code}: {found.what}" for found in checked.findings if found.harm)


def _reproduce(platform: Platform, made: Restored) -> tuple[str, str]:
    """Make the newest model that was trained here again, as its first author; its reference and the verdict."""
    administrator = platform.transport(next(iter(made.tokens.values())))
    tokens = dict(made.tokens)
    with platform.store.read() as session:
        projects = [project.name for project in session.use(Projects).all()]
    for project in projects:
        for model in administrator.invoke("inventory:ListModels", ListModels(project=project), Models).models:
            asked = ShowModel(project=project, model=model.model)
            author = administrator.invoke("inventory:ShowModel", asked, ModelDetail).created_by
            if model.run is None or model.grade != "proven" or not author.startswith("User:"):
                continue
            name = author.removeprefix("User:")
            if name not in tokens:  # once for each: who has a token that works makes others himself
                tokens[name] = _token(platform, made, name)
            again = platform.transport(tokens[name])
            request = ReproduceModel(project=project, model=model.model)
            try:
                run = again.invoke("execution:ReproduceModel", request, Started).run
            except (Conflict, Denied) as gone:
                if gone.code in _LET_GO:  # its data were destroyed on purpose, or their time is over: take another
                    continue
                raise
            platform.work_until(run, lambda: None)
            detail = again.invoke("execution:ShowRun", ShowRun(project=project, run=run), RunDetail)
            return model.model, str((detail.verdict or {}).get("verdict", detail.status))
    return "", ""


def _token(platform: Platform, made: Restored, owner: str) -> str:
    administrator = platform.transport(next(iter(made.tokens.values())))
    issued: IssuedToken = administrator.invoke("identity:IssueTokenFor", IssueTokenFor(owner=owner), IssuedToken)
    return issued.token


def _said(broken: MunimentError) -> str:
    reason = broken.facts.get("reason")
    return f"{broken.code}: {broken.message}" + (f" ({reason})" if reason else "")
