"""The door: authenticate, authorise, act, record, commit."""
