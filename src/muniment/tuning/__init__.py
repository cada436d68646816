"""Searches over hyper-parameters, as many hermetic jobs."""
