"""Policy's repositories on each engine: documents by digest, and what is in force where."""

from __future__ import annotations

from datetime import timedelta

from muniment.adapters.sql.store import SqlStore
from muniment.kernel.digest import Digest
from muniment.policy.ports import PolicyDocuments, Publication, Publications
from muniment.testing.fakes import FakeClock


def test_documents_are_kept_once_by_their_digest(store: SqlStore) -> None:
    """The same bytes have the same name, are kept once, and come back unchanged."""
    with store.write() as session:
        documents = session.use(PolicyDocuments)
        digest = documents.put(b"permit\x00\xff")
        assert documents.put(b"permit\x00\xff") == digest == Digest.of(b"permit\x00\xff")
    with store.read() as session:
        assert session.use(PolicyDocuments).get(digest) == b"permit\x00\xff"
        assert session.use(PolicyDocuments).get(Digest.of(b"")) is None


def test_heads_are_the_latest_of_the_installation_and_of_one_project(store: SqlStore, clock: FakeClock) -> None:
    """In force are the newest version of the installation's scope and that of the project asked for, of no other."""
    versions = {("", 1), ("", 2), ("credit", 1), ("credit", 2), ("credit", 3), ("fraud", 1)}
    with store.write() as session:
        publications = session.use(Publications)
        assert publications.heads("credit") == {}
        for scope, version in sorted(versions):
            digest = Digest.of(f"{scope}{version}".encode())
            publications.add(Publication(scope, version, digest, "root", clock.now() + timedelta(hours=version)))
    with store.read() as session:
        publications = session.use(Publications)
        heads = publications.heads("credit")
        assert {scope: head.version for scope, head in heads.items()} == {"": 2, "credit": 3}
        assert heads["credit"].document == Digest.of(b"credit3")
        assert {scope: head.version for scope, head in publications.heads(None).items()} == {"": 2}
        assert {scope: head.version for scope, head in publications.heads("new").items()} == {"": 2}
        assert {(each.scope, each.version) for each in publications.all()} == versions
        assert publications.all()[0].version == 3
