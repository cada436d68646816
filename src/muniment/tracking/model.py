"""What is kept of a tracked run, and within which bounds it is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from muniment.errors import Invalid
from muniment.execution.model import RunStatus
from muniment.kernel.digest import Digest

KIND: Final = "track"
"""Kind of a tracked run."""

JOB_FORMAT: Final = "muniment.tracked/1"

RESERVED: Final = "muniment."
"""Tags that begin so are the platform's own."""

MOST_METRICS: Final = 20_000
"""Measurements in one request."""

MOST_VALUES: Final = 10_000_000
"""Measurements of one run."""

MOST_NAMES: Final = 10_000
"""Names of metrics, and of parameters, and of tags, of one run."""

MOST_INPUTS: Final = 1_000
MOST_ARTIFACTS: Final = 2_000
"""Files of one run, versions counted."""

LONGEST_NAME: Final = 200
LONGEST_VALUE: Final = 8_000
"""Characters of a parameter or tag."""

LONGEST_PATH: Final = 400
LONGEST_MESSAGE: Final = 2_000
_INTEGER: Final = 2**63

_NAME: Final = re.compile(rf"[^\x00-\x1f\x7f\ud800-\udfff]{{1,{LONGEST_NAME}}}")
_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
"""Names of experiments and trials, as jobs have them."""

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SEGMENT: Final = re.compile(r"(?!\.{1,2}\Z)[^/\\\x00-\x1f\x7f\ud800-\udfff]{1,200}")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a tracked run stands."""

    id: str
    project: str
    agent: str
    """Who started it, as ``User:ana``: nobody else tells about it."""

    status: RunStatus
    cancel_requested: bool
    tracked: bool
    """Whether it is a tracked run at all."""


@dataclass(frozen=True, slots=True)
class Used:
    """Something that a run says it used."""

    role: str
    digest: Digest
    what: str
    """Its reference, or what it is called, for people."""

    def document(self) -> dict[str, Any]:
        """As it stands in the record of the run."""
        return {"role": self.role, "digest": str(self.digest), "what": self.what}


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a run made."""

    path: str
    version: int
    digest: Digest
    size: int
    media_type: str
    at: str

    def document(self) -> dict[str, Any]:
        """As it stands in the record of the run."""
        return {
            "path": self.path,
            "version": self.version,
            "digest": str(self.digest),
            "size": self.size,
            "media_type": self.media_type,
            "at": self.at,
        }


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of a run, over all its values."""

    name: str
    count: int
    lowest: float | None
    highest: float | None


@dataclass(frozen=True, slots=True)
class Glance:
    """An experiment in numbers."""

    experiment: str
    runs: int
    trials: int
    running: int
    failed: int
    first_at: str
    newest_at: str
    newest: str


def check_label(text: str, what: str) -> str:
    """The name of an experiment or trial; raises Invalid when it is none."""
    if not _LABEL.fullmatch(text):
        raise Invalid(
            "MUNI-R101",
            f"{text[:80]!r} is not a name for an experiment or trial",
            what=what,
            given=text[:200],
            rule=_LABEL.pattern,
        )
    return text


def check_key(text: str) -> str:
    """A key or the name of a writer, as the asker chose it; raises Invalid when it does not have the form."""
    if not _KEY.fullmatch(text):
        raise Invalid(
            "MUNI-R102", "a key is 1 to 64 letters, digits, hyphens and underscores", given=text[:80], rule=_KEY.pattern
        )
    return text


def check_names(names: Mapping[str, Any] | set[str], what: str) -> None:
    """Refuse names of metrics, parameters or tags that are empty, too long or hold control characters."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise Invalid(
                "MUNI-R103",
                f"a name of a metric, parameter or tag has 1 to {LONGEST_NAME} characters, no control characters",
                what=what,
                given=name[:80],
                length=len(name),
                longest=LONGEST_NAME,
            )


def check_values(texts: Mapping[str, str], what: str) -> None:
    """Refuse parameters and tags that are documents rather than values."""
    for name, text in texts.items():
        if len(text) > LONGEST_VALUE or "\0" in text:
            raise Invalid(
                "MUNI-R104",
                f"the value of a parameter or tag has at most {LONGEST_VALUE:,} characters, no NUL",
                what=what,
                name=name[:80],
                length=len(text),
                longest=LONGEST_VALUE,
                do="keep it as an artifact",
            )


def check_integer(number: int | None, what: str) -> None:
    """Refuse what does not fit eight bytes."""
    if number is not None and not -_INTEGER <= number < _INTEGER:
        raise Invalid("MUNI-R105", "a step or time does not fit in 64 bits", what=what, given=str(number)[:40])


def check_path(path: str) -> str:
    """The path of an artifact; raises Invalid when it is none."""
    if len(path) > LONGEST_PATH or not all(_SEGMENT.fullmatch(part) for part in path.split("/")):
        raise Invalid(
            "MUNI-R106",
            f"{path[:80]!r} is not a path for an artifact",
            given=path[:200],
            rule=f"relative, parts joined by slashes, no '..', at most {LONGEST_PATH} characters",
        )
    return path
