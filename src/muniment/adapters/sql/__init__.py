"""State and ledger entries on SQLite or PostgreSQL, through SQLAlchemy Core."""
