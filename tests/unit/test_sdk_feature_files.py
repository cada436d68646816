"""Definitions of feature views as people write them: three kinds of file, one meaning; nothing of them is run."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from muniment.errors import Invalid
from muniment.sdk.feature_files import inline_definition, read_definition
from muniment.sdk.features import wanted_of

TOML = """name = "behaviour"
entity = "id"
event_time = "at"
ttl = "90d"
[sources]
rows = "data:rows@3"
[features]
late = "int64"
bill = { type = "decimal(12,2)", description = "what was billed" }
"""
CODE = "raise SystemExit('this must never run')\n"


def block(mark: str, text: str = TOML) -> str:
    """The fields as comments."""
    lines = [f"{mark} {line}".rstrip() for line in text.splitlines()]
    return "\n".join([f"{mark} /// feature-view", *lines, f"{mark} ///", ""])


def test_three_kinds_of_file_say_the_same(tmp_path: Path) -> None:
    """A TOML file beside its transform, a Python file and an SQL file give the same request but for their entry."""
    (tmp_path / "t.py").write_text(CODE)
    (tmp_path / "a.toml").write_text('transform = "t.py:fill"\n' + TOML)
    (tmp_path / "b.py").write_text(block("#") + CODE)
    (tmp_path / "c.sql").write_text(block("--") + "select 1")
    entries = []
    for name in ("a.toml", "b.py", "c.sql"):
        request = read_definition(tmp_path / name).request("main")
        entries.append((request.entry, request.function))
        assert (request.name, request.entity, request.ttl) == ("behaviour", ["id"], "90d")
        assert [(one.name, one.type, one.description) for one in request.features] == [
            ("late", "int64", ""),
            ("bill", "decimal(12,2)", "what was billed"),
        ]
    assert entries == [("t.py", "fill"), ("b.py", "transform"), ("c.sql", "")]


def test_only_what_is_named_travels(tmp_path: Path) -> None:
    """The tree holds the transform and what is included, and its bytes depend on nothing else."""
    (tmp_path / "lib").mkdir()
    for name in ("t.py", "other.py", "lib/dates.py", "lib/notes.txt", ".env"):
        (tmp_path / name).write_text(CODE)
    (tmp_path / "a.toml").write_text('transform = "t.py"\ninclude = ["lib/*.py"]\n' + TOML)
    definition = read_definition(tmp_path / "a.toml")
    with tarfile.open(fileobj=definition.pack()) as tar:
        assert tar.getnames() == ["lib/dates.py", "t.py"]
    first = definition.pack().read()
    (tmp_path / "other.py").write_text("changed")
    assert read_definition(tmp_path / "a.toml").pack().read() == first


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("absent.toml", None, "MUNI-A180"),
        ("a.yaml", TOML, "MUNI-A181"),
        ("a.toml", "\udcff", "MUNI-A182"),
        ("a.toml", "name = ", "MUNI-A183"),
        ("a.py", CODE, "MUNI-A184"),
        ("a.py", block("#") + block("#"), "MUNI-A184"),
        ("a.toml", TOML, "MUNI-A185"),
        ("a.toml", 'transform = "absent.py"\n' + TOML, "MUNI-A185"),
        ("a.toml", 'transform = "../t.py"\n' + TOML, "MUNI-A185"),
        ("a.toml", 'transform = "t.py"\nentitty = "x"\n' + TOML, "MUNI-A185"),
        ("a.toml", 'transform = "t.py"\n' + TOML.replace('"90d"', "90"), "MUNI-A185"),
        ("a.toml", 'transform = "t.py"\n' + TOML.replace('late = "int64"', "late = 64"), "MUNI-A185"),
        ("a.toml", 'transform = "t.py"\n' + TOML.replace('entity = "id"', "entity = [1]"), "MUNI-A185"),
    ],
)
def test_what_is_no_definition_is_refused(tmp_path: Path, name: str, text: str | None, code: str) -> None:
    """Each refusal names the file, and the field where there is one."""
    (tmp_path / "t.py").write_text(CODE)
    if text is not None:
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(Invalid) as refused:
        read_definition(tmp_path / name)
    assert refused.value.code == code
    assert name in refused.value.message or refused.value.facts["file"].endswith(name)


def test_a_mapping_and_a_text_define_a_view() -> None:
    """In a notebook: a function is Python, anything else a query."""
    fields = {
        "name": "v",
        "entity": ["a", "b"],
        "event_time": "t",
        "sources": {"r": "data:r"},
        "features": {"x": "int64"},
    }
    assert inline_definition(fields, "def transform(r):\n    return r\n").request("main").entry == "transform.py"
    assert inline_definition(fields, "select 1").request("main").entry == "transform.sql"
    with pytest.raises(Invalid, match="event_time"):
        inline_definition({**fields, "event_time": 5}, "select 1")


def test_views_and_their_features_are_named_in_one_word() -> None:
    """``VIEW:f1,f2`` with and without prefix, version or digest."""
    digest = "sha256:" + "a" * 64
    for text, view, chosen in (
        ("v", "v", None),
        ("v:f1,f2", "v", ["f1", "f2"]),
        ("features:v@2", "features:v@2", None),
        ("features:v@2:f1", "features:v@2", ["f1"]),
        (f"{digest}:f1", digest, ["f1"]),
    ):
        wanted = wanted_of(text)
        assert (wanted.view, wanted.features) == (view, chosen)
    with pytest.raises(Invalid):
        wanted_of("v:")
