"""How a verb is declared. Only the gate can invoke one.

A verb is one declaration and one function. From the table of all declarations come the HTTP routes, the OpenAPI
document, the Cedar schema, the audit event types and the reference pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Protocol, TypeVar, get_args, get_type_hints

import msgspec

from muniment.errors import Invalid
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Session
from muniment.kernel.principal import Authentication, Principal

T = TypeVar("T")

_ACTION: Final = re.compile(r"[a-z]+:[A-Z][A-Za-z]+")
_EVENT: Final = re.compile(r"[a-z]+(\.[a-z_]+)+")

Secret = Annotated[str, msgspec.Meta(extra={"secret": True}, extra_json_schema={"format": "password"})]
"""Text of a request that is kept nowhere, not even as a digest: what people choose can be guessed from one."""


class Effect(StrEnum):
    """What a verb does to the state."""

    READ = "read"
    """Answers from one consistent view; its ledger entry is made before the answer leaves."""

    WRITE = "write"
    """Changes state; the change and its ledger entry commit together."""


@dataclass(frozen=True, slots=True)
class Resource:
    """The object a request is about, with the attributes that policies may look at."""

    kind: str
    """Cedar entity type, such as ``Dataset``."""

    id: str
    """Unique within the kind."""

    project: str | None
    """The project it belongs to; None for what belongs to the whole installation."""

    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Cedar attributes, exactly those that the kind declares."""


class Locator(Protocol):
    """Finds the resource a request names."""

    def __call__(self, session: Session, project: str | None, reference: str) -> Resource:
        """The resource; raises NotFound when there is none."""


class Explainer(Protocol):
    """Says in whole sentences why a policy that forbids speaks of somebody."""

    def __call__(self, session: Session, resource: Resource, principal: Principal) -> tuple[str, ...]:
        """The facts about the principal and the resource that such policies look at, for a person to read."""


class Dated(Protocol):
    """Adds to a resource what depends on the moment, such as who has access for a time."""

    def __call__(self, session: Session, resource: Resource, now: datetime) -> Resource:
        """The resource with all its attributes as they are at this moment."""


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """A kind of object that verbs act on."""

    name: str
    """Cedar entity type."""

    collection: str
    """Path segment in HTTP routes, plural."""

    request_field: str | None
    """Request field that carries the reference; None when the project, or the installation, is the resource itself."""

    locate: Locator
    in_project: bool = True
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Cedar attribute types by name; none is optional, because an absent attribute is an error in a policy."""

    explain: Explainer | None = None
    """What a refusal by a forbid adds to its reasons. It is told only to somebody about whom a policy says no, never to
    one whom merely nothing permits: he would learn of what he may not see."""

    dated: Dated | None = None
    """What the gate asks once it has found the resource, for attributes that depend on the moment."""


class Call(Protocol):
    """What a verb may know and do while it runs; made by the gate alone."""

    @property
    def principal(self) -> Principal:
        """Who asks."""

    @property
    def authentication(self) -> Authentication:
        """How the principal was recognised."""

    @property
    def project(self) -> str:
        """The project the request is about; raises Invalid when the verb concerns the whole installation."""

    @property
    def resource(self) -> Resource:
        """What the request is about, as policy saw it."""

    @property
    def now(self) -> datetime:
        """The moment of the request, the same everywhere in it."""

    @property
    def session(self) -> Session:
        """The transaction of this request."""

    @property
    def body(self) -> Content:
        """What the bytes that came with the request are; they are sealed in the vault before the verb runs."""

    def new_id(self) -> str:
        """A fresh identifier."""

    def use(self, port: type[T]) -> T:
        """A repository of this call's transaction, or a service of the platform, by its type."""

    def note(self, **facts: str | int | bool | list[str]) -> None:
        """Add facts to the ledger entry of this request: digests and names, never personal data."""

    def note_more(self, **facts: str) -> None:
        """Add one value to each of these facts, which are lists."""

    def noted(self, name: str) -> bool:
        """Whether the ledger entry of this request has a fact of this name."""

    def over(self, session: Session, now: datetime) -> Call:
        """The same request over another view of the store, at another moment; for what is told of the past."""

    def within(self, project: str) -> Call:
        """The same request, looking at another project; only once it is known that the principal may look there, or
        for what the platform itself must know to answer.
        """


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes known by their digest."""

    digest: Digest
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Download:
    """A reply made of bytes instead of a document."""

    name: str
    media_type: str
    chunks: Iterable[bytes]


@dataclass(frozen=True, slots=True)
class Later:
    """A reply that takes long to make and needs no transaction meanwhile: the gate makes it once the verb's is closed.

    What it notes still enters the ledger entry of the request, which is made before the reply leaves.
    """

    make: Callable[[], Download]


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing that can be asked of the platform."""

    action: str
    """``room:VerbPhrase``, the Cedar action."""

    on: ResourceKind
    request: type[msgspec.Struct]
    reply: type[msgspec.Struct] | type[Download]
    event: str
    """The audit event type."""

    effect: Effect
    group: str
    """The Cedar action group that roles permit, such as ``data:write``."""

    takes_body: bool
    internal: bool
    """Invoked by the platform itself only; has no route and no role."""

    run: Callable[[Call, Any], Any]

    public: bool = False
    """May be invoked without a credential: signing in, the first administrators and health, nothing else."""

    secrets: frozenset[str] = frozenset()
    """Fields of the request that are kept nowhere."""

    @property
    def room(self) -> str:
        """The package that owns the verb."""
        return self.action.partition(":")[0]

    @property
    def name(self) -> str:
        """The action without its room, in lower camel case: the custom method of the HTTP route."""
        phrase = self.action.partition(":")[2]
        return phrase[0].lower() + phrase[1:]

    @property
    def summary(self) -> str:
        """First line of the function's docstring."""
        return (self.run.__doc__ or "").strip().splitlines()[0]


