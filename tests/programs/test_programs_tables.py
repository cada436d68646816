"""Delta and Iceberg tables: every version reads back as the libraries that wrote it read it, or is refused by name."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import Bench
from muniment.adapters.sources.folders import kind_of_table, members_of, pack
from muniment.errors import Invalid, NotFound
from muniment.programs.contract import Job
from muniment.programs.ingest import ingest

Benches = Callable[[str], Bench]
PEERS = Path(__file__).resolve().parents[2] / ".venv-peers/bin/python"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables that real deltalake and real pyiceberg wrote, with what they read of every version."""
    if not PEERS.exists():
        if os.environ.get("CI"):
            pytest.fail("CI must test against real Delta and Iceberg: run scripts/peers")
        pytest.skip("there is no .venv-peers: run scripts/peers")
    folder = tmp_path_factory.mktemp("tables") / "t"
    script = Path(__file__).with_name("foreign_tables.py")
    subprocess.run([PEERS, "-W", "ignore", script, folder], check=True, capture_output=True)
    return folder


def packed(folder: Path, start: str | None = None) -> bytes:
    """The archive that the connector makes of a table's folder."""
    out = io.BytesIO()
    pack(members_of(folder), kind_of_table(folder) or "", out, start)
    return out.getvalue()


def read(desk: Bench, content: bytes, **given: Any) -> pa.Table:
    """What ingest makes of an archive."""
    desk.channel("file", {"source": content})
    desk.given(**given)
    ingest(Job(desk.root))
    return pa.concat_tables(pq.read_table(path) for path in sorted((desk.root / "output/data/snapshot").iterdir()))


def rows(table: pa.Table) -> list[str]:
    """The rows as a bag, each value with its type."""
    return sorted(repr(row) for row in table.to_pylist())


