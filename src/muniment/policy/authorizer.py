"""Deciding: from an authentication, a verb and a resource to a Decision that says why."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from muniment.errors import NotFound
from muniment.identity.model import Standing
from muniment.identity.ports import Standings
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Clock, Session, Store
from muniment.kernel.principal import Authentication, Principal, PrincipalKind
from muniment.kernel.verb import Resource, Verb
from muniment.policy.cedar import Answer
from muniment.policy.memo import Kept
from muniment.policy.ports import Decision, Facts, PolicyDocuments, Publications
from muniment.policy.schema import INTERNAL, build_schema, group_of
from muniment.policy.sets import PolicySet, PolicySets
from muniment.policy.slice import Context, Slice, make_context, make_slice

_NO_FACTS: Final = Facts()
_DECISIONS_KEPT: Final = 2048
_LONGEST_KEPT: Final = 4096
"""Bytes of a resource's attributes; a decision about one with more is not kept."""

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class _Known:
    """A decision but for the circumstances that its evidence names."""

    policies: tuple[str, ...]
    policy_set: Digest
    reasons: tuple[str, ...]
    allowed: bool
    evidence: Mapping[str, Any]

    @classmethod
    def of(cls, decision: Decision) -> _Known:
        """What can be said again under circumstances that policies cannot tell from these."""
        evidence = {name: value for name, value in decision.evidence.items() if name != "context"}
        return cls(decision.policies, decision.policy_set, decision.reasons, decision.allowed, evidence)

    def decision(self, circumstances: Mapping[str, Any]) -> Decision:
        """The decision under the circumstances of now."""
        evidence = {**self.evidence, "context": circumstances}
        return Decision(self.allowed, self.policies, (), self.policy_set, self.reasons, evidence)


