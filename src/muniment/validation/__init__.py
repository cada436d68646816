"""Validation: what somebody other than its developer asks of a model, and what comes out."""
