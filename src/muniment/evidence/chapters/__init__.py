"""The chapters of a model report: each a pure function from a dossier to a part of the document tree."""