class CedarAuthorizer:
    """Decides by the policies in force, with the grants that hold at this moment."""

    def __init__(self, verbs: Iterable[Verb], clock: Clock) -> None:
        self.verbs: Final[Mapping[str, Verb]] = {verb.action: verb for verb in verbs}
        self.sets: Final = PolicySets(build_schema(self.verbs.values()))
        self._clock = clock
        self._decisions: Kept[_Known] = Kept(_DECISIONS_KEPT)

    def install(self, store: Store) -> None:
        """Keep what ships with this version of the product, so that its decisions can be replayed by any later one.

        To be called when the platform opens; writes only when this version is new to the installation.
        """
        with store.read() as session:
            newest = [Digest.of(document) for document in self.sets.documents()]
            if all(session.use(PolicyDocuments).get(digest) is not None for digest in newest):
                return
        with store.write() as session:
            for document in self.sets.documents():
                session.use(PolicyDocuments).put(document)
            self.keep_manifests(session)

    def keep_manifests(self, session: Session) -> None:
        """Keep the manifest of every policy set that can now be in force; needed after each publication."""
        heads: dict[str, Any] = {}
        for publication in session.use(Publications).all():
            heads.setdefault(publication.scope, publication.document)
        everywhere = heads.pop("", None)
        for here in (None, *heads.values()):
            session.use(PolicyDocuments).put(self.sets.manifest(everywhere, here).document())

    def decide(
        self,
        session: Session,
        authentication: Authentication,
        verb: Verb,
        resource: Resource,
        facts: Facts = _NO_FACTS,
    ) -> Decision:
        """The decision of the policies in force.

        Raises:
            NotFound: the principal has no account.
        """
        now = self._clock.now()
        principal = authentication.principal
        standing = None if principal.kind is PrincipalKind.SYSTEM else _standing(session, principal, now)
        policies = self._in_force(session, resource.project)
        action = (verb.action, group_of(verb))
        context = make_context(authentication, now, action, facts)
        circumstances = context.record()
        view = self.sets.sight(policies, resource.project).view(circumstances)
        key = None if view is None else self._key(policies, principal, standing, now, verb, resource, view)
        known = None if key is None else self._decisions.find(key)
        if known is not None:
            return known.decision(circumstances)
        seen = make_slice(principal, standing, resource, verb.on.attributes, now)
        decision = self.evaluate(policies, seen, resource, action, context)
        if key is not None and not decision.errors:
            self._decisions.keep(key, _Known.of(decision))
        return decision

    def _key(
        self,
        policies: PolicySet,
        principal: Principal,
        standing: Standing | None,
        now: datetime,
        verb: Verb,
        resource: Resource,
        view: tuple[Hashable, ...],
    ) -> tuple[Hashable, ...] | None:
        """Everything that a decision is made from; None when it cannot be told apart from others, or is too large."""
        if self.verbs.get(verb.action) is not verb:
            return None
        attributes = b""
        if resource.attributes:
            try:
                attributes = _encode(resource.attributes)
            except (msgspec.MsgspecError, TypeError, ValueError):
                return None
            if len(attributes) > _LONGEST_KEPT:
                return None
        return (
            policies.digest,
            principal.kind,
            principal.id,
            standing,
            standing is None or standing.account.active(now),
            verb.action,
            resource.kind,
            resource.id,
            resource.project,
            attributes,
            view,
        )

    def evaluate(
        self, policies: PolicySet, seen: Slice, resource: Resource, action: tuple[str, str], context: Context
    ) -> Decision:
        """The decision of a policy set about a slice; a pure function, which is what makes replays possible.

        Args:
            policies: the policy set, of today or of a past day.
            seen: the slice.
            resource: what is asked about.
            action: the action and its group.
            context: the circumstances.
        """
        ready = self.sets.ready(policies, resource.project, seen.links)
        circumstances = context.record()
        answer = ready.ask(seen.question(action[0], circumstances), policies.schema)
        by_link = {link.id: policies_id for link in seen.links if (policies_id := policies.template_of(link.role))}
        deciders = tuple(sorted({by_link.get(name, name) for name in answer.deciders}))
        evidence: dict[str, Any] = {
            "policy_set": str(policies.digest),
            "slice": str(seen.digest),
            "decision": "allow" if answer.allowed else "deny",
            "policies": list(deciders),
            "context": circumstances,
        }
        if answer.errors:
            evidence["errors"] = list(answer.errors)
        if resource.attributes:
            evidence["attributes"] = {
                name: sorted(value) if isinstance(value, (set, frozenset, tuple, list)) else value
                for name, value in sorted(resource.attributes.items())
            }
        reasons = _in_words(policies, seen, answer, action)
        return Decision(answer.allowed, deciders, answer.errors, policies.digest, reasons, evidence)

    def _in_force(self, session: Session, project: str | None) -> PolicySet:
        return self.sets.in_force(session.use(Publications).heads(project), project, session.use(PolicyDocuments))


def _standing(session: Session, principal: Principal, now: datetime) -> Standing:
    standing = session.use(Standings).standing(principal.id, now)
    if standing is None or standing.account.kind is not principal.kind:
        raise NotFound("MUNI-P201", f"there is no account {principal.id[:80]!r}", principal=str(principal)[:200])
    return standing


def _in_words(policies: PolicySet, seen: Slice, answer: Answer, action: tuple[str, str]) -> tuple[str, ...]:
    """Why, for a person."""
    links = {link.id: link for link in seen.links}
    words: list[str] = []
    for name in answer.deciders:
        link = links.get(name)
        rule = policies.rules.get(policies.template_of(link.role) or name if link else name)
        reason = rule.reason if rule else ""
        if link is None:
            words.append(f"{name}: {reason}" if reason else name)
        else:
            by = f"{link.principal[0]} {link.principal[1]} is {link.role} in {link.resource[0]} {link.resource[1]}"
            words.append(f"{by} (grant {link.id}): {reason}")
    words += [f"denied because a policy failed: {error}" for error in answer.errors]
    if not words:
        held = sorted({link.role for link in seen.links})
        words.append(f"no policy permits {action[0]}; roles held here: {', '.join(held) or 'none'}")
        roles = () if action[1] == INTERNAL else policies.permitting_roles(*action)
        if roles:
            words.append(f"roles that may: {', '.join(roles)}")
    return tuple(words)
