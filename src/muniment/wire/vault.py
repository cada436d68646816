"""Requests and replies about keys and sealed objects."""

from __future__ import annotations

from msgspec import Struct


class ListKeys(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The key versions of a project."""

    project: str


class Key(Struct, kw_only=True, frozen=True):
    """One version of a project's key."""

    version: int
    key: str
    """Name of the key at the key service."""

    current: bool
    """Whether new objects are sealed under it."""

    objects: int
    """How many objects are sealed under it."""

    created_at: str
    state: str = ""
    """``current``, ``former``, ``ending`` or ``destroyed`` with the day."""


class Keys(Struct, kw_only=True, frozen=True):
    """Key versions, newest first."""

    project: str
    keys: list[Key]


class DestroyKeys(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Destroy the keys that an erasure left behind."""


class DestroyedKeys(Struct, kw_only=True, frozen=True):
    """The keys that are gone."""

    keys: list[str]


class RotateKey(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Make a project's next key and re-wrap everything under it."""

    project: str


class RotatedKey(Struct, kw_only=True, frozen=True):
    """The new version, and how many objects it took over."""

    project: str
    version: int
    objects: int


class CheckObjects(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Check that the sealed objects of a project are there and open."""

    project: str
    deep: bool = False
    """Read every object to its end and compare its digest."""


class CheckStore(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Check the sealed objects of all projects, and look for bytes that nothing refers to."""

    deep: bool = False
    """Read every object to its end and compare its digest."""


class ObjectFinding(Struct, kw_only=True, frozen=True):
    """One thing that is not as it should be."""

    code: str
    """``key-lost``, ``blob-missing``, ``does-not-open``, ``orphan-blob`` or ``abandoned-draft``."""

    object: str
    what: str
    do: str
    harm: bool
    """True when registered content cannot be read; False when only space is lost."""


class CheckedObjects(Struct, kw_only=True, frozen=True):
    """What a check looked at, and what it found."""

    sound: bool
    """No finding does harm."""

    deep: bool
    objects: int
    bytes_opened: int
    findings: list[ObjectFinding]
    erased: int = 0
    """Objects that were destroyed on purpose, each by a record that stands."""
