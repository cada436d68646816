"""The HTTP API, generated from the verb table."""
