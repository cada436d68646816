"""``muni data``: data sets."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from muniment.cli.data_bias import bias, exclude
from muniment.cli.data_diff import diff
from muniment.cli.data_erase import erase
from muniment.cli.data_grant import grant
from muniment.cli.data_hold import hold
from muniment.cli.data_overlap import overlap
from muniment.cli.data_quality import quality
from muniment.cli.data_represent import represent
from muniment.cli.data_rights import due, rights, terms
from muniment.cli.face import Face, Group, numbers, pairs, with_face
from muniment.cli.knowing import DATA
from muniment.cli.screen import Screen
from muniment.cli.watching import sending
from muniment.sdk.datasets import Dataset, parts_of
from muniment.sdk.shown import count, size
from muniment.wire import data as wire
from muniment.wire.execution import JobLimits

FRESH = click.option("--fresh", is_flag=True, help="Run it although the record holds the answer.")
DETACH = click.option("--detach", is_flag=True, help="Return at once; the run goes on in the queue.")


@click.group(cls=Group)
def data() -> None:
    """Data sets: immutable, encrypted, content-addressed snapshots.

    A data set is named data:NAME@VERSION, a part of a split data:NAME/PART@VERSION; without a version the latest is
    taken.
    """


@data.command(
    epilog="Examples: muni data add credit UCI_Credit_Card.csv.gz --target default_payment_next_month; "
    'muni data add loans --from postgresql://me@host/bank --query "select * from loans"'
)
@click.argument("name")
@click.argument("file", type=click.Path(), required=False)
@click.option(
    "--from",
    "source",
    metavar="SOURCE",
    help="Another source than a file: postgresql://…, sqlite:///…, odbc:…, s3://bucket/key, or a table's folder.",
)
@click.option("--query", metavar="SQL", help="What to ask a database: one statement that reads.")
@click.option("--sheet", metavar="NAME", help="Sheet of a workbook that has several.")
@click.option("--at-version", metavar="VERSION", help="Version of a Delta or Iceberg table, or of an object.")
@click.option("--at-time", metavar="TIME", help="The version that was the latest then: 2026-11-01T00:00:00Z.")
@click.option("--target", metavar="COLUMN", help="The column that models shall predict.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["auto", "csv", "tsv", "jsonl", "parquet", "arrow", "excel"]),
    default="auto",
    show_default=True,
    help="What the file is; gzip and zstd are recognised by content.",
)
@click.option("--delimiter", metavar="CHARACTER", help="What separates fields in a CSV; a comma by default.")
@click.option("--header", metavar="NAME,...", help="Column names of a file that has no header line.")
@click.option("--null", "nulls", multiple=True, metavar="TEXT", help="A spelling of a missing value; repeatable.")
@click.option("--column", "columns", multiple=True, metavar="NAME=TYPE", callback=pairs, help="Type of a column.")
@click.option(
    "--at-most",
    "bounds",
    multiple=True,
    metavar="WHAT=NUMBER",
    callback=numbers,
    help="What the file may hold: columns (2000 as a rule), rows, bytes (unpacked), ratio (unpacked to packed), "
    "record_bytes; repeatable.",
)
@click.option(
    "--classification",
    default="confidential",
    show_default=True,
    metavar="CLASS",
    help="How the data may be handled: public, internal, confidential or restricted.",
)
@click.option("--purpose", "purposes", multiple=True, metavar="TEXT", help="A use the data may have; repeatable.")
@click.option("--owner", metavar="NAME", help="Who answers for the data.")
@click.option("--legal-basis", multiple=True, metavar="TEXT", help="By which right it is processed; repeatable.")
@click.option(
    "--right",
    "rights",
    multiple=True,
    metavar="LIMIT",
    help="What it is kept from: no-training, no-scripts, no-evaluation, no-prediction, no-derivation; repeatable.",
)
@click.option("--use-until", metavar="DAY", help="The right to use it ends then: 2030-12-31, or 2y, 6m, 90d from now.")
@click.option("--retention", metavar="DAY", help="It is kept until then: 2036-12-31, or 10y from now.")
@click.option("--memory-mb", type=click.IntRange(min=1), help="Memory limit of the ingest job, MiB.")
@click.option("--wall-s", type=click.IntRange(min=1), help="Time limit of the ingest job, seconds.")
@FRESH
@DETACH
@with_face
def add(
    face: Face,
    name: str,
    file: str | None,
    source: str | None,
    query: str | None,
    sheet: str | None,
    at_version: str | None,
    at_time: str | None,
    target: str | None,
    form: str,
    delimiter: str | None,
    header: str | None,
    nulls: tuple[str, ...],
    columns: dict[str, str],
    bounds: dict[str, int],
    classification: str,
    purposes: tuple[str, ...],
    owner: str | None,
    legal_basis: tuple[str, ...],
    rights: tuple[str, ...],
    use_until: str | None,
    retention: str | None,
    memory_mb: int | None,
    wall_s: int | None,
    fresh: bool,
    detach: bool,
) -> None:
    """Ingest FILE (CSV, JSON lines, Parquet, Arrow or Excel), or another source, as the next version of data set NAME.

    It is parsed strictly, once, inside the sandbox; what does not fit is refused with its line or column.
    """
    if (file is None) == (source is None):
        raise click.UsageError("give one source: a FILE, or --from SOURCE")
    opened = face.client.data.open(
        source or file or "", query=query, version=at_version, at=at_time, file=lambda path: sending(face.notes, path)
    )
    with opened as sent:
        request = wire.AddDataset(
            project=face.client.project,
            name=name,
            target=target,
            format=form,
            delimiter=delimiter,
            columns=columns,
            header=header.split(",") if header else [],
            nulls=list(nulls),
            bounds=bounds,
            sheet=sheet,
            classification=classification,
            purposes=list(purposes),
            owner=owner,
            legal_basis=list(legal_basis),
            rights=list(rights),
            use_until=use_until,
            retention=retention,
            limits=JobLimits(memory_mb=memory_mb, wall_s=wall_s),
            fresh=fresh,
            **sent.fields,
        )
        run = face.client.jobs.add(request, sent.body)
    if detach:
        face.started(run)
        return
    made = face.wait(run).dataset
    face.answer({**msgspec.to_builtins(made.detail), "run": run.reference}, lambda screen: picture(screen, made))


@data.command("list", epilog="Example: muni data list")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="So many at most.")
@with_face
def list_(face: Face, limit: int) -> None:
    """List the data sets of the project, newest first."""
    found = face.client.data.list(limit)
    face.answer(
        wire.Datasets(datasets=list(found)),
        lambda screen: screen.table(
            ["data set", "target", "added", "rows", "columns", "size"],
            [[d.dataset, d.target, d.created_at[:16], count(d.rows), count(d.columns), size(d.bytes)] for d in found],
            right=3,
            empty="no data set yet; add one: muni data add NAME FILE",
            spare=["added", "size", "target"],
        ),
    )


@data.command(epilog="Example: muni data show credit --at 2026-11-01T00:00:00Z")
@click.argument("dataset", type=DATA)
@click.option("--at", metavar="TIME", help="The version that was the latest then, in ISO 8601 with its zone.")
@with_face
def show(face: Face, dataset: str, at: str | None) -> None:
    """Show one snapshot: where it came from, its terms, schema, statistics, findings, proofs and grade.

    DATASET may name a version (credit@2) or a moment (credit@2026-11-01T00:00:00Z).
    """
    found = face.client.data.get(dataset, at=at)
    face.answer(found.detail, lambda screen: picture(screen, found))


@data.command(epilog="Example: muni data split credit --part train=0.6 --part test=0.2 --part holdout=0.2 --seed 7")
@click.argument("dataset", type=DATA)
@click.option(
    "--part", "parts", multiple=True, metavar="NAME=SHARE", callback=pairs, help="A part and its share of the rows."
)
@click.option("--stratify", metavar="COLUMN", help="Keep the shares of this column's classes; else the target's.")
@click.option("--group", metavar="COLUMN", help="Keep rows with equal values of this column in one part.")
@click.option("--seed", type=int, default=0, show_default=True, help="Makes the split repeatable.")
@FRESH
@DETACH
@with_face
def split(
    face: Face,
    dataset: str,
    parts: dict[str, str],
    stratify: str | None,
    group: str | None,
    seed: int,
    fresh: bool,
    detach: bool,
) -> None:
    """Split a snapshot into parts, with a proof that they are disjoint and together complete.

    Without --part: train 0.6, test 0.2, holdout 0.2.
    """
    request = wire.SplitDataset(
        project=face.client.project,
        dataset=dataset,
        parts=_shares(parts) or {"train": 0.6, "test": 0.2, "holdout": 0.2},
        stratify=stratify,
        group=group,
        seed=seed,
        fresh=fresh,
    )
    run = face.client.jobs.split(request)
    if detach:
        face.started(run)
        return
    face.wait(run)
    made = parts_of(face.client, run, request.parts)
    proof = next((part.detail.proof for part in made.values()), None)
    document = {"run": run.reference, "parts": {name: part.detail for name, part in made.items()}, "proof": proof}

    def draw(screen: Screen) -> None:
        rows = [
            [name, part.reference, part.digest, part.detail.grade, count(part.detail.rows)]
            for name, part in made.items()
        ]
        screen.table(["part", "data set", "digest", "grade", "rows"], rows, right=1, spare=["digest"])
        if proof:
            screen.line()
            proof_picture(screen, proof)

    face.answer(document, draw)


@data.command(epilog="Example: muni data profile credit")
@click.argument("dataset", type=DATA)
@FRESH
@DETACH
@with_face
def profile(face: Face, dataset: str, fresh: bool, detach: bool) -> None:
    """Describe each column of a snapshot, hermetically."""
    run = face.client.jobs.profile(dataset, fresh=fresh)
    if detach:
        face.started(run)
        return
    face.wait(run)
    found = face.client.data.get(dataset)
    face.answer(
        {"run": run.reference, "dataset": found.reference, "profile": found.detail.profile},
        lambda screen: profile_picture(screen, found.detail.profile or {}),
    )


def picture(screen: Screen, found: Dataset) -> None:
    """A snapshot for people."""
    d = found.detail
    came = d.facts.get("origins")
    screen.facts(
        d.dataset,
        {
            "rows": count(d.rows),
            "columns": count(len(d.columns)),
            "size": size(d.bytes),
            "target": d.target,
            "digest": d.digest,
            "content": d.content_digest,
            "superseded by": d.superseded_by,
            "derived from": tuple(d.derived_from),
            "added": f"{d.created_at[:19]} by {d.created_by}",
            "run": d.run,
            "grade": d.grade,
            **{
                name.replace("_", " "): ", ".join(map(str, value)) if isinstance(value, list) else value
                for name, value in d.facts.items()
                if name in _TERMS
            },
            "source": _origin(d.facts.get("origin")),
            "query": (d.facts.get("origin") or {}).get("query"),
            **{one.what: f"{one.verdict} ({one.run})" for one in d.judged},
            "came": f"{len(came)} times: {', '.join(str(one.get('name')) for one in came)}" if came else None,
            "read": _as_read(d.facts.get("read")),
        },
    )
    if not (d.profile or {}).get("columns"):
        screen.line()
        columns = [[c.name, c.type, c.nullable] for c in d.columns[:_MOST_COLUMNS]]
        screen.table(["column", "type", "nullable"], columns)
        _more(screen, len(d.columns))
    if d.findings:
        screen.line()
        findings_picture(screen, d.findings)
    if d.proof:
        screen.line()
        proof_picture(screen, d.proof)
    if d.profile:
        screen.line()
        profile_picture(screen, d.profile)


_TERMS = (
    "classification", "owner", "purposes", "legal_basis", "rights", "use_until", "retention", "part", "format",
)  # fmt: skip
_MOST_COLUMNS = 100
"""So many columns are shown to people; ``--json`` has all."""

_MOST_NAMES = 12


def _origin(origin: Any) -> str | None:
    """Where the bytes came from, in one line, with who stands behind it."""
    if not isinstance(origin, dict):
        return None
    told = [f"{origin.get('kind')} {origin.get('location')}"]
    told += [f"version {origin['version']}"] if origin.get("version") else []
    told += [f"as of {origin['at'][:19]}Z"] if origin.get("at") else []
    told += [f"read {origin['read_at'][:19]}Z"] if origin.get("read_at") else []
    told += [f"{name} {value}" for name, value in (origin.get("details") or {}).items()]
    return f"{', '.join(told)} ({origin.get('grade')})"


def _as_read(read: Any) -> str | None:
    """What the job saw of the source."""
    if not isinstance(read, dict) or not set(read) - {"format", "delimiter", "compression"}:
        return None
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in read.items())


def _more(screen: Screen, columns: int) -> None:
    if columns > _MOST_COLUMNS:
        screen.line(f"… and {count(columns - _MOST_COLUMNS)} more columns; --json has all of them", style="dim")


def findings_picture(screen: Screen, findings: list[dict[str, Any]]) -> None:
    """What was found in the data: one line for each kind of finding, with the columns it is about."""
    columns: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        facts = finding.get("facts") or {}
        said = ", ".join(f"{name} {value}" for name, value in facts.items())
        about = str(facts.get("column") or facts.get("feature") or said)
        columns.setdefault((str(finding.get("code")), str(finding.get("message") or "")), []).append(about)
    rows = [[code.replace("_", " "), message, _few(about)] for (code, message), about in columns.items()]
    screen.table(["finding", "", "about"], rows, wrap=["", "about"])


def _few(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {count(more)} more" if more > 0 else "")


def proof_picture(screen: Screen, proof: dict[str, Any]) -> None:
    """What proves that the parts of a split are disjoint and together complete."""
    shown = (
        "disjoint",
        "complete",
        "rows",
        "seed",
        "stratify",
        "group",
        "content_digest",
        "recombined_digest",
        "digest",
    )
    screen.facts("proof of the split", {name.replace("_", " "): _counted(proof.get(name), name) for name in shown})
    if proof.get("findings"):
        screen.line()
        findings_picture(screen, proof["findings"])


def _counted(value: Any, name: str) -> Any:
    return count(value) if name == "rows" and isinstance(value, int) else value


def profile_picture(screen: Screen, profile: dict[str, Any]) -> None:
    """A profile for people: one line per column, whatever measures it has."""
    columns = profile.get("columns")
    if not isinstance(columns, list) or not columns:
        screen.facts("profile", profile)
        return
    rows = [
        [
            column.get("name"),
            column.get("type"),
            _plain(column.get("nulls")),
            _plain((column.get("distinct") or {}).get("count")),
            *(_plain((column.get("numbers") or {}).get(name)) for name in _NUMBERS),
        ]
        for column in columns[:_MOST_COLUMNS]
    ]
    screen.table(
        ["column", "type", "nulls", "distinct", *_NUMBERS], rows, right=2 + len(_NUMBERS), spare=["sd", "type"]
    )
    _more(screen, len(columns))
    target = profile.get("target") or {}
    screen.line()
    facts = {
        "rows": _plain(profile.get("rows")),
        "duplicate rows": _plain(profile.get("duplicate_rows")),
        "target": target
        and f"{target.get('name')}: {target.get('positives')} positive, {target.get('rate'):.4f} of all",
    }
    screen.facts("", facts)
    if profile.get("findings"):
        screen.line()
        findings_picture(screen, profile["findings"])


_NUMBERS = ("min", "mean", "sd", "max")


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return count(int(value)) if value.is_integer() and abs(value) < 1e12 else f"{value:,.6g}"
    return count(value) if isinstance(value, int) else ""


def _shares(parts: dict[str, str]) -> dict[str, float]:
    try:
        return {name: float(share) for name, share in parts.items()}
    except ValueError as wrong:
        raise click.BadParameter(f"a share is a number: {wrong}", param_hint="--part") from None


data.add_command(bias)
data.add_command(exclude)
data.add_command(rights)
data.add_command(terms)
data.add_command(grant)
data.add_command(hold)
data.add_command(due)
data.add_command(erase)
data.add_command(quality)
data.add_command(represent)
data.add_command(overlap)
data.add_command(diff)

__all__ = ["DETACH", "data", "picture", "profile_picture"]
