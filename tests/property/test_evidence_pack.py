"""The evidence pack: a true one passes, the same checkpoint gives the same bytes, and no altered one passes."""

from __future__ import annotations

import copy
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidencing import Files, Gallery, Key, again, gallery, resigned, told
from laws import examples
from muniment.cli import muni
from muniment.evidence import verify
from muniment.kernel.canonical import canonical
from muniment.ledger.ports import CheckpointRepository
from muniment.testing.platform import PROJECT, Site

UNBOUND = {
    r"absence\.#\.(grade|scope|verdict)",
    r"absent\..*",
    r"data\.#\.(author|grade|classification|origin\.filename)",
    r"environment\.(name|packages\.#\.(name|version|wheel))",
    r"facts\.#\.(grade|name|record|text|value(\.#)?)",
    r"gates\.#\.(expression|fixed_at|hindsight|name|stage|use_case|version|why)",
    r"gates\.#\.parts\.#\.(outcome|text|why)",
    r"installation\.version",
    r"lineage\.activities\.#\.started_at",
    r"lineage\.entities\.#\.(at|author|grade)",
    r"reproductions\.#\.(cause|differences)",
    r"state\.next_review",
    r"training\.(experiment|started_at)",
}
"""What of a dossier its documents do not bear out: words of people, labels, and what is worked out from the rest."""

OPTIONAL = UNBOUND | {r"absent", r"facts\.#", r"gates\.#(\.parts(\.#)?)?"}
"""What it may lack: what is worked out from the rest can be worked out again."""


@pytest.fixture(scope="module")
def shown(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    """A model with a life."""
    made = gallery(site, tmp_path_factory.mktemp("shown") / "site")
    yield made
    made.platform.close()


@pytest.fixture(scope="module")
def pack(shown: Gallery) -> bytes:
    """Its pack, cosigned, and with a proof that the ledger goes on from 40 entries."""
    return shown.pack(witness=Key(40), since=40)


@pytest.fixture(scope="module")
def files(pack: bytes) -> Files:
    """The files in it."""
    return verify.unarchive(pack)


@pytest.fixture(scope="module")
def leaves(files: Files) -> list[tuple[Any, ...]]:
    """Where values stand in the dossier; of alike places at most four."""
    seen: dict[str, int] = {}
    found = []
    for path in _leaves(json.loads(files["dossier.json"])):
        seen[_pattern(path)] = seen.get(_pattern(path), 0) + 1
        if seen[_pattern(path)] <= 4:
            found.append(path)
    return found


@pytest.mark.slow
def test_a_true_pack_passes(shown: Gallery, pack: bytes, tmp_path: Path) -> None:
    """It tells the model, its state, each signature and the witness, and what it could not check."""
    code, found = told(pack, tmp_path, key=shown.platform.ledger.key)
    assert code == 0, found
    assert (found["state"], found["runs"], found["verifier"]) == ("approved", 8, True)
    assert [one["by"] for one in found["signatures"]] == ["User:scientist", "User:validator", "User:approver"]
    assert [one["key_from"] for one in found["witnesses"]] == ["the pack"]
    assert any("shows others another history" in text for text in found["not_checked"])
    assert not any("taken from the pack itself" in text for text in found["not_checked"])


@pytest.mark.slow
def test_a_folder_will_do_as_well(files: Files, tmp_path: Path) -> None:
    """Unpacked, it is the same evidence."""
    for name, content in files.items():
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name).write_bytes(content)
    assert verify.answer(tmp_path / "x", None, [])[0] == 0
    (tmp_path / "x" / "report.pdf").unlink()
    assert verify.answer(tmp_path / "x", None, [])[0] == 1


def test_other_tools_can_unpack_it(pack: bytes, files: Files, tmp_path: Path) -> None:
    """It is a plain zip file: sorted, stored, dated 1980, without a finding by the library."""
    path = tmp_path / "pack.zip"
    path.write_bytes(pack)
    with zipfile.ZipFile(path) as opened:
        assert opened.testzip() is None
        assert opened.namelist() == sorted(files)
        assert {one.compress_type for one in opened.infolist()} == {zipfile.ZIP_STORED}
        assert {name: opened.read(name) for name in files} == files


