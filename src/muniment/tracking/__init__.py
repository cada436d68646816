"""Runs that happen elsewhere and tell about themselves while they run; experiments and trials."""
