"""The door: ``Gate.invoke`` authenticates, authorises, acts, records and commits; nothing reaches state without it."""
