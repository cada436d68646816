"""R as wheels: the same R gives the same bytes, each package is named with its licence, and what is missing is told."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Mapping
from email import message_from_string
from pathlib import Path

import pytest

from muniment.adapters.sandbox.describing import described
from muniment.adapters.sandbox.r_wheels import InstalledR, pack_r, readers_of_parquet
from muniment.errors import NotFound
from muniment.evidence.formats.cyclonedx import environment_bom


def installed(folder: Path, packages: Mapping[str, str]) -> InstalledR:
    """An installation of R with these packages besides base, each by what else its DESCRIPTION says."""
    home, site, share = folder / "R", folder / "site", folder / "share"
    said = {"base": "Version: 4.2.2\nPriority: base", "tcltk": "Version: 4.2.2\nPriority: base", **packages}
    for name, text in said.items():
        place = (home / "library" if "Priority" in text else site) / name
        (place / "html").mkdir(parents=True)
        (place / "html/index.html").write_text("for people")
        (place / "DESCRIPTION").write_text(f"Package: {name}\n{text}\n")
    for part in ("bin/exec", "lib", "etc", "modules"):
        (home / part).mkdir(parents=True)
    shutil.copyfile("/bin/true", home / "bin/exec/R")
    (home / "bin/exec/R").chmod(0o755)
    (folder / "Renviron").write_text("R_PLATFORM=any\n")
    (home / "etc/Renviron").symlink_to(folder / "Renviron")
    (home / "modules/internet.so").touch()
    (home / "COPYING").write_text("GPL\n")
    (share / "licenses").mkdir(parents=True)
    return InstalledR(home, share, "4.2.2", "R version 4.2.2", (site, home / "library"))


def metadata(wheel: Path) -> Mapping[str, str]:
    """What a wheel says of itself."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith("/METADATA"))
        return {key: str(value) for key, value in message_from_string(archive.read(name).decode()).items()}


JSON = "Version: 1.8.4\nLicense: MIT + file LICENSE\nRepository: CRAN\nDepends: methods.x (>= 1.0),\n  R (>= 3.0)"
METHODS = "Version: 2.0-1.09\nLicense: GPL (>= 2) | BSD_3_clause + file LICENSE"


def test_the_same_r_gives_the_same_bytes(tmp_path: Path) -> None:
    """Neither moments nor modes but the executable bit enter; links are followed; what jobs do not need is left."""
    found = installed(tmp_path, {})
    first = pack_r(found, [], tmp_path / "one")
    for path in (tmp_path / "R").rglob("*"):
        os.utime(path, (1e9, 1e9))
    (tmp_path / "Renviron").chmod(0o600)
    second = pack_r(found, [], tmp_path / "two")
    assert [one.name for one in first] == [one.name for one in second]
    assert [one.read_bytes() for one in first] == [one.read_bytes() for one in second]
    with zipfile.ZipFile(first[0]) as archive:
        held = {one.filename: one.external_attr >> 16 & 0o777 for one in archive.infolist()}
        assert archive.read("muniment_r/R/etc/Renviron") == b"R_PLATFORM=any\n"
    assert held["muniment_r/R/bin/exec/R"] == 0o755
    assert not [one for one in held if "html" in one or "tcltk" in one or "internet" in one]


def test_each_package_is_a_wheel_with_its_licence(tmp_path: Path) -> None:
    """What a package needs comes along; versions and licences are written as wheels and SPDX have them."""
    found = installed(tmp_path, {"jsonlite": JSON, "methods.x": METHODS, "unasked": "Version: 1.0"})
    wheels = {metadata(one)["Name"]: one for one in pack_r(found, ["jsonlite"], tmp_path / "wheels")}
    assert sorted(wheels) == ["r-base", "r-cran-jsonlite", "r-package-methods.x", "r-system-libraries"]
    assert metadata(wheels["r-base"])["License-Expression"] == "GPL-2.0-only OR GPL-3.0-only"
    assert metadata(wheels["r-cran-jsonlite"])["License-Expression"] == "MIT"
    said = metadata(wheels["r-package-methods.x"])
    assert (said["Version"], said["License-Expression"]) == ("2.0.1.9", "GPL-2.0-or-later OR BSD-3-Clause")
    with zipfile.ZipFile(wheels["r-package-methods.x"]) as archive:
        archive.extractall(tmp_path / "installed")
    shown = described(next((tmp_path / "installed").glob("*.dist-info")))
    assert (shown.name, shown.version, shown.licence) == (said["Name"], said["Version"], said["License-Expression"])


def test_a_licence_that_is_not_known_is_kept_as_it_is_stated(tmp_path: Path) -> None:
    """Nothing is guessed: half an expression would say less than the package does."""
    found = installed(tmp_path, {"odd": "Version: 1.0\nLicense: MIT + file LICENSE | Unlimited"})
    (wheel,) = (one for one in pack_r(found, ["odd"], tmp_path / "wheels") if "odd" in one.name)
    assert metadata(wheel)["License"] == "MIT + file LICENSE | Unlimited"


@pytest.mark.parametrize(("asked", "by"), [("nosuch", "nosuch"), ("jsonlite", "jsonlite")])
def test_what_is_not_installed_is_named(tmp_path: Path, asked: str, by: str) -> None:
    """A package that is missing, or that one needs, is named with who asked for it and how it comes."""
    with pytest.raises(NotFound) as refused:
        pack_r(installed(tmp_path, {"jsonlite": JSON}), [asked], tmp_path / "wheels")
    assert (refused.value.code, refused.value.facts["asked_by"]) == ("MUNI-B202", [by])
    assert "install.packages" in str(refused.value.facts["do"])


def test_readers_of_parquet_are_known() -> None:
    """Where one is asked for, nothing else has to read inputs for R."""
    assert readers_of_parquet(["MASS", "nanoparquet", "arrow"]) == ["arrow", "nanoparquet"]
    assert readers_of_parquet(["MASS"]) == []


def test_r_is_no_package_of_python(tmp_path: Path) -> None:
    """A bill of materials names R and its packages by where they are from."""
    names = ["r-base", "r_cran_data.table", "r-package-mine", "polars", "r_system_libraries"]
    packages = [{"name": name, "version": "1", "sha256": "sha256:" + "0" * 64} for name in names]
    environment = {"name": "r", "digest": "sha256:" + "1" * 64, "python": "3.11", "created_at": "2026-01-01T00:00:00Z"}
    found = environment_bom({**environment, "packages": packages}, "1")
    assert sorted(one["purl"] for one in found["components"]) == [
        "pkg:cran/data.table@1",
        "pkg:generic/r-base@1",
        "pkg:generic/r-package-mine@1",
        "pkg:generic/r-system-libraries@1",
        "pkg:pypi/polars@1",
    ]
