"""Muniment: train, validate, approve, serve and monitor models, and prove afterwards what happened."""

from __future__ import annotations

__version__ = "0.1.0"
