"""The vault: seals what is stored, opens it again, and refuses whatever does not verify."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Final

from muniment.errors import Conflict, IntegrityError, Invalid, NotFound, Unavailable
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.ports import Clock, Entropy, Faults, Session, Store
from muniment.kernel.resources import INSTALLATION, PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.vault import check
from muniment.vault.deriving import Lending
from muniment.vault.envelope import (
    CHUNK,
    FORMAT,
    NONCE_SIZE,
    OpeningStream,
    SealingStream,
    storage_name,
    stream_binding,
)
from muniment.vault.keyring import Keyring, Unlocked
from muniment.vault.model import Checked, Epoch, Erased, Finding, KeyEnd, Sealed
from muniment.vault.ports import (
    BlobStore,
    Draft,
    ErasedObjects,
    Guards,
    KeyEnds,
    KeyService,
    ProjectKeys,
    SealedObjects,
    Source,
)
from muniment.vault.reading import SealedReader
from muniment.wire import vault as wire

SMALL: Final = 16 << 20
"""Bytes that ``read_bytes`` takes into memory when it is not told otherwise."""

ERASED: Final = "MUNI-V205"
"""Code of the error that says that an object was destroyed on purpose."""

_PAGE: Final = 1000


class Unguarded:
    """Guards nothing: for a vault that stands alone."""

    def guarded(self, session: Session, project: str, digests: Iterable[Digest], now: datetime) -> Mapping[Digest, str]:
        """Nothing has to stay."""
        return {}


class Vault:
    """Sealed, content-addressed objects, by project.

    Sealing and opening hold no transaction while bytes flow. An object exists for others once ``register`` has been
    committed with whatever refers to it.
    """

    def __init__(
        self,
        store: Store,
        blobs: BlobStore,
        keys: KeyService,
        clock: Clock,
        entropy: Entropy,
        faults: Faults,
        guards: Guards | None = None,
    ) -> None:
        self._store, self._blobs, self._clock = store, blobs, clock
        self._entropy, self._faults = entropy, faults
        self._keys, self._guards = keys, guards or Unguarded()
        self._keyring = Keyring(keys, clock, entropy)
        self.lending = Lending(self._keyring)
        """Secrets for jobs of the platform's own programs."""

    def create_project_key(self, session: Session, project: str) -> None:
        """Give a new project its first key; without one it cannot store.

        Raises:
            Conflict: the project has a key.
        """
        self._keyring.create(session, project)

    def seal(self, project: str, source: Source, *, limit: int | None = None) -> Sealed:
        """Encrypt what the source gives, in one pass, into a blob that no record names yet.

        Args:
            project: whose key is used.
            source: read to its end.
            limit: the most bytes that are taken.

        Raises:
            Conflict: the project has no key.
            Invalid: there are more bytes than the limit, or the source cannot be read.
            Unavailable: the disk is full or fails; nothing is left behind.
        """
        with self._store.read() as session:
            keys = self._keyring.current(session, project)
        nonce = self._entropy.token(NONCE_SIZE)
        draft = self._blobs.draft()
        try:
            stream = SealingStream(draft, stream_binding(project, nonce))
            try:
                digest, size = _pump(source, stream, limit)
                stream.finish()
            finally:
                stream.abandon()
            _publish(draft, storage_name(keys.name_key, nonce, digest))
        except (Exception, KeyboardInterrupt, SystemExit):
            draft.discard()
            raise
        bare = Sealed(project, digest, size, b"", keys.kek.version, FORMAT, nonce, self._clock.now())
        return keys.kek.enclose(bare, stream.data_key)

    def seal_bytes(self, project: str, data: bytes) -> Sealed:
        """Seal a small content from memory; see ``seal``."""
        return self.seal(project, io.BytesIO(data))

    def register(self, session: Session, project: str, sealed: Sealed) -> None:
        """Keep the record of a sealed object in this transaction.

        When the project has the same content already, the new blob is dropped: the older one serves.

        Raises:
            Invalid: the object was sealed for another project.
            Conflict: the project has no key.
            Conflict: the content was destroyed on purpose and does not come back, or the key that it was sealed under
                was destroyed meanwhile.
            Unavailable: the blob was dropped since; seal again.
        """
        if sealed.project != project:
            raise Invalid("MUNI-V107", "an object is registered in the project it was sealed for", project=project)
        if gone := session.use(ErasedObjects).find(project, [sealed.digest]):
            raise Conflict(
                "MUNI-V310",
                "this content was destroyed on purpose, so it is not stored again",
                **_facts(gone[sealed.digest]),
                do="store it without what had to go",
            )
        if any(end.version == sealed.kek_version and end.destroyed_at for end in session.use(KeyEnds).of(project)):
            raise Conflict(
                "MUNI-V311",
                "the key that this content was sealed under was destroyed meanwhile",
                project=project,
                version=sealed.kek_version,
                do="store it again",
            )
        keys = self._keyring.version(session, project, sealed.kek_version)
        name = storage_name(keys.name_key, sealed.nonce, sealed.digest)
        known = session.use(SealedObjects).find(project, sealed.digest)
        if known is not None:
            self._faults.point("vault.deduplicate")
            if known.nonce != sealed.nonce:
                self._blobs.delete(name)
            return
        if not self._blobs.exists(name):
            raise Unavailable("MUNI-V515", "the sealed bytes are gone; store the content again", digest=sealed.digest)
        current = self._keyring.current(session, project)
        if current.kek.version != sealed.kek_version:
            sealed = current.kek.enclose(sealed, keys.kek.disclose(sealed))
        self._faults.point("vault.register")
        session.use(SealedObjects).add(sealed)

    def discard(self, sealed: Sealed) -> None:
        """Drop a sealed object that nobody will register, such as the body of a refused request.

        Nothing happens when it was registered: a record is never left without its bytes.
        """
        with self._store.read() as session:
            known = session.use(SealedObjects).find(sealed.project, sealed.digest)
            keys = self._keyring.version(session, sealed.project, sealed.kek_version)
        if known is None or known.nonce != sealed.nonce:
            self._blobs.delete(storage_name(keys.name_key, sealed.nonce, sealed.digest))

    @contextmanager
    def open(self, project: str, digest: Digest) -> Iterator[SealedReader]:
        """The plaintext of an object, to be read to its end: only the end proves that nothing is missing.

        Raises:
            NotFound: the project has no such object.
            IntegrityError: bytes, key, record or digest do not verify, or the block was left before the end.
            Unavailable: the store failed.
        """
        with self._store.read() as session:
            sealed = _required(session, project, digest)
            keys = self._keyring.version(session, project, sealed.kek_version)
        with _opened(self._blobs, sealed, keys) as reader:
            yield reader

    def read_bytes(self, project: str, digest: Digest, limit: int = SMALL) -> bytes:
        """The whole of a small object, verified.

        Raises:
            Invalid: it is larger than the limit.
            NotFound, IntegrityError, Unavailable: as for ``open``.
        """
        with self._store.read() as session:
            size = _required(session, project, digest).size
        if size > limit:
            raise Invalid("MUNI-V108", "the object is too large to be read at once", size=size, limit=limit)
        return b"".join(self.stream(project, digest))

    def stream(self, project: str, digest: Digest) -> Iterator[bytes]:
        """The object piece by piece; raises at the end when it does not verify, so act on nothing before."""
        with self.open(project, digest) as reader:
            while piece := reader.read(CHUNK):
                yield piece

    def has(self, session: Session, project: str, digest: Digest) -> bool:
        """Whether the project has this content."""
        return session.use(SealedObjects).find(project, digest) is not None

    def size(self, session: Session, project: str, digest: Digest) -> int:
        """Bytes of plaintext; raises NotFound when the project has no such object."""
        return _required(session, project, digest).size

    def rotate(self, session: Session, project: str) -> int:
        """Make the project's next key and re-wrap every object's key under it; how many there were.

        No stored byte changes, and what was read before stays readable.
        """
        self._faults.point("vault.rotate")
        new = self._keyring.rotate(session, project).kek
        objects, done, last = session.use(SealedObjects), 0, None
        while page := objects.page(project, last, _PAGE):
            old = {version: self._keyring.version(session, project, version).kek for version in _versions(page)}
            wrapped = [new.enclose(sealed, old[sealed.kek_version].disclose(sealed)).wrapped_key for sealed in page]
            self._faults.point("vault.rewrap")
            objects.rewrap(project, new.version, zip((sealed.digest for sealed in page), wrapped, strict=True))
            done, last = done + len(page), page[-1].digest
        return done

    def erased(self, session: Session, project: str, digests: Iterable[Digest]) -> Mapping[Digest, Erased]:
        """Those of these contents that were destroyed on purpose."""
        return session.use(ErasedObjects).find(project, digests)

    def guarded(self, session: Session, project: str, digests: Iterable[Digest], now: datetime) -> Mapping[Digest, str]:
        """Those of these contents that may not be destroyed now, each with why."""
        return self._guards.guarded(session, project, digests, now)

    def erase(
        self, session: Session, project: str, digests: Iterable[Digest], *, decision: str, why: str, now: datetime
    ) -> Epoch:
        """Destroy objects: their wrapped keys go, every other key is wrapped under a new version, the old ones end.

        A wrapped key that was deleted still lies in the write-ahead log, in backups and in replicas; so the key that
        wrapped it has to go too ("epoch erasure"). That happens in ``destroy_keys``, once this transaction is durable:
        until then an interrupted erasure would leave survivors that nothing opens.

        Args:
            session: the transaction, which also records the decision.
            project: whose objects.
            digests: what goes; contents that are gone already are left out.
            decision: digest of the record that decided it.
            why: ``erasure`` or ``retention``.
            now: the moment.

        Raises:
            Conflict: something of it has to stay, by a hold or a duty to keep it.
            NotFound: the project never had such an object.
        """
        wanted = sorted(set(digests))
        if kept := self._guards.guarded(session, project, wanted, now):
            raise Conflict(
                "MUNI-V312",
                f"{len(kept)} of these objects may not be destroyed",
                project=project,
                objects=sorted(kept)[:20],
                because=sorted(set(kept.values()))[:20],
                do="wait until the hold is released or the time is over",
            )
        objects, known = session.use(SealedObjects), session.use(ErasedObjects)
        gone = known.find(project, wanted)
        erased = []
        for digest in wanted:
            if digest in gone:
                continue
            sealed = _required(session, project, digest)
            keys = self._keyring.version(session, project, sealed.kek_version)
            name = storage_name(keys.name_key, sealed.nonce, digest)
            erased.append(Erased(project, digest, sealed.size, decision, why, now, name))
        self._faults.point("vault.erase")
        objects.remove(project, [one.digest for one in erased])
        known.add(erased)
        survivors = self.rotate(session, project)
        newest, *older = session.use(ProjectKeys).versions(project)
        ends, ended = session.use(KeyEnds), {end.version for end in session.use(KeyEnds).of(project)}
        for key in older:
            ends.order(KeyEnd(project, key.version, key.kms_key, now))
        ending = tuple(sorted({key.version for key in older} - ended))
        return Epoch(tuple(erased), survivors, newest.version, ending)

    def pending_ends(self, session: Session) -> list[KeyEnd]:
        """Key versions that have to be destroyed."""
        return session.use(KeyEnds).pending()

    def destroy_keys(self, session: Session, now: datetime) -> list[KeyEnd]:
        """Destroy the keys whose end was decided in an earlier transaction, and the bytes that only they opened.

        Safe to repeat: whatever was interrupted is done again.

        Raises:
            IntegrityError: an object is still under such a key; nothing is destroyed then.
            Unavailable: the key service does not answer.
        """
        ends = session.use(KeyEnds)
        pending = ends.pending()
        for end in pending:
            if left := session.use(SealedObjects).count_by_version(end.project).get(end.version, 0):
                raise IntegrityError(
                    "MUNI-V519",
                    "a key that shall be destroyed still seals objects",
                    project=end.project,
                    version=end.version,
                    objects=left,
                    do="somebody changed the database: stop, keep the evidence",
                )
        for end in pending:
            self._faults.point("vault.destroy")
            self._keys.destroy(end.kms_key)
            self._faults.point("vault.destroyed")
            ends.done(end.project, end.version, now)
        for project in sorted({end.project for end in pending}):
            for one in session.use(ErasedObjects).all(project):
                self._blobs.delete(one.blob)
        return pending

    def fsck(self, project: str | None = None, *, deep: bool = False) -> Checked:
        """Check one project's objects, or all of them and everything that is stored.

        Args:
            project: whose objects; None for those of all projects, and then also for bytes that no record names.
            deep: read every object to its end; else only keys, records and the presence of the bytes are checked.

        Raises:
            Unavailable: the store did not answer, which says nothing about the objects.
        """
        stored = set(self._blobs.names()) if project is None else set()
        with self._store.read() as session:
            projects = session.use(ProjectKeys).projects() if project is None else [project]
        findings: list[Finding] = []
        objects = opened = 0
        for owner in projects:
            for sealed, keys in self._records(owner, findings):
                objects += 1
                name = storage_name(keys.name_key, sealed.nonce, sealed.digest)
                try:
                    opened += self._verify(sealed, keys, name, deep=deep)
                except IntegrityError as broken:
                    findings.append(check.broken_object(sealed, broken))
                stored.discard(name)
        with self._store.read() as session:
            erased = session.use(ErasedObjects).all(project)
        if project is None:
            stored -= {one.blob for one in erased}  # their bytes go with the keys
            findings += check.leftovers(stored, self._blobs.abandoned(), findings)
        return Checked(objects, opened, tuple(findings), len(erased))

    def _records(self, project: str, findings: list[Finding]) -> Iterator[tuple[Sealed, Unlocked]]:
        """All records of a project with their keys, page by page; what has no key becomes a finding."""
        last: Digest | None = None
        keys: dict[int, Unlocked | None] = {}
        while True:
            with self._store.read() as session:
                page = session.use(SealedObjects).page(project, last, _PAGE)
                for version in _versions(page) - keys.keys():
                    try:
                        keys[version] = self._keyring.version(session, project, version)
                    except IntegrityError as lost:
                        keys[version] = None
                        findings.append(check.lost_key(project, version, lost))
            if not page:
                return
            for sealed in page:
                if (unlocked := keys[sealed.kek_version]) is not None:
                    yield sealed, unlocked
            last = page[-1].digest

    def _verify(self, sealed: Sealed, keys: Unlocked, name: str, *, deep: bool) -> int:
        """Raise IntegrityError unless the object is sound, as far as one looks; the bytes that were read."""
        if not deep:
            keys.kek.disclose(sealed)
            if not self._blobs.exists(name):
                raise _missing(sealed)
            return 0
        with _opened(self._blobs, sealed, keys) as reader:
            while reader.read(CHUNK):
                pass
        return sealed.size


