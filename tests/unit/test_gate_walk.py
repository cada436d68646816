"""Every verb there is, through the gate, as everyone who may not: refused, recorded, and nothing has changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection

from asking import furnish_catalog, recorded, sample, state
from muniment.adapters.sql.ledger import SqlEntries
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.bootstrap import VERBS
from muniment.errors import Denied, NotFound, Unauthenticated, Unavailable
from muniment.gate.door import Credential
from muniment.identity.model import TokenKind
from muniment.identity.tokens import mint
from muniment.kernel.identifiers import new_id
from muniment.kernel.verb import Verb
from muniment.ledger.ports import EntryRepository
from muniment.testing.fakes import FakeClock, SeededEntropy
from muniment.testing.platform import People, Site
from muniment.wire.identity import AddUser, DisableUser, IssueToken, IssueTokenFor, RevokeToken
from walking import each

State = Mapping[str, list[tuple[Any, ...]]]

ASKABLE = [verb for verb in VERBS if not verb.internal]
CLOSED = [verb for verb in ASKABLE if not verb.public]
IN_PROJECT = [verb for verb in CLOSED if verb.on.in_project]

OWN = {"identity:self"}
ANY_ROLE = OWN | {"audit:verify", "env:read", "policy:read"}
OFFICE = {"catalog:read", "audit:read", "identity:manage", "identity:read", "policy:manage", "key:read", "env:manage"}
SIGN = {"inventory:sign", "inventory:challenge"}
JUDGE = SIGN | {"inventory:decide", "inventory:oversee"}
MANAGE = {"inventory:manage", "inventory:emergency", "inventory:sign"}
CHARTER = {
    "admin": ANY_ROLE | OFFICE | MANAGE | {"system:export", "system:operate", "key:manage"},
    "admin2": ANY_ROLE | OFFICE | MANAGE | {"system:operate"},
    "scientist": ANY_ROLE
    | SIGN
    | {"inventory:write"}
    | {
        "evidence:read",
        "catalog:read",
        "data:write",
        "data:read",
        "data:use",
        "run:write",
        "run:reproduce",
        "run:validate",
        "model:read",
    },
    "validator": ANY_ROLE
    | JUDGE
    | {"inventory:validate"}
    | {"evidence:read", "catalog:read", "data:use", "run:reproduce", "run:validate", "model:read"},
    "approver": ANY_ROLE | JUDGE | {"inventory:approve"} | {"evidence:read", "catalog:read"},
    "operator": ANY_ROLE
    | {"inventory:promote"}
    | {"catalog:read", "model:read", "key:read", "env:manage", "system:operate", "inventory:sign"},
    "auditor": ANY_ROLE
    | {"evidence:read", "catalog:read", "audit:read", "identity:read", "key:read", "system:operate"}
    | {"inventory:examine", "inventory:sign"},
    "steward": ANY_ROLE | {"evidence:read", "catalog:read", "data:steward"},
    "outsider": ANY_ROLE,
    "newcomer": OWN,
}
"""Who may what in project ``main`` and on the installation: written down a second time, to be compared."""


@dataclass(frozen=True)
class Crowd:
    """Everyone, good tokens and bad ones, and things to ask about."""

    people: People
    references: dict[str, str]

    def request(self, verb: Verb, project: str = "main", reference: str | None = None) -> Any:
        """A request about something that exists, or about the reference."""
        return sample(verb, project, reference or self.references.get(verb.on.name))


@pytest.fixture(scope="module")
def crowd(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    """One platform for the whole walk: refusals change nothing, so it stays as it is."""
    clock = FakeClock(datetime.now(UTC))
    platform = site.copy(tmp_path_factory.mktemp("walk")).open(clock=clock)
    people = People(platform, site.tokens)
    people.ask("admin", AddUser(name="leaver"))
    people.tokens["disabled"] = people.ask("admin", IssueTokenFor(owner="leaver")).token
    people.ask("admin", DisableUser(name="leaver"))
    real = people.ask("auditor", IssueToken()).token
    for name, days in (("expired", 1), ("revoked", 30)):
        issued = people.ask("scientist", IssueToken(days=days))
        people.tokens[name] = issued.token
        if name == "revoked":
            people.ask("scientist", RevokeToken(token=issued.id))
    clock.advance(days=2)
    people.tokens |= {"malformed": "muni_pat_nonsense", "mistyped": real[:-1] + chr(ord(real[-1]) ^ 1)}
    people.tokens["unknown"] = mint(TokenKind.PERSONAL, new_id(clock, SeededEntropy()), SeededEntropy(1))
    yield Crowd(people, furnish_catalog(people))
    platform.close()


@pytest.fixture(scope="module")
def still(crowd: Crowd) -> State:
    """What there is; after every refusal it is the same."""
    return state(crowd.people.platform)


@each(CLOSED)
def test_nobody_is_refused_and_recorded(crowd: Crowd, still: State, verb: Verb) -> None:
    """Without a token every verb answers Unauthenticated, and the ledger says who did not ask for what."""
    with pytest.raises(Unauthenticated) as refused:
        crowd.people.ask_with(None, crowd.request(verb), b"body")
    entry = recorded(crowd.people.platform, refused.value)
    assert (entry["principal"], entry["action"], entry["outcome"]) == ("System:anonymous", verb.action, "denied")
    assert entry["because"] == {"why": "missing", "credential": ""}
    assert refused.value.facts.keys() == {"do", "entry"}
    assert state(crowd.people.platform) == still


@each(ASKABLE)
def test_a_bad_token_opens_nothing(crowd: Crowd, verb: Verb) -> None:
    """Malformed, unknown, expired, revoked, disabled: one answer to the asker, and told apart in the ledger."""
    reasons = {name: name for name in ("malformed", "unknown", "expired", "revoked", "disabled")}
    for token, why in {**reasons, "mistyped": "malformed"}.items():
        with pytest.raises(Unauthenticated) as refused:
            crowd.people.ask(token, crowd.request(verb), b"body")
        assert (refused.value.code, refused.value.message) == ("MUNI-I401", "nobody is known by this credential")
        assert refused.value.facts.keys() == {"do", "entry"}
        entry = recorded(crowd.people.platform, refused.value)
        assert (entry["because"]["why"], entry["action"]) == (why, verb.action)


@each(CLOSED)
def test_who_may_not_is_denied_and_recorded(crowd: Crowd, still: State, verb: Verb) -> None:
    """Everyone whose roles do not carry a verb is denied it, and stands in the ledger by name; nothing changes."""
    for person in [person for person, groups in CHARTER.items() if verb.group not in groups]:
        with pytest.raises(Denied) as refused:
            crowd.people.ask(person, crowd.request(verb), b"body")
        entry = recorded(crowd.people.platform, refused.value)
        assert refused.value.code == entry["code"] == "MUNI-G403"
        assert (entry["principal"], entry["action"]) == (f"User:{person}", verb.action)
        assert (entry["outcome"], entry["decision"]) == ("denied", "deny")
    assert state(crowd.people.platform) == still


@each(CLOSED)
def test_each_verb_is_permitted_to_those_of_the_charter(crowd: Crowd, verb: Verb) -> None:
    """Each verb is permitted to at least one person, and to each whom the charter names."""
    permitted = [person for person, groups in CHARTER.items() if verb.group in groups]
    gate = crowd.people.platform.gate
    with crowd.people.platform.store.read() as session:
        resource = verb.on.locate(session, "main", crowd.references.get(verb.on.name, ""))
        for person in permitted:
            who = gate._authenticate(session, crowd.people.tokens[person], "127.0.0.1")
            assert gate._authorizer.decide(session, who, verb, resource).allowed, person
    assert permitted


@each(IN_PROJECT)
def test_another_project_shows_nothing(crowd: Crowd, verb: Verb) -> None:
    """Who has no role in a project gets one answer for what is there, what is not, and what is no reference at all."""
    mine = crowd.references.get(verb.on.name, "")
    answers = set()
    for project in ("main", "nowhere"):
        for reference in (mine, "data:absent", "sha256:" + "0" * 64, "model:scorer", "?? nonsense"):
            with pytest.raises(Denied) as refused:
                crowd.people.ask("outsider", crowd.request(verb, project, reference), b"body")
            shown = refused.value.document()
            assert shown["facts"].pop("entry")
            answers.add(str(shown).replace(reference or "?", "REFERENCE").replace(project, "PROJECT"))
    assert len(answers) == 1


@each([verb for verb in VERBS if verb.internal])
def test_an_internal_verb_has_no_name_outside(crowd: Crowd, verb: Verb) -> None:
    """Whoever names an internal verb is told what he is told of a verb that is not there."""
    answers = []
    for action in (verb.action, "execution:NoSuchVerb"):
        with pytest.raises(NotFound) as refused:
            crowd.people.platform.gate.invoke(action, sample(verb), Credential(crowd.people.tokens["admin"]))
        answers.append(str(refused.value.document()).replace(action, "VERB"))
    assert answers[0] == answers[1]


def test_two_verbs_need_no_credential() -> None:
    """Signing in and the first administrators are all that can be asked by nobody."""
    assert {verb.action for verb in VERBS if verb.public} == {"identity:SignIn", "identity:Bootstrap"}


class FullDisk(SqlEntries):
    """A ledger that takes nothing."""

    def add(self, rows: object) -> None:
        """Refuse."""
        raise Unavailable("MUNI-S501", "the disk is full")


@pytest.mark.slow
def test_without_the_ledger_nothing_happens(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    """While the ledger cannot be written every verb is refused, to those who may too, and no row or object changes."""
    full = {"is": False}

    def entries(connection: Connection) -> SqlEntries:
        return (FullDisk if full["is"] else SqlEntries)(connection)

    place = site.copy(tmp_path_factory.mktemp("full"))
    platform = place.open(repositories={**REPOSITORIES, EntryRepository: entries})
    people = People(platform, place.tokens)
    references = furnish_catalog(people)
    full["is"], before = True, state(platform)
    for verb in ASKABLE:
        person = next(person for person, groups in CHARTER.items() if verb.public or verb.group in groups)
        with pytest.raises(Unavailable):
            people.ask(person, sample(verb, "main", references.get(verb.on.name)), b"body")
        assert state(platform) == before, verb.action
    full["is"] = False
    platform.close()
