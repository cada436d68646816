"""A server that speaks MLflow's protocol, and MLflow's own client to talk to it."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from muniment.bootstrap import Platform
from muniment.gateways.mlflow import gateway
from muniment.http.server import Listen, configuration
from muniment.testing.platform import People, Site

_PREAMBLE = """
import json, os, sys, warnings, logging
warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
import mlflow
from mlflow import MlflowClient
client = MlflowClient()
told = {}

def refused(call):
    try:
        call()
    except Exception as error:
        return [type(error).__name__, getattr(error, "error_code", None), str(error)]
    return None

"""


@dataclass(frozen=True)
class Served:
    """A platform with its server."""

    platform: Platform
    people: People
    url: str

    def environment(self, person: str, project: str = "main") -> dict[str, str]:
        """What a client of this person needs in its environment."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | {
            "MLFLOW_TRACKING_URI": f"{self.url}/mlflow/{project}",
            "MLFLOW_TRACKING_TOKEN": self.people.tokens[person],
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_DO_NOT_TRACK": "true",
            "MPLBACKEND": "Agg",
            "GIT_PYTHON_REFRESH": "quiet",
        }


@contextmanager
def served(site: Site, **parts: Any) -> Iterator[Served]:
    """Serve an installation from a thread."""
    platform = site.open(**parts)
    config = configuration(platform, Listen(port=0), {"/mlflow": gateway(platform.gate, limit_bytes=1 << 20)})
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Served(platform, People(platform, site.tokens), f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        thread.join()
        platform.close()


def client(python: Path, script: str, environment: dict[str, str], folder: Path) -> dict[str, Any]:
    """Run a script with MLflow's client, in a folder of its own; what it put into ``told``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "script.py"
    path.write_text(f"{_PREAMBLE}{script}\nprint('TOLD ' + json.dumps(told, default=str))\n", encoding="utf-8")
    done = subprocess.run(
        [str(python), path.name], cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-6000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("TOLD "))
    found: dict[str, Any] = json.loads(line.removeprefix("TOLD "))
    return found
