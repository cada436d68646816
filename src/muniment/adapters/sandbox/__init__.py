"""Engines that run a job where nothing but its inputs exists."""
