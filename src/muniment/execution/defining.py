"""Documents that people define and that jobs read: kept sealed, known by their digest, named like everything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muniment.catalog.model import EntityKind, Name
from muniment.catalog.recording import Recorder
from muniment.kernel.canonical import canonical
from muniment.kernel.digest import Digest
from muniment.kernel.verb import Call
from muniment.vault.service import Vault

__all__ = ["define_document", "keep_bytes"]


def define_document(
    call: Call, kind: EntityKind, name: str, filename: str, document: Mapping[str, Any], facts: Mapping[str, Any]
) -> Name:
    """Seal a document, make it known, and give its name the next version; the same document again keeps its version.

    Args:
        call: the request that defines it.
        kind: what it is.
        name: its name, without kind and version.
        filename: what a job finds it as.
        document: its content; the digest of its canonical bytes is the entity.
        facts: small JSON about it.
    """
    content = canonical(dict(document))
    digest = keep_bytes(call, content)
    recorder = Recorder(call.session, call.project, call.now)
    files = [{"path": filename, "digest": str(digest), "size": len(content)}]
    agent = str(call.principal)
    recorder.entity(digest, kind, author=agent, facts={**facts, "files": files}, parts=[digest])
    return recorder.name(kind, name, digest, by=agent)


def keep_bytes(call: Call, content: bytes) -> Digest:
    """Seal bytes in the project, unless it holds them."""
    vault, digest = call.use(Vault), Digest.of(content)
    if not vault.has(call.session, call.project, digest):
        vault.register(call.session, call.project, vault.seal_bytes(call.project, content))
    return digest
