"""Decisions: 1,000 policies over 100 projects, sharded and not; rights from the store; roles as links or attributes.

Times of one decision are wall time, medians; decisions per second are per second of this process's CPU, on one thread.
"""

from __future__ import annotations

import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, cycle
from pathlib import Path

from sqlalchemy import create_engine

from muniment.adapters.sql.identity import REPOSITORIES as IDENTITY
from muniment.adapters.sql.policy import REPOSITORIES as POLICY
from muniment.adapters.sql.schema import METADATA
from muniment.adapters.sql.store import SqlStore, sqlite_url
from muniment.bootstrap import VERBS
from muniment.identity import tokens
from muniment.identity.model import Account, Role, RoleGrant, SubjectKind, Token, TokenKind
from muniment.identity.ports import Accounts, Grants, Standings, Tokens
from muniment.identity.service import authenticate
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import new_id
from muniment.kernel.ports import SystemClock, SystemEntropy
from muniment.kernel.principal import PrincipalKind
from muniment.kernel.verb import Resource
from muniment.policy.authorizer import CedarAuthorizer
from muniment.policy.cedar import Question, RuleSet, Schema, parse_rules
from muniment.policy.ports import Facts, PolicyDocuments, Publication, Publications
from muniment.policy.publishing import document
from muniment.policy.schema import group_of
from muniment.policy.sets import shipped
from muniment.policy.slice import Slice, make_context, make_slice
from table import Row, print_table

POLICIES, PROJECTS = 1_000, 100
ROUNDS = 2_000
P50_MS, PER_SECOND = 0.2, 5_000
ACTION = "data:AddDataset"
HERE = Resource("Project", "p7", "p7")


def run() -> list[Row]:
    """Measure and compare."""
    with tempfile.TemporaryDirectory(prefix="muni-bench-") as folder:
        url = sqlite_url(Path(folder) / "state.db")
        engine = create_engine(url)
        METADATA.create_all(engine)
        engine.dispose()
        store = SqlStore(url, {**IDENTITY, **POLICY})
        try:
            return _measure(store)
        finally:
            store.close()


