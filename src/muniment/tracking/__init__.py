"""Runs that happen elsewhere and tell about themselves; experiments, trials, series and files of all runs."""
