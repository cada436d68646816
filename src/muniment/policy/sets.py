"""Policy sets: what is in force for a project at one moment, named by a digest that covers every text in it.

A set is made of the core and the roles that ship with the product, of what the institution published for the whole
installation, of what it published for one project, and of the schema. Its manifest names the five by digest.

**Sharding.** Evaluation costs time in proportion to the number of policies, so a policy whose scope confines it to one
project is kept out of every other project's way. This cannot change a decision: such a policy matches only resources in
that project, and a resource is in exactly one (property-tested).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pkgutil import get_data
from typing import Final

import msgspec

from muniment.errors import IntegrityError
from muniment.kernel.canonical import canonical
from muniment.kernel.digest import Digest
from muniment.policy.cedar import Link, Rule, RuleSet, Schema, parse_rules, role_of
from muniment.policy.memo import Kept, Sight
from muniment.policy.ports import DocumentSource, Publication
from muniment.wire.policy import PolicyTest

_LINKED_SETS_KEPT: Final = 2048
_SHARDS_KEPT: Final = 512


def shipped_tests() -> tuple[PolicyTest, ...]:
    """The table of tests that proves what the shipped bundles do."""
    return msgspec.json.decode(_bundled("tests.json"), type=tuple[PolicyTest, ...])


def shipped(name: str) -> str:
    """The text of a bundle that ships with the product: ``core`` or ``roles``."""
    return _bundled(f"{name}.cedar").decode()


def _bundled(name: str) -> bytes:
    content = get_data("muniment.policy", f"bundles/{name}")
    assert content is not None, f"the package lacks its policy bundle {name}"
    return content


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a policy set consists of."""

    core: Digest
    roles: Digest
    schema: Digest
    installation: Digest | None
    """The institution's publication for all projects."""

    project: Digest | None
    """The institution's publication for the one project that is concerned."""

    def document(self) -> bytes:
        """The canonical bytes."""
        return canonical(
            {
                "core": self.core,
                "installation": self.installation,
                "project": self.project,
                "roles": self.roles,
                "schema": self.schema,
            }
        )

    @property
    def digest(self) -> Digest:
        """The name of the policy set."""
        return Digest.of(self.document())

    @classmethod
    def parse(cls, document: bytes) -> Manifest:
        """The inverse of ``document``."""
        parts = msgspec.json.decode(document)
        optional = [Digest(parts[name]) if parts[name] else None for name in ("installation", "project")]
        return cls(Digest(parts["core"]), Digest(parts["roles"]), Digest(parts["schema"]), *optional)


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Every policy of one manifest, parsed."""

    digest: Digest
    rules: Mapping[str, Rule]
    templates: Mapping[str, str]
    """Ids of templates by role."""

    schema: Schema

    def shard(self, project: str | None) -> tuple[Rule, ...]:
        """The policies that can concern a resource of this project; of no project when None."""
        return tuple(rule for rule in self.rules.values() if rule.shard is None or rule.shard == project)

    def template_of(self, role: str) -> str | None:
        """The id of a role's template."""
        return self.templates.get(role)

    def permitting_roles(self, action: str, group: str) -> tuple[str, ...]:
        """Roles whose template permits an action or its group."""
        return tuple(
            role_of(rule.id)
            for rule in self.rules.values()
            if rule.template and (rule.actions is None or not rule.actions.isdisjoint((action, group)))
        )


