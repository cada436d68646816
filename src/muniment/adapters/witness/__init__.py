"""Witnesses: reaching them over HTTP, and the folder in which one remembers."""
