"""What runs inside the sandbox: ingest, profile, split, train, evaluate. Holds no platform code."""
