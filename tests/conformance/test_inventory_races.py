"""Steps at the same moment, on both engines: signatures count once, people count once, and approval comes once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from asking import furnish_catalog
from muniment.errors import MunimentError
from muniment.inventory.model import RecordKind
from muniment.inventory.ports import Records
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire import identity as wid
from muniment.wire import inventory as wi
from notary import Notary


def at_once(*asks: Callable[[], Any]) -> Counter[str]:
    """What the answers to requests at the same moment were: a state, or a code."""
    start = Barrier(len(asks))

    def one(ask: Callable[[], Any]) -> str:
        start.wait()
        try:
            return str(ask().state)
        except MunimentError as refused:
            return refused.code

    with ThreadPoolExecutor(len(asks)) as pool:
        return Counter(pool.map(one, asks))


def opened(site: Site) -> tuple[Any, Notary]:
    """A platform with a validated version that takes two approvals, and three approvers."""
    platform = site.open()
    people = People(platform, site.tokens)
    furnish_catalog(people)
    notary = Notary(people)
    rule = dict(notary.client("auditor").inventory.tiering().document)
    levels = {name: {**asks, "evidence": [], "approvals": 2} for name, asks in rule["levels"].items()}
    notary.client("admin").inventory.publish_tiering({**rule, "id": "house/two", "levels": levels})
    for name in ("petra", "pia"):
        people.ask("admin2", wid.AddUser(name=name))
        people.tokens[name] = people.ask("admin2", wid.IssueTokenFor(owner=name)).token
        people.ask("admin2", wid.GrantRole(subject=name, role="approver", scope=PROJECT))
    notary.validated()
    return platform, notary


def approvals(platform: Any, notary: Notary) -> list[tuple[str, bool, int]]:
    """Who approved, whether that completed it, and the number of the step."""
    digest = notary.client("auditor").models.get("model:scorer").digest
    with platform.store.read() as session:
        told = session.use(Records).about(PROJECT, [digest], RecordKind.APPROVAL)
    return sorted((r.by, r.body["completes"], r.body["step"]) for r in told)


def test_two_approvals_at_once_are_two(each_site: Site) -> None:
    """One of two approvers comes second, whoever it is, and his completes it; the steps have numbers of their own."""
    platform, notary = opened(each_site)
    try:
        models = [notary.model(name) for name in ("approver", "petra")]
        answers = at_once(*(model.approve for model in models))
        assert answers == {"in_validation": 1, "approved": 1}
        told = approvals(platform, notary)
        assert [by for by, _, _ in told] == ["User:approver", "User:petra"]
        assert sorted(completes for _, completes, _ in told) == [False, True]
        assert len({step for _, _, step in told}) == 2
    finally:
        platform.close()


def test_one_signature_used_several_times_at_once_counts_once(each_site: Site) -> None:
    """The same signed request, sent four times at the same moment: one approval, three refusals."""
    platform, notary = opened(each_site)
    try:
        client = notary.client("approver")
        wanted = wi.PrepareSignature(project=PROJECT, model="model:scorer@1", meaning="approved")
        prepared = client.ask("inventory:PrepareSignature", wanted, wi.Statement)
        signed = wi.ApproveModel(
            project=PROJECT,
            model="model:scorer@1",
            statement=prepared.statement,
            signature=client.keys.sign(prepared.statement),
        )
        answers = at_once(*[lambda: notary.people.ask("approver", signed)] * 4)
        assert answers == {"in_validation": 1, "MUNI-M320": 3}
        assert len(approvals(platform, notary)) == 1
    finally:
        platform.close()


def test_approval_and_rejection_at_once_do_not_both_happen(each_site: Site) -> None:
    """Whichever comes first counts: a rejected version is not approved, an approved one not rejected."""
    platform, notary = opened(each_site)
    try:
        notary.model("approver").approve()
        first, second = notary.model("petra"), notary.model("pia")
        answers = at_once(first.approve, lambda: second.reject("no"))
        assert answers in ({"approved": 1, "MUNI-M326": 1}, {"rejected": 1, "MUNI-M326": 1})
    finally:
        platform.close()