@pytest.mark.slow
def test_the_same_checkpoint_gives_the_same_bytes_for_ever(shown: Gallery, tmp_path: Path) -> None:
    """Built twice, and again when the model has been measured, named and judged anew: equal; a pack of now is not."""
    made = again(shown, tmp_path / "later")
    checkpoint = made.platform.ledger.checkpoint()
    first = made.pack(checkpoint)
    assert made.pack(checkpoint) == first
    _go_on(made)
    with made.platform.store.read() as session:
        kept = session.use(CheckpointRepository).at(checkpoint.size)
    assert kept == checkpoint
    assert made.pack(kept) == first
    now = made.pack()
    assert now != first
    code, found = told(now, tmp_path)
    assert (code, found["state"]) == (0, "retired"), found
    made.platform.close()


@pytest.mark.slow
def test_a_busy_project_has_packs_that_verify(shown: Gallery, tmp_path: Path) -> None:
    """Everything twice: measurements, profiles, splits, the same training again, data from elsewhere, gates."""
    from muniment.inventory.model import RecordKind  # noqa: PLC0415
    from muniment.wire.data import AddDataset, ProfileDataset, SplitDataset  # noqa: PLC0415
    from muniment.wire.execution import EvaluateModel, ReproduceModel, TrainModel  # noqa: PLC0415

    made = again(shown, tmp_path / "busy")

    def do(person: str, request: Any, body: bytes | None = None) -> None:
        made.clock.advance(seconds=1)
        if hasattr(request, "fresh"):  # the same again is answered from the record otherwise
            request = msgspec.structs.replace(request, fresh=True)
        made.people.ask(person, request, body)
        made.clock.advance(seconds=1)
        assert made.people.work() == 1

    for algorithm in ("logistic-regression", "logistic-regression", "xgboost", "xgboost"):
        do("scientist", EvaluateModel(project=PROJECT, model=f"model:loans-{algorithm}", data="loans/train"))
    do("scientist", EvaluateModel(project=PROJECT, model="model:loans-xgboost", data="loans"))
    for data in ("loans", "loans/test"):
        do("scientist", ProfileDataset(project=PROJECT, dataset=data))
    do("scientist", SplitDataset(project=PROJECT, dataset="loans", parts={"train": 0.5, "test": 0.5}))
    do("validator", ReproduceModel(project=PROJECT, model="model:loans-logistic-regression"))
    do("scientist", TrainModel(project=PROJECT, experiment="loans", data="loans/train", algorithm="xgboost"))
    do("scientist", AddDataset(project=PROJECT, name="others", filename="o.csv", target="default"), b"age,late\n3,4\n")
    do("scientist", EvaluateModel(project=PROJECT, model="model:loans-xgboost", data="others"))
    for version, expression in ((1, "metric.auc >= 0.9"), (2, "metric.auc >= 0.5")):
        gate = {"name": "quality", "version": version, "expression": expression, "stage": "approve", "reason": ""}
        made.state("validator", RecordKind.GATE, gate, subject="project")
    code, found = told(made.pack(), tmp_path)
    assert (code, found.get("reason")) == (0, None)
    assert found["runs"] > 14
    made.platform.close()


def _go_on(made: Gallery) -> None:
    from muniment.inventory.model import RecordKind  # noqa: PLC0415
    from muniment.wire.execution import EvaluateModel, ReproduceModel, TrainModel  # noqa: PLC0415

    for person, request in (
        ("scientist", EvaluateModel(project=PROJECT, model="model:loans-xgboost", data="loans/train")),
        ("scientist", TrainModel(project=PROJECT, experiment="loans", data="loans/test", algorithm="xgboost")),
        ("validator", ReproduceModel(project=PROJECT, model="model:loans-xgboost@1")),
    ):
        made.clock.advance(seconds=1)
        made.people.ask(person, request)
        assert made.people.work() == 1
    comment = {"text": "why?", "in_reply_to": None, "resolved": False}
    made.state("validator", RecordKind.COMMENT, comment)
    made.sign("approver", RecordKind.RETIREMENT, "retired", {"reason": "replaced", "step": 5})


