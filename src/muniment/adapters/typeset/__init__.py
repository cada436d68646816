"""Pages: documents set as PDF."""
