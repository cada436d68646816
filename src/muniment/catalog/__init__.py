"""Entities, activities and their lineage after W3C PROV; experiments and metrics; proof of absence.

* ``recording.Recorder`` writes what the platform saw (PROVEN); only ``execution`` may import it.
* ``declaring.Declarer`` writes what others claim (DECLARED).
* ``naming.resolve`` turns what a person writes into the entity it means.
* ``tracing.trace`` and ``absence.prove_unused`` answer questions; ``service`` makes verbs of them.
"""
