"""Run a program as an ordinary user, from tests that run as root.

The interpreter may lie where an ordinary user cannot go (a home folder of root). The program then sees it through a
mount namespace of its own in which that folder is replaced by one that holds the interpreter alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

UID = 60_599
"""Unassigned, and not one of those that jobs run under."""

_DROP = """
import ctypes, json, os, sys
paths, uid, argv = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
def closed(path):
    parts = path.split("/")
    for depth in range(2, len(parts) + 1):
        folder = "/".join(parts[:depth])
        if not os.path.exists(folder) or not os.stat(folder).st_mode & 1:
            return folder
if any(closed(path) for path in paths):
    check(libc.unshare(0x20000))
    check(libc.mount(b"none", b"/", None, 0x44000, None))
    held = [(path, os.open(path, os.O_PATH)) for path in paths if closed(path)]
    for path, fd in held:
        cover = closed(path)
        if cover and os.path.exists(cover):
            check(libc.mount(b"tmpfs", cover.encode(), b"tmpfs", 0, b"mode=755"))
        os.makedirs(path, 0o755, exist_ok=True)
        check(libc.mount(f"/proc/self/fd/{fd}".encode(), path.encode(), None, 0x1000, None))
os.setgroups([])
os.setresgid(uid, uid, uid)
os.setresuid(uid, uid, uid)
libc.prctl(4, 1, 0, 0, 0)
os.execve(argv[0], argv, {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"})
"""


def as_ordinary_user(script: Path, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a Python script with this interpreter and its packages, but without any right of root."""
    argv = [sys.executable, str(script), *arguments]
    paths = [os.path.realpath(sys.base_prefix), os.path.realpath(sys.prefix), str(Path(__file__).resolve().parents[1])]
    order = json.dumps([paths, UID, argv])
    return subprocess.run(
        [sys.executable, "-I", "-c", _DROP, order], capture_output=True, text=True, timeout=timeout, check=False
    )
