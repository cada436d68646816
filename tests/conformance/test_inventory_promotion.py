"""Promotion and its checks on each engine: copied once, however many ask at the same moment, and told by the ledger."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from muniment.bootstrap import open_platform
from muniment.errors import Conflict, MunimentError
from muniment.founding import restore
from muniment.identity.model import Stage
from muniment.identity.ports import Projects
from muniment.kernel.digest import Digest
from muniment.testing.platform import People, Site
from muniment.wire.exporting import ExportInstallation
from muniment.wire.identity import IssueTokenFor, ListProjects, SetStage
from muniment.wire.inventory import ListVersions
from muniment.wire.records import VerifyRecords
from promotion import LIVE, approved, check, promote, records

AT_ONCE = 4


def test_a_promotion_holds_on_each_engine(each_site: Site) -> None:
    """Copied, usable, listed, in agreement with the ledger; ended at the source it is ended in production."""
    platform = each_site.open()
    people = People(platform, each_site.tokens)
    notary = approved(people, conditions=["watch it"])
    made = promote(people)
    found = check(people)
    assert (found.usable, found.conditions, found.manifest) == (True, ["watch it"], made.manifest)
    (row,) = people.ask("operator", ListVersions(project=LIVE)).versions
    assert (row.model, row.state, row.expires) == ("model:scorer@1", "approved", made.expires)
    platform.ledger.checkpoint()
    assert people.ask("auditor", VerifyRecords()).ok
    assert platform.vault.fsck(deep=True).sound
    notary.model("approver").retire("it is wrong")
    assert check(people).because[0].startswith("in project main: retired")
    with pytest.raises(Conflict):
        promote(people)
    platform.close()


def test_of_several_promotions_at_once_one_is_made(each_site: Site) -> None:
    """One wins; the others are told that it stands there; one version, one promotion, one object."""
    platform = each_site.open()
    people = People(platform, each_site.tokens)
    approved(people)
    start = Barrier(AT_ONCE)

    def one(_: int) -> str:
        start.wait()
        try:
            promote(people)
        except MunimentError as refused:
            return refused.code
        return "ok"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = Counter(pool.map(one, range(AT_ONCE)))
    assert answers["ok"] == 1, answers
    assert set(answers) - {"ok"} <= {"MUNI-M334", "MUNI-S502"}, answers
    assert len(records(platform, "promotion", LIVE)) == 1
    (row,) = people.ask("operator", ListVersions(project=LIVE)).versions
    with platform.store.read() as session:
        assert platform.vault.has(session, LIVE, Digest(row.digest))
    assert platform.vault.fsck(deep=True).sound
    assert check(people).usable
    platform.close()


def test_stages_come_back_as_they_were_set(each_site: Site) -> None:
    """The strictest stage counts, and lists show it."""
    platform = each_site.open()
    people = People(platform, each_site.tokens)
    for stage in ("test", "production"):
        people.ask("admin", SetStage(name="other", stage=stage, reason="live"))
    with platform.store.read() as session:
        projects = session.use(Projects)
        assert [projects.stage(name) for name in ("main", "other")] == [Stage.DEVELOPMENT, Stage.PRODUCTION]
    shown = {one.name: one.stage for one in people.ask("admin", ListProjects()).projects}
    assert shown == {"main": "development", "other": "production"}
    platform.close()


def test_what_was_approved_before_a_move_may_be_loaded_after_it(each_site: Site, tmp_path: Path) -> None:
    """An installation made from an export has another key: manifests, stages and approvals of before still count."""
    platform = each_site.open()
    people = People(platform, each_site.tokens)
    approved(people, conditions=["watch it"])
    promote(people)
    export, key = tmp_path / "export.tar", platform.ledger.key
    with export.open("wb") as out:
        out.writelines(people.ask("admin", ExportInstallation()).chunks)
    platform.close()
    made = restore(export, tmp_path / "moved", key=key, key_file=tmp_path / "keys" / "moved.keys")
    moved = open_platform(tmp_path / "moved")
    again = People(moved, made.tokens)
    again.tokens["operator"] = again.ask("admin", IssueTokenFor(owner="operator")).token
    assert moved.ledger.key != key
    for project in ("main", LIVE):
        found = check(again, project)
        assert (found.usable, found.conditions) == (True, ["watch it"]), found.because
    stages = {one.name: one.stage for one in again.ask("admin", ListProjects()).projects}
    assert stages[LIVE] == "production"
    moved.close()