def _measure(store: SqlStore) -> list[Row]:
    clock, entropy = SystemClock(), SystemEntropy()
    cedar = CedarAuthorizer(VERBS, clock)
    token = _populate(store, clock, entropy)
    verb, now = cedar.verbs[ACTION], clock.now()
    action = (ACTION, group_of(verb))
    with store.read() as session:
        known = authenticate(session, token, now, "10.0.0.1")
        standing = session.use(Standings).standing("ana", now)
        policies = cedar.sets.in_force(session.use(Publications).heads("p7"), "p7", session.use(PolicyDocuments))
        context = make_context(known, now, action, Facts())

        assert standing is not None
        turn, new = cycle(range(500)), count(500)

        def slice_and_evaluate(which: Iterator[int] = turn) -> bool:
            held = replace(standing, groups=(f"g{next(which)}",))
            seen = make_slice(known.principal, held, HERE, verb.on.attributes, now)
            return cedar.evaluate(policies, seen, HERE, action, context).allowed

        seen = make_slice(known.principal, standing, HERE, verb.on.attributes, now)
        whole = RuleSet(policies.rules.values()).linked(seen.links)
        question = seen.question(ACTION, context.record())
        ready = cedar.sets.ready(policies, "p7", seen.links)
        sharded_ms, sharded_rate = _time(slice_and_evaluate)
        new_ms, _ = _time(lambda: slice_and_evaluate(new))
        engine_ms, _ = _time(lambda: ready.ask(question, policies.schema).allowed)
        full_ms, _ = _time(lambda: whole.ask(question, policies.schema).allowed, ROUNDS // 10)
        shard = RuleSet(policies.shard("p7"))
        link_ms, _ = _time(lambda: bool(shard.linked(seen.links)), ROUNDS // 4)
        decide_ms, decide_rate = _time(lambda: cedar.decide(session, known, verb, HERE).allowed)
        token_ms, _ = _time(lambda: bool(authenticate(session, token, now, "10.0.0.1")))
    links_ms, attributes_ms = _links_or_attributes(cedar, seen, question)
    return [
        Row(
            f"decision, {POLICIES:,} policies, sharded",
            f"{sharded_ms:.3f} ms; {sharded_rate:,.0f}/s per core",
            f"{full_ms:.3f} ms engine alone, not sharded",
            sharded_ms / full_ms,
            f"p50 <= {P50_MS} ms; >= {PER_SECOND:,}/s",
            sharded_ms <= P50_MS and sharded_rate >= PER_SECOND,
            f"500 slices in turn, with evidence; never seen before: {new_ms:.3f} ms; engine alone: {engine_ms:.3f} ms",
        ),
        Row(
            "decision with rights and publications from SQLite",
            f"{decide_ms:.3f} ms; {decide_rate:,.0f}/s per core",
            f"{sharded_ms:.3f} ms without the store",
            decide_ms / sharded_ms,
            "",
            None,
            "two queries for each decision",
        ),
        Row("recognise a token, SQLite", f"{token_ms:.3f} ms", "", None, "", None, "one query"),
        Row(
            "roles as template links : as slice attributes",
            f"{links_ms:.3f} ms",
            f"{attributes_ms:.3f} ms with seven role policies that look at an attribute",
            links_ms / attributes_ms,
            "",
            None,
            f"filling in a grant, once per principal and policy set: {link_ms:.3f} ms",
        ),
    ]


def _populate(store: SqlStore, clock: SystemClock, entropy: SystemEntropy) -> str:
    now = clock.now()
    token_id = new_id(clock, entropy)
    text = tokens.mint(TokenKind.PERSONAL, token_id, entropy)
    own = "".join(
        f'@id("own/{n}@1") forbid(principal, action in Action::"data:write", resource in Project::"p{n % PROJECTS}") '
        f'when {{ context.purpose == "purpose {n}" }};\n'
        for n in range(POLICIES)
    )
    with store.write() as session:
        for n in range(1_000):
            name = "ana" if n == 0 else f"user{n}"
            session.use(Accounts).add(Account(name, PrincipalKind.USER, None, now, "root"))
            for role in (Role.SCIENTIST, Role.APPROVER):
                session.use(Grants).add(
                    RoleGrant(
                        new_id(clock, entropy), SubjectKind.USER, name, role, f"p{(n + 7) % 100}", now, None, "root"
                    )
                )
        end = now.replace(year=now.year + 1)
        session.use(Tokens).add(
            Token(token_id, TokenKind.PERSONAL, "ana", Digest.of(text.encode()), "", None, "root", now, end)
        )
        digest = session.use(PolicyDocuments).put(document(own, []))
        session.use(Publications).add(Publication("", 1, digest, "root", now))
    return text


def _links_or_attributes(cedar: CedarAuthorizer, seen: Slice, question: Question) -> tuple[float, float]:
    """The engine's time when grants are template links, and when roles are an attribute that each role policy reads."""
    core = parse_rules(shipped("core"))
    links = RuleSet([*core, *parse_rules(shipped("roles"))]).linked(seen.links)
    text = re.sub(
        r'@id\("role/([a-z-]+)@1"\)(.*?)resource in \?resource\n\);',
        r'@id("role/\1@1")\2resource in Installation::"muniment"\n) when { principal.here.contains("\1") };',
        shipped("roles").replace("principal in ?principal", "principal"),
        flags=re.DOTALL,
    )
    roles = parse_rules(text)
    assert len(roles) == len(Role), "each role became a policy that reads an attribute"
    shape = "roles: Set<String>"
    schema = Schema(cedar.sets.schema_text.replace(shape, f"{shape}, here: Set<String>"))
    here = question.entities.replace('"attrs":{"active":true', '"attrs":{"here":["scientist","approver"],"active":true')
    other = replace(question, entities=here)
    attributes, plain = RuleSet([*core, *roles]), Schema(cedar.sets.schema_text)
    return (
        _time(lambda: links.ask(question, plain).allowed)[0],
        _time(lambda: attributes.ask(other, schema).allowed)[0],
    )


def _time(decide: Callable[[], bool], rounds: int = ROUNDS) -> tuple[float, float]:
    """Median wall milliseconds, and calls per second of CPU; every call must say yes, or nothing was measured."""
    assert all(decide() for _ in range(20)), "the measured decision is an allow"
    times, cpu = [], time.process_time()
    for _ in range(rounds):
        started = time.perf_counter()
        decide()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e3, rounds / (time.process_time() - cpu)


if __name__ == "__main__":
    print_table(run())
