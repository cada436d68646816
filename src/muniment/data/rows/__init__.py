"""Rows of snapshots: their fingerprints, what they share, how they differ, and proofs that none was used."""