@contextmanager
def _opened(blobs: BlobStore, sealed: Sealed, keys: Unlocked) -> Iterator[SealedReader]:
    data_key = keys.kek.disclose(sealed)
    try:
        blob = blobs.open(storage_name(keys.name_key, sealed.nonce, sealed.digest))
    except NotFound as gone:
        raise _missing(sealed) from gone
    with blob:
        reader = SealedReader(OpeningStream(blob, data_key, stream_binding(sealed.project, sealed.nonce)), sealed)
        yield reader
        reader.check_complete()


def _pump(source: Source, stream: SealingStream, limit: int | None) -> tuple[Digest, int]:
    content, size = hashlib.sha256(), 0
    while piece := _next(source):
        size += len(piece)
        if limit is not None and size > limit:
            raise Invalid("MUNI-V101", "there are more bytes than may be stored at once", limit=limit)
        content.update(piece)
        stream.write(piece)
    return Digest.from_bytes(content.digest()), size


def _next(source: Source) -> bytes:
    try:
        return source.read(CHUNK)
    except OSError as broken:
        reason = broken.strerror or type(broken).__name__
        raise Invalid("MUNI-V109", "what was sent could not be read to its end", reason=reason) from broken


def _publish(draft: Draft, name: str) -> None:
    if not draft.publish(name):
        raise IntegrityError("MUNI-V516", "a random storage name was taken: the random source repeats itself")


