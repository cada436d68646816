"""What a stranger can verify: exports and the stand-alone verifier."""
