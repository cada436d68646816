"""Snapshots of data: ingest, profile, split."""