def _required(session: Session, project: str, digest: Digest) -> Sealed:
    sealed = session.use(SealedObjects).find(project, digest)
    if sealed is None:
        if gone := session.use(ErasedObjects).find(project, [digest]):
            one = gone[digest]
            raise NotFound(
                "MUNI-V205",
                f"this object was destroyed on {one.at:%Y-%m-%d} by {one.why}: {one.decision}",
                **_facts(one),
                do="what it held is gone for good; its record and lineage stand",
            )
        raise NotFound("MUNI-V201", "the project has no such object", project=project, digest=digest)
    return sealed


def _facts(gone: Erased) -> dict[str, str]:
    return {
        "project": gone.project,
        "digest": gone.digest,
        "why": gone.why,
        "decision": gone.decision,
        "at": format_time(gone.at),
    }


def _missing(sealed: Sealed) -> IntegrityError:
    return IntegrityError(
        "MUNI-V508", "the stored bytes of an object are missing", digest=sealed.digest, do="restore them from a backup"
    )


def _versions(page: list[Sealed]) -> set[int]:
    return {sealed.kek_version for sealed in page}


@verb(
    "vault:ListKeys",
    on=PROJECT,
    request=wire.ListKeys,
    reply=wire.Keys,
    event="keys.listed",
    group="key:read",
    effect=Effect.READ,
)
def list_keys(call: Call, request: wire.ListKeys) -> wire.Keys:
    """List the key versions of a project."""
    versions = call.use(ProjectKeys).versions(call.project)
    ends = {end.version: end for end in call.use(KeyEnds).of(call.project)}
    objects = call.use(SealedObjects).count_by_version(call.project)
    return wire.Keys(
        project=call.project,
        keys=[
            wire.Key(
                version=key.version,
                key=key.kms_key,
                current=position == 0,
                objects=objects.get(key.version, 0),
                created_at=format_time(key.created_at),
                state=_key_state(ends.get(key.version), current=position == 0),
            )
            for position, key in enumerate(versions)
        ],
    )


