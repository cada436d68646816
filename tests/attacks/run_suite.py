"""Run one test file with pytest, for ``test_sandbox_ordinary``: as a script, under another user."""

from __future__ import annotations

import sys

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main(["-o", "addopts=", "-p", "no:cacheprovider", "-rs", "-m", "", *sys.argv[1:]]))
