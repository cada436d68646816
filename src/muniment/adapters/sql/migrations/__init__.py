"""Alembic's environment and the migrations, in order; a change of a table adds one."""
