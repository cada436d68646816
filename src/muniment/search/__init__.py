"""One query language over everything that a project knows."""
