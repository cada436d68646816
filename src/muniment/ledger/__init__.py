"""The append-only Merkle log: entries, checkpoints, proofs, export."""