@settings(max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_flipped_bit_passes(pack: bytes, tmp_path: Path, data: st.DataObject) -> None:
    """Any single bit of the archive: headers, names, contents and the directory at its end."""
    bit = data.draw(st.integers(0, len(pack) * 8 - 1))
    content = bytearray(pack)
    content[bit // 8] ^= 1 << bit % 8
    code, found = told(bytes(content), tmp_path)
    assert code, found
    assert found["reason"]


@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_other_set_of_files_passes(pack: bytes, files: Files, tmp_path: Path, data: st.DataObject) -> None:
    """Files left out, exchanged, renamed, cut or added, in an archive that is laid out well: refused."""
    name, other = data.draw(st.sampled_from(sorted(files))), data.draw(st.sampled_from(sorted(files)))
    changed = dict(files)
    how = data.draw(st.sampled_from(["drop", "exchange", "rename", "cut", "add", "grow"]))
    if how == "drop":
        del changed[name]
    elif how == "exchange":
        changed[name], changed[other] = changed[other], changed[name]
    elif how == "rename":
        changed["x" + name.replace("/", "-")] = changed.pop(name)
    elif how == "cut":
        changed[name] = changed[name][: data.draw(st.integers(0, len(changed[name]) - 1))]
    elif how == "add":
        changed[data.draw(st.sampled_from(["formats/x.json", "x", "records/y.json"]))] = files[other]
    else:
        changed[name] += data.draw(st.binary(min_size=1, max_size=9))
    if changed == files:
        return
    assert told(verify.archive(changed), tmp_path)[0] == 1


@pytest.mark.parametrize(
    "how",
    ["comment", "trailing", "leading", "order", "twice", "deflated", "extra", "encrypted", "dated", "cut", "empty"],
)
def test_no_other_archive_of_the_same_files_passes(pack: bytes, files: Files, tmp_path: Path, how: str) -> None:
    """A set of files has one archive: comments, other orders, compression, flags and dates are no part of it."""
    path = tmp_path / "other.zip"
    names = sorted(files, reverse=how == "order") + (["README.txt"] if how == "twice" else [])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if how == "deflated" else zipfile.ZIP_STORED) as out:
        for name in names:
            member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0) if how != "dated" else (1999, 1, 1, 0, 0, 0))
            member.external_attr, member.create_system = 0o100644 << 16, 3
            member.extra = b"xx\0\0" if how == "extra" else b""
            with (
                pytest.warns(UserWarning, match="Duplicate name")
                if how == "twice" and name in out.namelist()
                else _quiet()
            ):
                out.writestr(member, files[name], compress_type=out.compression)
        out.comment = b"true" if how == "comment" else b""
    raw = {
        "trailing": pack + b"\0",
        "leading": b"\0" + pack,
        "encrypted": pack.replace(b"PK\3\4\n\0\0\0", b"PK\3\4\n\0\1\0", 1),
        "cut": pack[: len(pack) // 2],
        "empty": verify.archive({}),
    }.get(how, path.read_bytes())
    code, found = told(raw, tmp_path)
    assert code == (2 if how == "empty" else 1), found


class _quiet:  # noqa: N801 - reads as what it does
    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        return None


@pytest.mark.slow
def test_absurd_archives_are_refused_without_being_unpacked(tmp_path: Path) -> None:
    """A length beyond the file, a name that leads out of the folder, a bomb: refused, in no time and memory."""
    header = verify.archive({"dossier.json": b"{}"})
    assert told(header.replace((2).to_bytes(4, "little"), (2**32 - 1).to_bytes(4, "little")), tmp_path)[0] == 1
    assert told(header.replace(b"dossier.json", b"../../x.json"), tmp_path)[0] in (1, 2)
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("dossier.json", bytes(300 * 2**20))
    code, found = told(bomb.read_bytes(), tmp_path)
    assert (code, "archive" in found["reason"]) == (1, True), found


@pytest.mark.slow
@settings(max_examples=examples(120), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_operator_cannot_let_the_dossier_say_something_else(
    shown: Gallery, files: Files, leaves: list[tuple[Any, ...]], tmp_path: Path, data: st.DataObject
) -> None:
    """Any value of the dossier changed, and signed again by the ledger's key: refused, unless nothing bears it out."""
    path = data.draw(st.sampled_from(leaves))
    assert not _change(shown, files, path, tmp_path) or _unbound(path)


@pytest.mark.slow
def test_nothing_can_be_left_out_of_the_dossier(shown: Gallery, files: Files, tmp_path: Path) -> None:
    """Each member and each item of a list, taken away, and signed again by the ledger's key: refused, as above."""
    dossier, seen, passed = json.loads(files["dossier.json"]), dict[str, int](), set[str]()
    for path in _nodes(dossier):
        pattern = _pattern(path)
        seen[pattern] = seen.get(pattern, 0) + 1
        if seen[pattern] > 3:
            continue
        changed = copy.deepcopy(dossier)
        inner = changed
        for step in path[:-1]:
            inner = inner[step]
        del inner[path[-1]]
        if told(resigned(files | {"dossier.json": canonical(changed)}, shown.signer), tmp_path)[0] == 0:
            passed.add(pattern)
    assert [one for one in passed if not any(re.fullmatch(pattern, one) for pattern in OPTIONAL)] == []


@pytest.mark.slow
def test_every_value_of_the_dossier_is_borne_out_or_known_not_to_be(
    shown: Gallery, files: Files, leaves: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    """The same of every place there is; and what is listed as not borne out is so, or is not there."""
    passing = [path for path in leaves if _change(shown, files, path, tmp_path)]
    assert [path for path in passing if not _unbound(path)] == []
    passed = {_pattern(path) for path in passing}
    for pattern in UNBOUND - {r"lineage\.activities\.#\.started_at", r"training\.(experiment|started_at)"}:
        assert any(re.fullmatch(pattern, path) for path in passed), f"{pattern} is borne out now"


def _change(shown: Gallery, files: Files, path: tuple[Any, ...], folder: Path) -> bool:
    """Whether a dossier with another value there passes."""
    changed = copy.deepcopy(json.loads(files["dossier.json"]))
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = _other(inner[path[-1]])
    code, found = told(resigned(files | {"dossier.json": canonical(changed)}, shown.signer), folder)
    assert code == 0 or found["reason"], path
    return bool(code == 0)


def _unbound(path: tuple[Any, ...]) -> bool:
    return any(re.fullmatch(pattern, _pattern(path)) for pattern in UNBOUND)


def _nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands; of a list the first two and the last."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if inner not in (None, [], {}):
                yield (*path, key)
            yield from _nodes(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            if at < 2 or at == len(value) - 1:
                yield (*path, at)
                yield from _nodes(inner, (*path, at))


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, one in inner:
        yield from _leaves(one, (*path, step))
    if not isinstance(value, (dict, list)) or not value:
        yield path


def _pattern(path: tuple[Any, ...]) -> str:
    return ".".join("#" if isinstance(step, int) else step for step in path)


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    return {list: ["x"], dict: {"x": 1}}.get(type(value), f"{value or ''}x")


@pytest.mark.slow
def test_the_command_and_the_file_agree(shown: Gallery, pack: bytes, files: Files, tmp_path: Path) -> None:
    """Over true and altered packs, an export and other things: one exit code, one answer."""
    flipped = bytearray(pack)
    flipped[len(pack) // 3] ^= 1
    corpus = {
        "true": pack,
        "flipped": bytes(flipped),
        "cut": pack[:-1],
        "resigned": resigned(files | {"report.pdf": b"%PDF other"}, shown.signer),
        "forged": resigned(files | {"dossier.json": b"{}"}, shown.signer),
        "export": b"".join(shown.platform.ledger.export()),
        "nothing": b"",
        "text": b"not a pack",
    }
    codes = {}
    for name, content in corpus.items():
        path = tmp_path / name
        path.write_bytes(content)
        by_command = CliRunner().invoke(muni, ["verify", str(path), "--json"])
        by_file = CliRunner().invoke(_main, [str(path)])
        assert json.loads(by_command.stdout) == json.loads(by_file.stdout), name
        codes[name] = (by_command.exit_code, by_file.exit_code)
    assert {one for pair in codes.values() for one in pair if pair[0] != pair[1]} == set()
    wanted = {"true": 0, "flipped": 1, "cut": 1, "resigned": 0, "forged": 1, "export": 0, "nothing": 2, "text": 2}
    assert {name: code for name, (code, _) in codes.items()} == wanted


def _as_command() -> Any:
    import click  # noqa: PLC0415

    @click.command()
    @click.argument("path")
    def main(path: str) -> None:
        click.get_current_context().exit(verify.main([path, "--json"]))

    return main


_main = _as_command()
