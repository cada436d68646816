"""Starts an R script by the R that the environment holds, as ``Rscript script.R ARGUMENTS`` would start it.

R stands below ``muniment_r`` among the packages of the environment, where ``muni env build-r`` puts it, and runs
without a shell, by the dynamic linker of the base root. A profile, read before the script, draws R's chance from the
seed of the run and notes where an error came from, because R names no line. The script is read by R itself, so that
it prints, warns and ends as it would anywhere.

R without packages reads no Parquet: where the environment holds polars, each channel is also there as one CSV file, in
the folder that ``SM_CHANNEL_<NAME>`` then names. Standard library only.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from muniment.errors import Invalid

__all__ = ["RFailed", "play_r"]

_HOME: Final = "muniment_r/R"
_TOLD_BYTES: Final = 4096
_SEEDS: Final = 2**31 - 1
_CONDITION: Final = re.compile(r"[A-Za-z.][A-Za-z0-9._]{0,79}")
_PROFILE: Final = r"""
local({
    site <- file.path(R.home("etc"), "Rprofile.site")
    if (file.exists(site)) sys.source(site, baseenv())
    told <- @told
    set.seed(@seed)
    Sys.unsetenv("R_PROFILE")
    script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
    # R asks a shell where a program is, and asks when it loads its own packages; jobs have no shell.
    unlockBinding("Sys.which", baseenv())
    assign("Sys.which", envir = baseenv(), function(names) {
        folders <- strsplit(Sys.getenv("PATH"), ":", fixed = TRUE)[[1]]
        vapply(names, FUN.VALUE = "", function(name) {
            places <- if (grepl("/", name, fixed = TRUE)) name else file.path(folders, name)
            c(places[nzchar(name) & file.access(places, 1L) == 0L & !dir.exists(places)], "")[1]
        })
    })
    lockBinding("Sys.which", baseenv())
    done <- 0L
    addTaskCallback(function(...) {
        done <<- done + 1L
        if (file.exists(told)) unlink(told)
        TRUE
    })
    # The lines of the smallest statements that hold exactly this call.
    lines_of <- function(node, call, line) {
        if (identical(node, call, ignore.srcref = TRUE)) return(line)
        found <- integer()
        refs <- attr(node, "srcref")
        for (i in seq_along(node)) {
            part <- node[[i]]
            if (!missing(part) && (is.call(part) || is.pairlist(part))) {
                at <- if (is.list(refs) && i <= length(refs)) refs[[i]][1] else line
                found <- c(found, lines_of(part, call, at))
            }
        }
        unique(found)
    }
    place <- function(calls) {
        parsed <- parse(script, keep.source = TRUE, encoding = "UTF-8")
        refs <- attr(parsed, "srcref")
        for (call in rev(calls)) {
            found <- unique(unlist(lapply(seq_along(parsed), function(i)
                if (is.call(parsed[[i]])) lines_of(parsed[[i]], call, refs[[i]][1]))))
            if (length(found) == 1) return(found)
        }
        if (done < length(refs)) refs[[done + 1L]][1] else NA
    }
    note <- function(kind, line) {
        writeLines(c(kind, line), told)
        if (!is.na(line)) cat(sprintf("%s:%s:\n", basename(script), line), file = stderr())
    }
    wrong <- tryCatch({ parse(script, encoding = "UTF-8"); NULL }, error = conditionMessage)
    if (!is.null(wrong)) {
        at <- regmatches(wrong, regexec("(:| at line )([0-9]+)(:[0-9]+:|$)", wrong))[[1]][3]
        note("syntaxError", at)
        cat("Error: ", wrong, "\n", sep = "", file = stderr())
        quit("no", 1)
    }
    if (exists("globalCallingHandlers", baseenv())) globalCallingHandlers(error = function(e) {
        kind <- if (startsWith(conditionMessage(e), "cannot allocate")) "outOfMemoryError" else class(e)[1]
        calls <- sys.calls()
        within <- conditionCall(e)
        # Of what R has built in there is no frame.
        if (!any(vapply(calls, identical, NA, within))) calls <- c(calls, list(within))
        note(kind, tryCatch(place(Filter(is.call, calls)), error = function(e) NA))
    })
})
"""
"""Read by R before the script; ``@told`` is where it notes an error, ``@seed`` the seed."""


@dataclass
class RFailed(Exception):
    """The script ended by an error of R; type and line are all that is told outside of the sealed log."""

    kind: str
    """Class of the condition."""
    line: int | None

    @property
    def advice(self) -> str:
        """What to do about it."""
        if self.kind == "packageNotFoundError":
            return "name the package when the environment is made: muni env build-r NAME PACKAGE"
        return "the log holds what R said: muni runs logs RUN"


def play_r(script: Path, arguments: Sequence[str]) -> None:
    """Run an R script; an exit or a signal of R's is one of this process.

    Raises:
        Invalid: the environment holds no R, or an input does not fit as CSV.
        RFailed: the script ended by an error.
        SystemExit: the script ended by ``quit`` with another status than 0.
    """
    home = next((one for path in sys.path if (one := Path(path, _HOME)).joinpath("bin/exec/R").is_file()), None)
    if home is None:
        raise Invalid(
            "MUNI-N131",
            "this job environment holds no R",
            script=script.name[:200],
            do="muni env build-r r (once, on a machine with R), then run it with --env r",
        )
    descriptor = os.environ.get("MUNIMENT_METRICS_FD", "")
    with tempfile.TemporaryDirectory(prefix="r-") as scratch:
        told, profile = Path(scratch, "told"), Path(scratch, "Rprofile")
        seed = int(os.environ.get("MUNIMENT_SEED", "0")) % _SEEDS
        text = _PROFILE.replace("@told", json.dumps(str(told))).replace("@seed", f"{seed}L")
        profile.write_text(text, encoding="utf-8")
        environment = _variables(home) | _tables(os.environ, Path(scratch)) | {"R_PROFILE": str(profile)}
        given = ["--args", *arguments] if arguments else []
        done = subprocess.run(
            [*_program(home), "--no-echo", "--no-restore", f"--file={script}", *given],
            env={**os.environ, **environment},
            pass_fds=(int(descriptor),) if descriptor.isdigit() else (),
            check=False,
        )
        said = told.read_bytes()[:_TOLD_BYTES].decode(errors="replace").split("\n") if told.is_file() else []
    if done.returncode < 0:
        # As if the script were this process: how a job ended is judged by its signal.
        if -done.returncode not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-done.returncode, signal.SIG_DFL)
        os.kill(os.getpid(), -done.returncode)
    if done.returncode == 1 and said:
        line = said[1] if len(said) > 1 else ""
        kind = said[0] if _CONDITION.fullmatch(said[0]) else "error"
        raise RFailed(kind, int(line) if line.isascii() and line.isdigit() else None)
    if done.returncode != 0:
        sys.exit(done.returncode)


def _program(home: Path) -> list[str]:
    """R by the dynamic linker of the base root, which may be another one than the machine's."""
    program, base = str(home / "bin/exec/R"), Path(sys.base_prefix)
    loader = next(iter(sorted(base.glob("lib64/ld-linux*"))), None)
    library = next(iter(sorted(base.glob("lib*/**/libc.so.6"))), None)
    if loader is None or library is None:
        return [program]
    return [str(loader), "--library-path", f"{_libraries(home)}:{library.parent}", program]