class PolicySets:
    """Finds, parses and keeps policy sets; handles are kept by digest, so a change of policy needs no notice."""

    def __init__(self, schema: str) -> None:
        texts = (shipped("core"), shipped("roles"), schema)
        self.core, self.roles, self.schema = (Digest.of(text.encode()) for text in texts)
        self._shipped = dict(zip((self.core, self.roles, self.schema), texts, strict=True))
        self._manifests: Kept[Manifest] = Kept(_SHARDS_KEPT)
        self._sets: Kept[PolicySet] = Kept(_SHARDS_KEPT)
        self._shards: Kept[RuleSet] = Kept(_SHARDS_KEPT)
        self._linked: Kept[RuleSet] = Kept(_LINKED_SETS_KEPT)
        self._sights: Kept[Sight] = Kept(_SHARDS_KEPT)

    def manifest(self, installation: Digest | None, project: Digest | None) -> Manifest:
        """The manifest with these publications and what ships with this version of the product."""
        return Manifest(self.core, self.roles, self.schema, installation, project)

    def in_force(self, heads: Mapping[str, Publication], project: str | None, documents: DocumentSource) -> PolicySet:
        """The policy set for a project, given the publications in force."""
        everywhere, here = heads.get(""), heads.get(project) if project else None
        parts = (everywhere.document if everywhere else None, here.document if here else None)
        return self._sets.get(parts, lambda: self.load(self.manifest(*parts), documents))

    def load(self, manifest: Manifest, documents: DocumentSource) -> PolicySet:
        """The policy set of a manifest, also of one from years ago.

        Raises:
            IntegrityError: a text it names is not kept.
        """
        texts = [self._text(manifest.core, documents), self._text(manifest.roles, documents)]
        texts += [
            published_text(self._bytes(digest, documents))
            for digest in (manifest.installation, manifest.project)
            if digest is not None
        ]
        rules = {rule.id: rule for text in texts for rule in parse_rules(text)}
        templates = {role_of(rule.id): rule.id for rule in rules.values() if rule.template}
        return PolicySet(manifest.digest, rules, templates, Schema(self._text(manifest.schema, documents)))

    def ready(self, policies: PolicySet, project: str | None, links: tuple[Link, ...]) -> RuleSet:
        """The project's shard with these grants filled in, parsed and ready to be asked."""
        key = (policies.digest, project)

        def link() -> RuleSet:
            return self._shards.get(key, lambda: RuleSet(policies.shard(project))).linked(links)

        return self._linked.get((*key, links), link)

    def sight(self, policies: PolicySet, project: str | None) -> Sight:
        """What the project's shard can see of the circumstances."""
        return self._sights.get((policies.digest, project), lambda: Sight.of(policies.shard(project)))

    def draft(
        self, publication: bytes, project: str | None, installation: Digest | None, documents: DocumentSource
    ) -> PolicySet:
        """The policy set that would be in force if a draft were published.

        Args:
            publication: the draft, for ``project`` or else for the whole installation.
            project: the project it is for; None for the whole installation.
            installation: what is in force everywhere.
            documents: where the other texts are kept.
        """
        digest = Digest.of(publication)
        parts = (digest, None) if project is None else (installation, digest)
        return self.load(self.manifest(*parts), _WithDraft(documents, digest, publication))

    def published_rules(self, publication: Publication, documents: DocumentSource) -> tuple[Rule, ...]:
        """The policies of a publication."""
        return parse_rules(published_text(self._bytes(publication.document, documents)))

    @property
    def schema_text(self) -> str:
        """The schema of this version of the product."""
        return self._shipped[self.schema]

    def documents(self) -> Iterable[bytes]:
        """The texts that ship with this version of the product, to be kept for replays."""
        return [text.encode() for text in self._shipped.values()]

    def _text(self, digest: Digest, documents: DocumentSource) -> str:
        return self._shipped[digest] if digest in self._shipped else self._bytes(digest, documents).decode()

    def _bytes(self, digest: Digest, documents: DocumentSource) -> bytes:
        document = documents.get(digest)
        if document is None or Digest.of(document) != digest:
            raise IntegrityError(
                "MUNI-P501", "a policy text that decisions rest on is missing or altered", digest=digest
            )
        return document


def published_text(document: bytes) -> str:
    """The Cedar text in a published document."""
    return str(msgspec.json.decode(document)["text"])


@dataclass(frozen=True, slots=True)
class _WithDraft:
    """The kept documents and one that is not kept yet."""

    kept: DocumentSource
    digest: Digest
    draft: bytes

    def get(self, digest: Digest) -> bytes | None:
        """The document, or None."""
        return self.draft if digest == self.digest else self.kept.get(digest)
