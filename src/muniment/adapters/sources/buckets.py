"""Objects of S3 and of stores that speak its protocol: the only place that knows boto3, the extra ``muniment[s3]``.

Region, credentials and endpoint come as boto3 finds them (``AWS_…``, ``~/.aws``); nothing of them is kept. An object is
read at the version that was asked for, or at the one that was current at a moment, and its ETag and version id are
recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

from muniment.adapters.sources.folders import MOST_FILES
from muniment.errors import Invalid, NotFound, Unavailable

__all__ = ["Object", "copy_folder", "copy_object", "is_bucket", "is_folder"]

_CHUNK: Final = 1 << 20
_MISSING: Final = ("404", "NoSuchKey", "NoSuchBucket", "NoSuchVersion", "NotFound")
_DENIED: Final = ("403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken")


@dataclass(frozen=True, slots=True)
class Object:
    """One object as it was read."""

    bytes: int
    version: str | None
    details: dict[str, str] = field(default_factory=dict)


def is_bucket(location: str) -> bool:
    """Whether a location is that of an object or of a prefix in a bucket."""
    return location.lower().startswith("s3://")


def copy_object(location: str, version: str | None, at: datetime | None, out: BinaryIO) -> Object:
    """Copy one object at a version.

    Args:
        location: ``s3://bucket/key``.
        version: version id; None takes the current one.
        at: the moment whose version is wanted, where no version id is given; needs a bucket that keeps versions.
        out: takes the bytes.

    Raises:
        NotFound: there is no such bucket, object or version, or none at that time.
        Invalid: the location is none, or the object came shorter than it says.
        Unavailable: boto3 is not installed, or the store does not answer or does not let one in.
    """
    bucket, key = _place(location)
    with _speaking(location) as client:
        if version is None and at is not None:
            version = _version_at(client, bucket, key, at, location)
        asked = {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})
        answer = client.get_object(**asked)
        size = 0
        for chunk in answer["Body"].iter_chunks(_CHUNK):
            out.write(chunk)
            size += len(chunk)
    if size != answer["ContentLength"]:
        raise Unavailable("MUNI-J503", "the object was cut off on its way", location=location, bytes=size, retry=True)
    details = {"etag": str(answer["ETag"]).strip('"'), "last_modified": answer["LastModified"].isoformat()}
    found = answer.get("VersionId")
    return Object(size, None if found in (None, "null") else str(found), details)


def is_folder(location: str) -> bool:
    """Whether a prefix holds a table: a Delta log or Iceberg metadata lie below it."""
    bucket, key = _place(location)
    with _speaking(location) as client:
        for below in ("_delta_log/", "metadata/"):
            found = client.list_objects_v2(Bucket=bucket, Prefix=f"{key.rstrip('/')}/{below}", MaxKeys=1)
            if found.get("KeyCount"):
                return True
    return False


def copy_folder(location: str, folder: Path) -> int:
    """Copy all objects below a prefix into a folder that is empty; returns how many.

    Raises:
        Invalid: a key would leave the folder, or there are too many.
    """
    bucket, key = _place(location)
    prefix = f"{key.rstrip('/')}/"
    count = 0
    with _speaking(location) as client:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for one in page.get("Contents", []):
                name = one["Key"].removeprefix(prefix)
                if not name or name.endswith("/"):
                    continue
                parts = PurePosixPath(name).parts
                if name.startswith("/") or ".." in parts or "\0" in name:
                    raise Invalid("MUNI-J170", "a key has no place in a folder", key=name[:200], do="do not trust it")
                count += 1
                if count > MOST_FILES:
                    raise Invalid(
                        "MUNI-J171", f"more than {MOST_FILES} objects lie below the prefix", location=location[:300]
                    )
                path = folder.joinpath(*parts)
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as out:
                    for chunk in client.get_object(Bucket=bucket, Key=one["Key"])["Body"].iter_chunks(_CHUNK):
                        out.write(chunk)
    return count


def _version_at(client: Any, bucket: str, key: str, at: datetime, location: str) -> str:
    """The version of an object that was current at a moment."""
    known: list[tuple[datetime, str, bool]] = []
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
        for kind, gone in (("Versions", False), ("DeleteMarkers", True)):
            known += [(v["LastModified"], v["VersionId"], gone) for v in page.get(kind, []) if v["Key"] == key]
    then = [one for one in known if one[0] <= at]
    newest = max(then, default=None, key=lambda one: one[0])
    if newest is None or newest[2]:
        raise NotFound(
            "MUNI-J212",
            "the object had no version at that time",
            location=location,
            at=at.isoformat(),
            oldest=min(known)[0].isoformat() if known else None,
            do="choose a later time, or a version id",
        )
    return newest[1]


def _place(location: str) -> tuple[str, str]:
    parts = urlsplit(location)
    key = location[len("s3://") + len(parts.netloc) + 1 :]
    if not parts.netloc or not key or "@" in parts.netloc:
        raise Invalid(
            "MUNI-J172", "this is no place in a bucket", location=parts.path[:200], do="write s3://bucket/key"
        )
    return parts.netloc, key


@contextmanager
def _speaking(location: str) -> Iterator[Any]:
    """A client; what the store refuses comes back in our words."""
    try:
        boto3, failures = import_module("boto3"), import_module("botocore.exceptions")
    except ImportError:
        raise Unavailable(
            "MUNI-J504", "the library boto3 is not installed here", library="boto3", do="pip install 'muniment[s3]'"
        ) from None
    try:
        yield boto3.client("s3")
    except failures.ClientError as refused:
        code = str(refused.response.get("Error", {}).get("Code"))
        if code in _MISSING:
            raise NotFound("MUNI-J213", "there is no such object", location=location, reason=code) from None
        if code in _DENIED:
            raise Unavailable(
                "MUNI-J505", "the store does not let you in", location=location, reason=code, do="check AWS_PROFILE"
            ) from None
        raise Unavailable("MUNI-J506", "the store does not answer", location=location, reason=code) from None
    except (failures.BotoCoreError, failures.HTTPClientError) as broken:
        reason = type(broken).__name__
        raise Unavailable("MUNI-J506", "the store does not answer", location=location, reason=reason) from None
