"""The keys of the projects, unwrapped when needed and remembered for at most five minutes."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from muniment.errors import Conflict, IntegrityError, NotFound
from muniment.kernel.ports import Clock, Entropy, Session
from muniment.vault.envelope import NAME_KEY_SIZE, Kek
from muniment.vault.model import ProjectKey
from muniment.vault.ports import KeyService, ProjectKeys

REMEMBERED: Final = timedelta(minutes=5)
"""How long an unwrapped key is used without asking the key service: the time in which a revocation takes effect."""


@dataclass(frozen=True, slots=True)
class Unlocked:
    """One version of a project's keys, ready to use."""

    kek: Kek
    name_key: bytes


class Keyring:
    """Makes, unwraps and remembers project keys.

    The records are read in the caller's transaction each time; what is remembered is only the unwrapping, by the whole
    record, so that neither an altered record nor one that was rolled back can be taken for another.
    """

    def __init__(self, keys: KeyService, clock: Clock, entropy: Entropy) -> None:
        self._keys, self._clock, self._entropy = keys, clock, entropy
        self._remembered: dict[ProjectKey, tuple[datetime, Unlocked]] = {}
        self._lock = threading.Lock()

    def create(self, session: Session, project: str) -> None:
        """Make the first version of a project's keys.

        Raises:
            Conflict: the project has a key.
        """
        repository = session.use(ProjectKeys)
        if repository.current(project) is not None:
            raise Conflict("MUNI-V301", f"project {project!r} has a key already", project=project, do="muni key rotate")
        repository.add(self._fresh(project, 1, self._entropy.token(NAME_KEY_SIZE)))

    def rotate(self, session: Session, project: str) -> Unlocked:
        """Make the next version, which carries the same name key."""
        old = self.current(session, project)
        new = self._fresh(project, old.kek.version + 1, old.name_key)
        session.use(ProjectKeys).add(new)
        return self._unlock(new)

    def current(self, session: Session, project: str) -> Unlocked:
        """The keys that new objects are sealed under; raises Conflict when the project has none."""
        key = session.use(ProjectKeys).current(project)
        if key is None:
            raise Conflict(
                "MUNI-V302",
                f"project {project!r} has no key, so nothing can be stored in it",
                project=project,
                do="create the project through muni, which gives it a key",
            )
        return self._unlock(key)

    def version(self, session: Session, project: str, version: int) -> Unlocked:
        """The keys of the version that a record names; raises IntegrityError when there is no such version."""
        key = session.use(ProjectKeys).version(project, version)
        if key is None:
            raise IntegrityError(
                "MUNI-V517",
                "a record names a version of the project's key that does not exist",
                project=project,
                version=version,
                do="the database was altered or restored in part: compare it with a backup",
            )
        return self._unlock(key)

    def _unlock(self, key: ProjectKey) -> Unlocked:
        with self._lock:
            at, known = self._remembered.get(key, (None, None))
        if known is not None and at is not None and timedelta(0) <= self._clock.now() - at < REMEMBERED:
            return known
        try:
            secret = self._keys.unwrap(key.kms_key, key.wrapped_kek, _context(key.project, key.version, "kek"))
            names = self._keys.unwrap(key.kms_key, key.wrapped_name_key, _context(key.project, key.version, "names"))
        except NotFound as gone:
            raise IntegrityError(
                "MUNI-V501",
                f"the key service has no key for version {key.version} of project {key.project!r}",
                project=key.project,
                version=key.version,
                key=key.kms_key,
                do="restore the key file; if the key was destroyed on purpose, what it sealed is gone for ever",
            ) from gone
        unlocked = Unlocked(Kek(secret, key.version, key.kms_key), names)
        now = self._clock.now()
        with self._lock:
            fresh = {k: entry for k, entry in self._remembered.items() if timedelta(0) <= now - entry[0] < REMEMBERED}
            self._remembered = fresh | {key: (now, unlocked)}
        return unlocked

    def _fresh(self, project: str, version: int, name_key: bytes) -> ProjectKey:
        kms_key = self._keys.generate(f"kek/{project}")
        return ProjectKey(
            project,
            version,
            kms_key,
            self._keys.wrap(kms_key, Kek.fresh(), _context(project, version, "kek")),
            self._keys.wrap(kms_key, name_key, _context(project, version, "names")),
            self._clock.now(),
        )


def _context(project: str, version: int, use: str) -> dict[str, str]:
    return {"project": project, "version": str(version), "use": use}
