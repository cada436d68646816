"""R scripts for real in the sandbox: they find what scripts expect, repeat, and fail by type and line."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from muniment.adapters.sandbox import Landlock
from muniment.adapters.sandbox.workshop import cache_folder
from muniment.cli.env_r import gather
from muniment.errors import Unavailable
from muniment.sdk.client import Client
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire.execution import GetLog, JobLimits, ReproduceModel, RunDetail, RunScript, ShowRun
from working import World, working

pytestmark = pytest.mark.slow

ROWS = "".join(f"{20 + n % 50},{n % 7}.25,{'Süd' if n % 3 else 'Nord'},{int(n % 7 > 3)}\n" for n in range(200))
TRAIN = """
given <- commandArgs(trailingOnly = TRUE)
stopifnot(identical(given, c("--depth", "4", "--name", "x y")), Sys.getenv("SM_HP_DEPTH") == "4")
d <- read.csv(file.path(Sys.getenv("SM_CHANNEL_TRAIN"), "train.csv"))
cat(sprintf("rows=%d\\nsouth=%d\\n", nrow(d), sum(d$city == "Süd")))
cat(sprintf("seeded=%d\\n", { chance <- runif(1); set.seed(9); identical(chance, runif(1)) }))
m <- glm(y ~ age + income, binomial, d)
write.csv(coef(m), file.path(Sys.getenv("SM_MODEL_DIR"), "coefficients.csv"))
png(file.path(Sys.getenv("SM_OUTPUT_DATA_DIR"), "fit.png"))
plot(fitted(m))
invisible(dev.off())
warning("a word of warning")
"""
WALLED = """
status <- system("curl http://192.0.2.1")
net <- try(readLines(url("http://192.0.2.1/")), silent = TRUE)
cat(sprintf("shell=%d\\nnet=%d\\n", status == 0, !inherits(net, "try-error")))
cat(sprintf("others=%d\\n", length(list.files("/root")) + length(list.files("/home"))))
"""
NESTED = """f <- function(x) {
    y <- x + 1
    stop("tiger-4711 ", y)
}
main <- function() {
    f(2)
}
main()
"""


@pytest.fixture(scope="module")
def world(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A platform whose jobs run, with one data set and an environment of the R of this machine."""
    if shutil.which("Rscript") is None and os.environ.get("CI"):
        pytest.fail("CI must run R scripts: apt-get install --no-install-recommends r-base-core")
    if shutil.which("Rscript") is None:
        pytest.skip("R is not installed: apt-get install --no-install-recommends r-base-core")
    with working(site, tmp_path_factory.mktemp("r")) as opened:
        assert opened.add(f"age,income,city,y\n{ROWS}".encode(), name="credit", target="y").status == "ok"
        operator = Client(opened.platform.transport(opened.people.tokens["operator"]), project=PROJECT)
        lock, wheels = gather([], tmp_path_factory.mktemp("wheels"), lambda said: None)
        made = operator.environments.define("r", lock, wheels)
        licences = {one.name: one.licence for one in operator.environments.describe("r").packages}
        assert (made.version, licences["r-base"]) == (1, "GPL-2.0-only OR GPL-3.0-only")
        yield opened


def request_of(name: str, **given: Any) -> RunScript:
    """A request to run the script of this name with R."""
    return RunScript(project=PROJECT, entry=name, env="r", **{"limits": JobLimits(wall_s=60), **given})