def versions(tables: Path, kind: str) -> list[dict[str, Any]]:
    """The versions that a library wrote, oldest first."""
    found: list[dict[str, Any]] = json.loads((tables / "versions.json").read_text())[kind]
    return sorted(found, key=lambda one: one["time"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_every_version_is_what_its_own_library_reads(kind: str, tables: Path, bench: Benches) -> None:
    """Columns and rows of every version are equal, also of the versions before a checkpoint, a delete or a rename."""
    archive = packed(tables / kind)
    known = versions(tables, kind)
    assert len(known) >= 5
    for number, version in enumerate(known):
        desk = bench(f"job{number}")
        oracle = pq.read_table(tables / f"oracle/{kind}-{version['version']}.parquet")
        if not oracle.num_rows:
            continue
        made = read(desk, archive, version=str(version["version"]))
        assert made.column_names == oracle.column_names
        assert rows(made) == rows(oracle)
        assert desk.result("report.json")["source"]["table_version"] == str(version["version"])
    newest = read(bench("newest"), archive)
    assert rows(newest) == rows(oracle)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_a_version_at_a_time_is_the_last_one_before(kind: str, tables: Path, bench: Benches) -> None:
    """At a version's own moment it is found; before the first one there is none, and the oldest is named."""
    archive = packed(tables / kind)
    known = versions(tables, kind)
    for number, version in enumerate(known[2:4]):
        moment = pa.scalar(version["time"], pa.timestamp("ms", "UTC")).as_py().isoformat()
        desk = bench(f"job{number}")
        read(desk, archive, at=moment)
        assert desk.result("report.json")["source"]["table_version"] == str(version["version"])
    with pytest.raises(NotFound) as refused:
        read(bench("early"), archive, at="2000-01-01T00:00:00Z")
    assert refused.value.code == "MUNI-J202"
    assert refused.value.facts["oldest"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_an_unknown_version_is_named(kind: str, tables: Path, bench: Benches) -> None:
    """A version that the table does not hold is refused with those that it holds."""
    with pytest.raises(NotFound) as refused:
        read(bench("job"), packed(tables / kind), version="4711")
    assert refused.value.code in ("MUNI-J201", "MUNI-J203")


def changed(folder: Path, tmp_path: Path, change: Callable[[Path], None]) -> bytes:
    """The archive of a copy of a table after a change."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    change(copy)
    return packed(copy)


def commit(folder: Path, **actions: Any) -> None:
    """Add a commit to the log of a Delta table."""
    log = folder / "_delta_log"
    number = max(int(path.stem) for path in log.glob("*.json")) + 1
    lines = [json.dumps({name: action}) for name, action in actions.items()]
    (log / f"{number:020}.json").write_text("\n".join(lines))


def add(path: str, **more: Any) -> dict[str, Any]:
    """An ``add`` action."""
    return {"path": path, "size": 10, "partitionValues": {"p": "x"}, "dataChange": True, "modificationTime": 0, **more}


FEATURES = {"minReaderVersion": 3, "minWriterVersion": 7, "writerFeatures": []}
HOSTILE_DELTA: dict[str, tuple[dict[str, Any], str]] = {
    "climbing": ({"add": add("../../../etc/passwd")}, "MUNI-J113"),
    "climbing, encoded": ({"add": add("%2e%2e/%2e%2e/etc/passwd")}, "MUNI-J113"),
    "absolute": ({"add": add("/etc/passwd")}, "MUNI-J113"),
    "a URL": ({"add": add("file:///etc/passwd")}, "MUNI-J113"),
    "a file that is not there": ({"add": add("p=x/gone.parquet")}, "MUNI-J111"),
    "no text": ({"add": add("x") | {"path": 7}}, "MUNI-J111"),
    "deletion vectors": ({"add": add("x", deletionVector={"storageType": "u"})}, "MUNI-J114"),
    "an unknown feature": ({"protocol": {**FEATURES, "readerFeatures": ["variantType"]}}, "MUNI-J114"),
    "an unknown reader version": ({"protocol": {"minReaderVersion": 9, "minWriterVersion": 9}}, "MUNI-J114"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE_DELTA)
def test_a_hostile_delta_log_is_refused(name: str, tables: Path, bench: Benches, tmp_path: Path) -> None:
    """Paths that leave the table, files that are not there and features that are not honoured: refused by name."""
    actions, code = HOSTILE_DELTA[name]
    archive = changed(tables / "delta", tmp_path, lambda folder: commit(folder, **actions))
    desk = bench("job")
    with pytest.raises(Invalid) as refused:
        read(desk, archive)
    assert refused.value.code == code
    assert refused.value.facts["do"]
    assert not (desk.root / "output/data/manifest.json").exists()


def _first_data(folder: Path) -> Path:
    return next(path for path in sorted(folder.rglob("*.parquet")) if "_delta_log" not in str(path))


@pytest.mark.slow
def test_lying_sizes_and_counts_are_refused(tables: Path, bench: Benches, tmp_path: Path) -> None:
    """A file of another size, or of another number of rows than the table says, is not the file that was committed."""

    def longer(folder: Path) -> None:
        for path in folder.rglob("*.parquet"):
            if "_delta_log" not in str(path):
                path.write_bytes(path.read_bytes() + b"\0")

    with pytest.raises(Invalid) as refused:
        read(bench("longer"), changed(tables / "delta", tmp_path, longer))
    assert refused.value.code == "MUNI-J112"

    def fewer(folder: Path) -> None:
        log = sorted((folder / "_delta_log").glob("*.json"))
        for path in log:
            path.write_text(path.read_text().replace('\\"numRecords\\":', '\\"numRecords\\":9'))
        for path in (folder / "_delta_log").glob("*checkpoint*"):
            path.unlink()

    with pytest.raises(Invalid) as refused:
        read(bench("fewer"), changed(tables / "delta", tmp_path / "2", fewer), version="0")
    assert refused.value.code == "MUNI-J116"


@pytest.mark.slow
def test_a_gap_in_the_log_is_noticed(tables: Path, bench: Benches, tmp_path: Path) -> None:
    """Without the checkpoint's base, versions after a missing commit cannot be read; those that can be are named."""

    def gap(folder: Path) -> None:
        for path in (folder / "_delta_log").glob("*checkpoint*"):
            path.unlink()
        (folder / "_delta_log" / f"{1:020}.json").unlink()

    with pytest.raises(NotFound) as refused:
        read(bench("job"), changed(tables / "delta", tmp_path, gap))
    assert (refused.value.code, refused.value.facts["oldest"]) == ("MUNI-J201", 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_an_archive_that_is_cut_off_is_noticed(kind: str, tables: Path, bench: Benches) -> None:
    """Wherever it is cut, also between two files."""
    archive = packed(tables / kind)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        edges = [member.offset for member in tar][3:6]
    for number, end in enumerate([*edges, len(archive) // 3, len(archive) // 2]):
        with pytest.raises(Invalid) as refused:
            read(bench(f"job{number}"), archive[:end])
        assert refused.value.code == "MUNI-J110"


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b", "link", "twice"])
def test_an_archive_that_leaves_its_folder_is_refused(name: str, bench: Benches) -> None:
    """Climbing and absolute names, links and names that stand twice refuse the whole archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        header = json.dumps({"kind": "delta", "files": 1}).encode()
        for member, content in (("muniment-table.json", header), ("twice", b""), (name, b"")):
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            if member == "link":
                entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(entry, io.BytesIO(content))
    with pytest.raises(Invalid) as refused:
        read(bench("job"), out.getvalue())
    assert refused.value.code == "MUNI-J113"


def test_a_link_in_the_folder_is_never_followed(tmp_path: Path) -> None:
    """Packing refuses a link, to a file or to a folder, wherever it leads."""
    for number, target in enumerate(["/etc/passwd", "/etc"]):
        folder = tmp_path / str(number)
        (folder / "_delta_log").mkdir(parents=True)
        (folder / "x").symlink_to(target)
        with pytest.raises(Invalid) as refused:
            members_of(folder)
        assert refused.value.code == "MUNI-J140"


def manifest_of(folder: Path, version: int) -> tuple[dict[str, Any], Path, dict[str, Any]]:
    """The metadata of an Iceberg table, the manifest list of a snapshot and its first entry."""
    metadata = json.loads(sorted((folder / "metadata").glob("*.metadata.json"))[-1].read_text())
    snapshot = next(one for one in metadata["snapshots"] if one["snapshot-id"] == version)
    path = folder / snapshot["manifest-list"].removeprefix(metadata["location"] + "/")
    with path.open("rb") as file:
        return metadata, path, next(iter(fastavro.reader(file)))


def rewrite(path: Path, change: Callable[[list[Any]], list[Any]]) -> None:
    """Change the records of an Avro file."""
    with path.open("rb") as file:
        reader = fastavro.reader(file)
        records, schema, more = list(reader), reader.writer_schema, dict(reader.metadata)
    more = {name: value for name, value in more.items() if not name.startswith("avro.")}
    with path.open("wb") as file:
        fastavro.writer(file, schema, change(records), metadata=more)


@pytest.mark.slow
def test_position_deletes_are_applied_and_equality_deletes_refused(
    tables: Path, bench: Benches, tmp_path: Path
) -> None:
    """Rows at deleted positions are gone, exactly those; deletes by equality are never left out in silence."""
    version = versions(tables, "iceberg")[0]["version"]

    def with_deletes(content: int) -> bytes:
        folder = tmp_path / str(content)
        shutil.copytree(tables / "iceberg", folder)
        metadata, listed, first = manifest_of(folder, version)
        manifest = folder / first["manifest_path"].removeprefix(metadata["location"] + "/")
        with manifest.open("rb") as file:
            target = next(iter(fastavro.reader(file)))["data_file"]
        deletes = folder / "data/deletes.parquet"
        gone = pa.table({"file_path": [target["file_path"]] * 2, "pos": pa.array([0, 3], pa.int64())})
        pq.write_table(gone, deletes)
        second = folder / "metadata/deletes.avro"
        shutil.copyfile(manifest, second)

        def only_deletes(records: list[Any]) -> list[Any]:
            entry = next(one for one in records if one["data_file"]["file_path"] == target["file_path"])
            entry["data_file"] |= {
                "content": content,
                "file_path": f"{metadata['location']}/data/deletes.parquet",
                "record_count": 2,
                "file_size_in_bytes": deletes.stat().st_size,
            }
            return [entry]

        rewrite(second, only_deletes)
        more = {**first, "manifest_path": f"{metadata['location']}/metadata/deletes.avro", "content": 1}
        rewrite(listed, lambda records: [*records, more])
        return packed(folder)

    whole = read(bench("whole"), packed(tables / "iceberg"), version=str(version))
    left = read(bench("left"), with_deletes(1), version=str(version))
    assert left.num_rows == whole.num_rows - 2
    assert set(rows(left)) < set(rows(whole))
    with pytest.raises(Invalid) as refused:
        read(bench("equality"), with_deletes(2), version=str(version))
    assert (refused.value.code, refused.value.facts["feature"]) == ("MUNI-J114", "equality deletes")


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/etc/passwd", "file:///etc/passwd", "../../etc/passwd", "s3://other/x"])
def test_a_manifest_that_leaves_the_table_is_refused(path: str, tables: Path, bench: Benches, tmp_path: Path) -> None:
    """Files outside of the table's location are never looked for."""

    def elsewhere(folder: Path) -> None:
        version = versions(tables, "iceberg")[0]["version"]
        _, listed, first = manifest_of(folder, version)
        rewrite(listed, lambda records: [{**first, "manifest_path": path}])

    with pytest.raises(Invalid) as refused:
        version = versions(tables, "iceberg")[0]["version"]
        read(bench("job"), changed(tables / "iceberg", tmp_path, elsewhere), version=str(version))
    assert refused.value.code == "MUNI-J113"


@pytest.mark.slow
def test_damaged_avro_is_refused(tables: Path, bench: Benches, tmp_path: Path) -> None:
    """Whatever bytes are flipped in a manifest list: refused, never a wrong table and never a crash."""
    version = versions(tables, "iceberg")[-1]["version"]
    oracle = rows(pq.read_table(tables / f"oracle/iceberg-{version}.parquet"))
    _, listed, _ = manifest_of(tables / "iceberg", version)
    content = listed.read_bytes()
    for number, place in enumerate(range(10, len(content), max(1, len(content) // 25))):

        def flip(folder: Path, place: int = place) -> None:
            path = folder / listed.relative_to(tables / "iceberg")
            path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])

        try:
            made = read(
                bench(f"job{number}"), changed(tables / "iceberg", tmp_path / str(number), flip), version=str(version)
            )
        except (Invalid, NotFound):
            continue
        assert rows(made) == oracle


@pytest.mark.slow
def test_two_newest_metadata_files_must_be_decided(tables: Path, bench: Benches, tmp_path: Path) -> None:
    """A folder does not say which of two is current; naming one does."""

    def second(folder: Path) -> None:
        newest = sorted((folder / "metadata").glob("*.metadata.json"))[-1]
        number = newest.name.partition("-")[0]
        shutil.copyfile(newest, newest.with_name(f"{number}-00000000-0000-0000-0000-000000000000.metadata.json"))

    archive = changed(tables / "iceberg", tmp_path, second)
    with pytest.raises(Invalid) as refused:
        read(bench("job"), archive)
    assert refused.value.code == "MUNI-J118"
    chosen = packed(tmp_path / "copy", refused.value.facts["files"][0])
    assert read(bench("chosen"), chosen).num_rows > 0
