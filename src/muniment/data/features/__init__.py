"""The feature store: views over pinned snapshots, joined as they were known, and read online from what the same
transform gave.
"""