def _key_state(end: KeyEnd | None, *, current: bool) -> str:
    if end is None:
        return "current" if current else "former"
    return "ending" if end.destroyed_at is None else f"destroyed {end.destroyed_at:%Y-%m-%d}"


@verb(
    "vault:DestroyKeys",
    on=INSTALLATION,
    request=wire.DestroyKeys,
    reply=wire.DestroyedKeys,
    event="key.destroyed",
    group="internal",
    internal=True,
)
def destroy_keys(call: Call, request: wire.DestroyKeys) -> wire.DestroyedKeys:
    """Destroy the keys that an erasure left behind; nothing that they sealed opens any more, wherever a copy lies."""
    ended = call.use(Vault).destroy_keys(call.session, call.now)
    call.note(keys=[f"{end.project}@{end.version} {end.kms_key}" for end in ended])
    return wire.DestroyedKeys(keys=[end.kms_key for end in ended])


@verb(
    "vault:RotateKey",
    on=PROJECT,
    request=wire.RotateKey,
    reply=wire.RotatedKey,
    event="key.rotated",
    group="key:manage",
)
def rotate_key(call: Call, request: wire.RotateKey) -> wire.RotatedKey:
    """Make a project's next key and re-wrap everything under it; no stored byte changes."""
    objects = call.use(Vault).rotate(call.session, call.project)
    newest = call.use(ProjectKeys).versions(call.project)[0]
    call.note(version=newest.version, key=newest.kms_key, objects=objects)
    return wire.RotatedKey(project=call.project, version=newest.version, objects=objects)


