"""``muni feature``: the feature store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
import msgspec

from muniment.cli.data import DETACH, findings_picture, picture
from muniment.cli.face import Face, Group, pairs, with_face
from muniment.cli.knowing import DATA
from muniment.cli.knowing import FEATURES as VIEW
from muniment.cli.screen import Screen
from muniment.sdk.feature_files import read_definition
from muniment.sdk.features import FeatureView, Skew, resting
from muniment.sdk.shown import count, duration, measure

if TYPE_CHECKING:
    from muniment.sdk.asking import Job
    from muniment.sdk.runs import Run


@click.group(cls=Group)
def feature() -> None:
    """Feature views: define, build, join as known at the time, read online, compare.

    A view is named features:NAME@VERSION; without a version the latest is taken.
    """


@feature.command(epilog="Example: muni feature define behaviour.toml; docs/how-to/features.md shows a whole definition")
@click.argument("file", type=click.Path(path_type=Path))
@with_face
def define(face: Face, file: Path) -> None:
    """Define the next version of a view by FILE.

    FILE is a .toml file that names its transform, or the .py or .sql file of the transform with the same fields in a
    comment block at its top. Sources are pinned now, to the snapshots that their names mean now. Nothing is run.
    """
    definition = read_definition(file)
    made = face.client.features.defined(definition)

    def draw(screen: Screen) -> None:
        screen.done(f"{made.view} {'defined' if made.new else 'is this definition already'}")
        screen.facts("", {"digest": made.digest, **{f"source {k}": v for k, v in made.sources.items()}})
        screen.line(f"  fill it  muni feature build {made.view.partition(':')[2]}", style="dim")

    face.answer(made, draw)


@feature.command("list", epilog="Example: muni feature list")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="So many at most.")
@with_face
def list_(face: Face, limit: int) -> None:
    """List the views, newest first."""
    found = face.client.features.list(limit)

    def draw(screen: Screen) -> None:
        rows = [
            [
                one.view.removeprefix("features:"),
                ", ".join(one.entity),
                one.owner,
                "" if one.age_s is None else duration(one.age_s),
                count(one.features),
                count(one.builds),
                "" if one.rows is None else count(one.rows),
                count(one.online),
            ]
            for one in found
        ]
        columns = ["view", "entity", "owner", "newest event", "features", "builds", "rows", "online"]
        screen.table(columns, rows, right=4, spare=["owner"], empty="no view yet: muni feature define FILE")

    face.answer({"views": [msgspec.to_builtins(one) for one in found]}, draw)


@feature.command(epilog="Example: muni feature show behaviour --freshness 2d")
@click.argument("view", type=VIEW)
@click.option("--freshness", metavar="AGE", help="How old the newest event may be, such as 2d; else the TTL.")
@with_face
def show(face: Face, view: str, freshness: str | None) -> None:
    """Show a view: features and the columns they rest on, builds, freshness, drift, online table, skew."""
    found = face.client.features.get_view(view, freshness)
    face.answer(found.detail, lambda screen: view_picture(screen, found))


@feature.command(epilog="Example: muni feature build behaviour")
@click.argument("view", type=VIEW)
@DETACH
@with_face
def build(face: Face, view: str, detach: bool) -> None:
    """Fill VIEW: its transform runs hermetically over its pinned sources, twice, and both runs must agree."""
    run = _run(face.client.features.start_build(view))
    if detach:
        face.started(run)
        return
    face.wait(run)
    made = run.dataset
    report = run.detail.report or {}

    def draw(screen: Screen) -> None:
        picture(screen, made)
        lineage = (report.get("column_lineage") or {}).get("features") or {}
        screen.line()
        rows = [
            [c.name, resting(lineage[c.name]["columns"]), lineage[c.name]["grade"]]
            for c in made.detail.columns
            if c.name in lineage
        ]
        screen.table(["feature", "rests on", "grade"], rows, wrap=["rests on"])

    document = {**msgspec.to_builtins(made.detail), "run": run.reference, "report": report}
    face.answer(document, draw)


@feature.command(epilog="Example: muni feature join applications behaviour:late_payments,balance --time applied_at")
@click.argument("requests", type=DATA)
@click.argument("views", nargs=-1, required=True, type=VIEW, metavar="VIEW[:F1,F2]...")
@click.option("--time", required=True, metavar="COLUMN", help="Column of REQUESTS with the moment of each request.")
@click.option("--name", metavar="NAME", help="Name of the result; else made of the names of requests.")
@click.option("--full-names", is_flag=True, help="Call each feature VIEW__FEATURE.")
@DETACH
@with_face
def join(
    face: Face, requests: str, views: tuple[str, ...], time: str, name: str | None, full_names: bool, detach: bool
) -> None:
    """Join features to REQUESTS as they were known at the moment of each.

    Every request comes back once, in its order; what was not known is null; no value comes from the future of either
    clock.
    """
    run = _run(face.client.features.start_join(requests, *views, time=time, name=name, full_names=full_names))
    if detach:
        face.started(run)
        return
    face.wait(run)
    made = run.dataset
    report = run.detail.report or {}

    def draw(screen: Screen) -> None:
        picture(screen, made)
        screen.line()
        rows = [[one["view"], count(one["answered"]), count(one["unanswered"])] for one in report.get("views", [])]
        screen.table(["view", "answered", "unanswered"], rows, right=2)

    face.answer({**msgspec.to_builtins(made.detail), "run": run.reference, "report": report}, draw)


@feature.command(epilog="Example: muni feature publish behaviour --prune")
@click.argument("view", type=VIEW)
@click.option("--build", "rows", type=DATA, help="The rows to take; else those of the latest build.")
@click.option("--prune", is_flag=True, help="Take out entities that the build does not hold.")
@with_face
def publish(face: Face, view: str, rows: str | None, prune: bool) -> None:
    """Fill the online table of VIEW with what is known of each entity now.

    A row that would go back in event time, or at equal event time in knowledge time, is left out.
    """
    features = face.client.features
    run = face.wait(_run(features.start_pick(view, build=rows)))
    done = features.published(view, run, prune=prune)

    def draw(screen: Screen) -> None:
        screen.done(f"{done.view} published as of {done.as_of[:19]}")
        known = {
            "from": done.build,
            "entities": count(done.offered),
            "accepted": count(done.accepted),
            "kept back, they would go back in time": count(done.kept_back) if done.kept_back else None,
            "removed": count(done.removed) if done.removed else None,
            "online now": count(done.online),
        }
        screen.facts("", known)

    face.answer({**msgspec.to_builtins(done), "run": run.reference}, draw)


@feature.command(epilog="Example: muni feature get behaviour --key customer=42 --features late_payments,balance")
@click.argument("view", type=VIEW)
@click.option(
    "--key", "key", multiple=True, metavar="COLUMN=VALUE", callback=pairs, help="The entity, by all its keys."
)
@click.option("--keys", "file", type=click.File(encoding="utf-8"), help="Many entities: one JSON object per line.")
@click.option("--features", "chosen", metavar="F1,F2", help="Which features; else all.")
@click.option("--purpose", default="", metavar="TEXT", help="What the values are used for, where the data ask for it.")
@click.option("--use-case", default="", metavar="NAME", help="The use case they are read for; its purpose counts.")
@with_face
def get(face: Face, view: str, key: dict[str, str], file: Any, chosen: str | None, purpose: str, use_case: str) -> None:
    """Read features of entities online; one request, and one entry in the ledger, takes up to 1,000."""
    if bool(key) == (file is not None):
        raise click.UsageError("name one entity with --key, or many with --keys FILE")
    keys = [dict(key)] if key else [_object(line) for line in file if line.strip()]
    found = face.client.features.get(
        view,
        *keys,
        features=chosen.split(",") if chosen else None,
        for_purpose=purpose,
        for_use_case=use_case,
    )

    def draw(screen: Screen) -> None:
        if len(found) == 1:
            one = found.reply.entities[0]
            title = " ".join(f"{name}={value}" for name, value in one.key.items())
            state = "expired" if one.expired else (f"event {one.event_time}" if one.found else "unknown")
            screen.table([title, state], [[n, json.dumps(v)] for n, v in found[0].items()])
            return
        screen.table(found.columns, found.rows())

    face.answer(found.reply, draw)


@feature.command(epilog="Example: muni feature skew behaviour --sample 1000")
@click.argument("view", type=VIEW)
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="About so many entities; else all.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which entities the sample holds.")
@DETACH
@with_face
def skew(face: Face, view: str, sample: int | None, seed: int, detach: bool) -> None:
    """Compare what online reads give with what the point-in-time join gives."""
    features = face.client.features
    run = _run(features.start_skew(view, sample=sample, seed=seed))
    if detach:
        face.started(run)
        return
    face.wait(run)
    found = features.skew_of(view, run)
    face.answer(
        {**found.report, "run": run.reference, "clean": found.clean}, lambda screen: skew_picture(screen, found)
    )


@feature.command(epilog="Example: muni feature drift behaviour")
@click.argument("view", type=VIEW)
@click.option("--reference", type=DATA, help="The rows to compare with; else those of the build before.")
@DETACH
@with_face
def drift(face: Face, view: str, reference: str | None, detach: bool) -> None:
    """Measure how far the latest build of VIEW lies from the one before: PSI by feature."""
    run = _run(face.client.features.start_drift(view, reference=reference))
    if detach:
        face.started(run)
        return
    face.wait(run)
    report = run.detail.report or {}

    def draw(screen: Screen) -> None:
        rows = [
            [one["name"], one.get("reason", ""), "" if one["psi"] is None else measure(one["psi"])]
            for one in report.get("features", [])
        ]
        screen.table(["feature", "", "psi"], rows, right=1)

    face.answer({**report, "run": run.reference}, draw)


def view_picture(screen: Screen, found: FeatureView) -> None:
    """A view for people."""
    d = found.detail
    fresh, online = d.freshness or {}, d.online or {}
    state = {True: "fresh", False: "stale", None: ""}[fresh.get("fresh")]
    screen.facts(
        d.view,
        {
            "": d.description,
            "entity": ", ".join(d.entity),
            "event time": d.event_time,
            "knowledge": d.knowledge,
            "ttl": None if d.ttl_s is None else duration(d.ttl_s),
            "owner": d.owner,
            "sources": tuple(f"{name}: {reference}" for name, reference in d.sources.items()),
            "transform": f"{d.transform['entry']} {d.transform['function']}".strip(),
            "defined": f"{d.defined_at[:19]} by {d.author}",
            "digest": d.digest,
            "newest event": f"{fresh['newest_event']}, {duration(fresh['age_s'])} old, {state}".removesuffix(", ")
            if fresh
            else None,
            "online": f"{count(online['entities'])} entities as of {online['as_of'][:19]}" if online else None,
            "grade": d.grade,
        },
    )
    screen.line()
    columns = ["feature", "type", "rests on", "grade", "nulls", "psi"]
    rows = [
        [
            one.name,
            one.type,
            "" if one.columns is None else resting(one.columns),
            one.grade or "",
            "" if one.nulls is None else count(one.nulls),
            "" if one.psi is None else measure(one.psi),
        ]
        for one in d.features
    ]
    screen.table(columns, rows, right=2, wrap=["rests on"])
    if d.column_lineage and d.column_lineage.get("reason"):
        screen.line(f"  {d.column_lineage['reason']}", style="yellow")
    if d.builds:
        screen.line()
        screen.table(
            ["build", "run", "made", "rows"],
            [[b.data, b.run, b.at[:19], count(b.rows)] for b in d.builds[:10]],
            right=1,
        )
    if d.findings:
        screen.line()
        findings_picture(screen, d.findings)
    if d.skew:
        screen.line()
        skew_picture(screen, Skew(d.skew, str(d.skew.get("run"))))


def skew_picture(screen: Screen, found: Skew) -> None:
    """A comparison of offline and online values for people."""
    r = found.report
    word = "no skew" if found.clean else "SKEW"
    known = {
        name.replace("_", " "): count(r[name])
        for name in ("compared", "equal", "different", "different_times", "missing_online", "missing_offline")
    }
    screen.facts(f"{r['view']}: {word}, as of {r['as_of'][:19]}", known)
    apart = [[one["name"], count(one["different"])] for one in r["features"] if one["different"]]
    if apart:
        screen.table(["feature", "different"], apart, right=1)


def _run(job: Job) -> Run:
    """The client starts runs; the rooms of the SDK know them as jobs."""
    return cast("Run", job)


def _object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise click.BadParameter(f"{line.strip()[:60]!r} is no JSON object", param_hint="--keys")
    return found


__all__ = ["feature", "skew_picture", "view_picture"]
