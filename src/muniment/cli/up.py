"""``muni up``: the server."""

from __future__ import annotations

import json
from pathlib import Path

import click

from muniment.bootstrap import open_platform
from muniment.cli.face import Command, Face, with_face
from muniment.connecting import home_folder
from muniment.gateways.mlflow import gateway as mlflow
from muniment.http.server import Listen, serve


@click.command(
    cls=Command, epilog="Example: muni up --port 8600, then elsewhere: MUNI_URL=http://127.0.0.1:8600 muni whoami"
)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8600, show_default=True, help="Port; 0 takes a free one."
)
@click.option("--certificate", type=click.Path(path_type=Path), metavar="FILE", help="TLS certificate, PEM.")
@click.option("--private-key", type=click.Path(path_type=Path), metavar="FILE", help="Its private key, PEM.")
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Jobs that run at once.")
@click.option(
    "--witness-every",
    type=click.FloatRange(1, 3600),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How often witnesses are sent the newest checkpoint.",
)
@with_face
def up(
    face: Face,
    host: str,
    port: int,
    certificate: Path | None,
    private_key: Path | None,
    workers: int,
    witness_every: float,
) -> None:
    """Serve the HTTP API and work the queue of jobs, until Ctrl-C.

    Beyond loopback TLS is required. Clients show a token: that of their profile.
    """
    platform = open_platform(home_folder(face.home))
    listen = Listen(
        host=host,
        port=port,
        certificate=certificate,
        private_key=private_key,
        workers=workers,
        witness_s=witness_every,
    )

    def ready(url: str) -> None:
        if face.json:
            click.echo(json.dumps({"url": url, "home": str(platform.home)}))
            return
        face.screen.done(f"muniment listens on {url}")
        face.screen.line(f"  use it   export MUNI_URL={url}")
        face.screen.line(f"  API      {url}/openapi.json")
        face.screen.line(f"  MLflow   export MLFLOW_TRACKING_URI={url}/mlflow/PROJECT MLFLOW_TRACKING_TOKEN=…")
        face.screen.line("  stop it  Ctrl-C", style="dim")

    try:
        limit = platform.settings.upload_limit_gib << 30
        serve(platform, listen, ready, {"/mlflow": mlflow(platform.gate, limit_bytes=limit)})
    finally:
        platform.close()
