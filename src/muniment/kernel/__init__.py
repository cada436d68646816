"""What every room may use: digests, ids, time, canonical JSON, grades, references, and how a verb is declared."""
