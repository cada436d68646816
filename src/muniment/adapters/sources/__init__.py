"""Sources that lie outside: databases, buckets and tables of many files, read on the asker's machine."""
