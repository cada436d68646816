"""Use cases, model versions, and what records about them come to; facts, oversight and approval stand on that."""