@verb(
    "vault:CheckObjects",
    on=PROJECT,
    request=wire.CheckObjects,
    reply=wire.CheckedObjects,
    event="objects.checked",
    group="system:operate",
    effect=Effect.READ,
)
def check_objects(call: Call, request: wire.CheckObjects) -> wire.CheckedObjects:
    """Check that the sealed objects of a project are there and open."""
    return _report(call, call.use(Vault).fsck(call.project, deep=request.deep), request.deep)


@verb(
    "vault:CheckStore",
    on=INSTALLATION,
    request=wire.CheckStore,
    reply=wire.CheckedObjects,
    event="store.checked",
    group="system:operate",
    effect=Effect.READ,
)
def check_store(call: Call, request: wire.CheckStore) -> wire.CheckedObjects:
    """Check the sealed objects of all projects, and look for bytes that nothing refers to."""
    return _report(call, call.use(Vault).fsck(deep=request.deep), request.deep)


def _report(call: Call, checked: Checked, deep: bool) -> wire.CheckedObjects:
    call.note(objects=checked.objects, deep=deep, sound=checked.sound, findings=len(checked.findings))
    return wire.CheckedObjects(
        sound=checked.sound,
        deep=deep,
        objects=checked.objects,
        bytes_opened=checked.bytes_opened,
        erased=checked.erased,
        findings=[wire.ObjectFinding(**asdict(finding)) for finding in checked.findings],
    )


VERBS: Final = (list_keys, rotate_key, check_objects, check_store, destroy_keys)
