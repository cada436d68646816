"""The bundle installs and works where there is no network at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
CUT = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]


def test_the_bundle_installs_and_tells_the_story_with_the_network_cut(tmp_path: Path) -> None:
    """Built with a network, installed and used without one: init, jobs, proofs and the verifier all work."""
    if shutil.which("unshare") is None or subprocess.run([*CUT, "true"], check=False).returncode != 0:
        _without("this machine cannot cut the network of a process")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MUNI")}
    built = subprocess.run(["scripts/bundle", tmp_path], cwd=ROOT, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        _without(f"the bundle cannot be built here, perhaps without a package index: {built.stderr[-500:]}")
    (bundle,) = tmp_path.glob("muniment-*.tar")
    subprocess.run(["tar", "-xf", bundle, "-C", tmp_path], check=True)
    home = tmp_path / "user"
    home.mkdir()
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "XDG_CONFIG_HOME": str(home / "config")}
    environment["PYTHON"] = sys.executable

    def cut_off(*command: str | Path) -> str:
        done = subprocess.run([*CUT, *command], env=environment, cwd=home, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    no_network = "import socket; print(socket.socket().connect_ex(('127.0.0.1', 9)) != 0)"
    assert cut_off(sys.executable, "-c", no_network).strip() == "True"
    cut_off(tmp_path / bundle.stem / "install", tmp_path / "installed")
    told = json.loads(cut_off(tmp_path / "installed" / "bin" / "muni", "--home", home / "home", "demo", "--json"))
    assert (told["verdict"], told["unused"], told["grade"]) == ("identical-bytes", True, "proven")


def _without(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