def verb(
    action: str,
    *,
    on: ResourceKind,
    request: type[msgspec.Struct],
    reply: type[msgspec.Struct] | type[Download],
    event: str,
    group: str,
    effect: Effect = Effect.WRITE,
    takes_body: bool = False,
    internal: bool = False,
    public: bool = False,
) -> Callable[[Callable[[Call, Any], Any]], Verb]:
    """Declare a verb; the decorated function becomes the declaration itself.

    Args:
        action: ``room:VerbPhrase``.
        on: kind of resource that permission is asked for.
        request: msgspec Struct; carries ``project`` when the kind lives in a project, and ``on.request_field``.
        reply: msgspec Struct, or Download.
        event: audit event within the room, such as ``dataset.added``; becomes ``muniment.<room>.dataset.added.v1``.
        group: Cedar action group that roles permit, such as ``data:write``.
        effect: READ or WRITE.
        takes_body: whether bytes come with the request.
        internal: whether only the platform itself may invoke it.
        public: whether it may be invoked without a credential; its function must check what it is given by itself.
    """
    if not _ACTION.fullmatch(action) or not _EVENT.fullmatch(event):
        raise Invalid(
            "MUNI-K111", "a verb needs an action like room:VerbPhrase and an event like thing.done", action=action
        )
    names = {f.name for f in msgspec.structs.fields(request)}
    needed = {on.request_field} - {None} | ({"project"} if on.in_project else set())
    if not needed <= names:
        raise Invalid(
            "MUNI-K112",
            "a verb's request lacks the fields that name its resource",
            missing=sorted(map(str, needed - names)),
        )

    def declare(run: Callable[[Call, Any], Any]) -> Verb:
        if not run.__doc__:
            raise Invalid("MUNI-K113", "a verb needs a docstring", action=action)
        room = action.partition(":")[0]
        full = f"muniment.{room}.{event}.v1"
        secrets = frozenset(
            field for field, hint in get_type_hints(request, include_extras=True).items() if _is_secret(hint)
        )
        return Verb(action, on, request, reply, full, effect, group, takes_body, internal, run, public, secrets)

    return declare


def _is_secret(hint: Any) -> bool:
    notes = getattr(hint, "__metadata__", ())
    return any((getattr(note, "extra", None) or {}).get("secret") for note in notes) or any(
        map(_is_secret, get_args(hint))
    )