def _libraries(home: Path) -> str:
    return f"{home / 'lib'}:{home.parent / 'lib'}"


def _variables(home: Path) -> dict[str, str]:
    """What R's own shell script would set, relative to where R stands."""
    return {
        "R_HOME": str(home),
        "R_SHARE_DIR": str(home / "share"),
        "R_INCLUDE_DIR": str(home / "include"),
        "R_DOC_DIR": str(home / "doc"),
        "R_LIBS": "",
        "R_LIBS_SITE": str(home.parent / "library"),
        "R_LIBS_USER": "NULL",
        "LD_LIBRARY_PATH": _libraries(home),
        "LOCPATH": str(home.parent / "locale"),
        "FONTCONFIG_FILE": str(home.parent / "fonts/fonts.conf"),
    }


def _tables(environment: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """The variables of channels that are also there as CSV."""
    root = Path(environment.get("MUNIMENT_ML_ROOT", "/opt/ml"), "input/data")
    channels = sorted(one for one in root.iterdir() if any(one.rglob("*.parquet"))) if root.is_dir() else []
    if not channels or find_spec("polars") is None:
        return {}
    write = import_module("muniment.programs.csv_tables").write_csv
    places = {}
    for channel in channels:
        folder = scratch / "channels" / channel.name
        folder.mkdir(parents=True)
        try:
            write(channel, folder / f"{channel.name}.csv")
        except OSError as full:
            raise Invalid(
                "MUNI-N132",
                "an input does not fit as CSV beside the job",
                channel=channel.name[:80],
                reason=str(full)[:120],
                do="have R read Parquet: muni env build-r NAME nanoparquet",
            ) from full
        name = "".join(letter if letter.isalnum() else "_" for letter in channel.name).upper()
        places[f"SM_CHANNEL_{name}"] = str(folder)
    return places
