"""The client for programs and notebooks, over HTTP or in process."""
