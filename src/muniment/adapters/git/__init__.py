"""Reads commit, author and cleanliness of a source tree."""