def tree(name: str, script: str) -> bytes:
    """A source tree of one script."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        header = tarfile.TarInfo(name)
        header.size = len(script.encode())
        tar.addfile(header, io.BytesIO(script.encode()))
    return out.getvalue()


def run(world: World, script: str, name: str = "main.R", **given: Any) -> RunDetail:
    """Run a script of R."""
    return world.done(world.people.ask("scientist", request_of(name, **given), tree(name, script)).run)


def log(world: World, shown: RunDetail) -> str:
    """What it printed."""
    return str(world.people.ask("scientist", GetLog(project=PROJECT, run=shown.run)).text)


def test_a_script_finds_what_scripts_expect_and_comes_out_the_same_again(world: World) -> None:
    """Arguments, variables, inputs as CSV, chance from the seed, metrics, warnings, a model; again: identical bytes."""
    given = {"params": {"depth": 4}, "arguments": ["--name", "x y"], "inputs": {"train": "data:credit"}}
    shown = run(world, TRAIN, name="my model.R", seed=9, **given)
    assert shown.status == "ok", (shown.error, log(world, shown))
    assert (shown.grade, shown.metrics) == ("proven", {"rows": 200.0, "south": 133.0, "seeded": 1.0})
    assert "a word of warning" in log(world, shown)
    assert {one.kind for one in shown.products} == {"model", "artifact"}
    model = next(one for one in shown.products if one.kind == "model")
    again = world.done(world.people.ask("scientist", ReproduceModel(project=PROJECT, model=model.digest)).run)
    assert again.verdict is not None
    assert (again.status, again.verdict["verdict"]) == ("ok", "identical-bytes")


def test_there_is_no_network_no_shell_and_no_file_of_others(world: World) -> None:
    """What a script reaches for fails in R as on a machine where it does not exist; line ends of Windows are read."""
    shown = run(world, WALLED.replace("\n", "\r\n"))
    assert (shown.status, shown.metrics) == ("ok", {"shell": 0.0, "net": 0.0, "others": 0.0}), log(world, shown)


@pytest.mark.parametrize(
    ("script", "kind", "line", "said"),
    [
        ("print(1)\nx <- function( {\n", "syntaxError", 2, "unexpected '{'"),
        (NESTED, "simpleError", 3, "tiger-4711 3"),
        ("x <- 1; y <- 2\n\nz <- nosuch + x\n", "simpleError", 3, "object 'nosuch' not found"),
        ("g <- function(x) {\n  if (TRUE)\n    log(x)\n}\n\ng('a')\n", "simpleError", 2, "non-numeric argument"),
        ("\nlibrary(nosuch)\n", "packageNotFoundError", 2, "no package called"),
        ("f <- function(n) f(n + 1)\nx <- tryCatch(stop(1), error = \\(e) 2)\nstop(structure(class = "
         "c('mine', 'error', 'condition'), list(message = 'm', call = NULL)))\n", "mine", 3, "Error: m"),
    ],
    ids=["syntax", "in a function", "at the top", "built in", "a package", "a condition of its own"],
)  # fmt: skip
def test_an_error_is_told_by_its_type_and_line(world: World, script: str, kind: str, line: int, said: str) -> None:
    """What R said stands in the sealed log alone, beside the line; type and line are the error of the run."""
    shown = run(world, script)
    assert (shown.status, shown.error and shown.error["code"]) == ("failed", "MUNI-D166"), log(world, shown)
    assert shown.error is not None
    assert (shown.error["message"], shown.error["facts"]["where"]) == (f"the script failed: {kind}", f"main.R:{line}")
    assert said in log(world, shown)
    assert "tiger" not in str(shown.error)


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        ("quit(status = 3)", "failed", "MUNI-D165"),
        ("repeat {}", "timeout", "MUNI-X131"),
        ("tools::pskill(Sys.getpid(), 9); Sys.sleep(9)", "failed", "MUNI-X136"),
        ("saveRDS(lm(dist ~ speed, cars), file.path(Sys.getenv('SM_MODEL_DIR'), 'm.rds'))", "failed", "MUNI-D187"),
    ],
    ids=["quit", "for ever", "killed", "a model that is code"],
)
def test_how_a_script_ends_is_told(world: World, script: str, status: str, code: str) -> None:
    """An exit by number, a limit, a signal, a result that runs code when it is opened: nothing of it is registered."""
    shown = run(world, script, limits=JobLimits(wall_s=4))
    assert (shown.status, shown.error and shown.error["code"]) == (status, code), log(world, shown)
    assert shown.products == []


def test_r_runs_behind_landlock_too(world: World, tmp_path: Path) -> None:
    """Where namespaces are off, R starts by the linker of the base root and reads its inputs."""
    try:
        engine = Landlock(cache_folder())
    except Unavailable as reason:
        pytest.skip(reason.message)
    home = world.platform.home
    site = Site(home=home, key_file=home.parent / "keys" / "site.keys", tokens=world.people.tokens)
    platform = site.open(engine=engine)
    people = People(platform, site.tokens)
    script = (
        "d <- read.csv(file.path(Sys.getenv('SM_CHANNEL_TRAIN'), 'train.csv')); cat(sprintf('rows=%d\\n', nrow(d)))"
    )
    asked = request_of("main.R", inputs={"train": "data:credit"})
    started = people.ask("scientist", asked, tree("main.R", script)).run
    people.work()
    shown = people.ask("scientist", ShowRun(project=PROJECT, run=started))
    text = people.ask("scientist", GetLog(project=PROJECT, run=started)).text
    platform.close()
    assert (shown.status, shown.metrics) == ("ok", {"rows": 200.0}), (shown.error, text)
