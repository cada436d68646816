"""Entities, activities and their lineage after W3C PROV; proof of absence."""
