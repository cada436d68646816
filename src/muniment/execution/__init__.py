"""Jobs: names become digests, run hermetically, and what happened is recorded."""
