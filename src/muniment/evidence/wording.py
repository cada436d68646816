"""The report's fixed words: names of measures and what they mean, in plain English and without a number."""

from __future__ import annotations

from typing import Final

__all__ = ["ALGORITHMS", "DOUBTS", "GRADES", "MEASURES", "WALLS", "name_of"]

MEASURES: Final = {
    "auc": ("AUC", "how often a positive scores above a negative; a half is chance"),
    "gini": ("Gini", "twice the AUC less one"),
    "ks": ("KS", "largest distance between the score distributions of the two classes"),
    "brier": ("Brier score", "mean squared error of the scores as probabilities; lower is better"),
    "ece": ("Calibration error", "mean distance of predicted and observed rates over bands of score"),
    "log_loss": ("Log loss", "mean negative log-likelihood; lower is better"),
    "accuracy": ("Accuracy", "share of rows predicted rightly at the threshold"),
    "balanced_accuracy": ("Balanced accuracy", "mean of recall and specificity"),
    "precision": ("Precision", "share of flagged rows that are positive"),
    "recall": ("Recall", "share of positives that are flagged"),
    "specificity": ("Specificity", "share of negatives that are not flagged"),
    "f1": ("F-measure", "harmonic mean of precision and recall"),
    "air": ("Lowest impact ratio", "a group's rate of favourable predictions over the highest; see Fairness"),
    "spd": ("Largest rate difference", "of a group's rate of favourable predictions; see Fairness"),
    "psi": ("Stability of scores (PSI)", "distance of the scores from those in training; see Stability"),
    "csi": ("Stability of features", "the largest distance of a feature from what it was in training"),
    "base_rate": ("Base rate", "share of positives in the data"),
    "mean_score": ("Mean score", "mean of all scores; close to the base rate when well calibrated"),
}
"""Name and meaning of each measure, most telling first."""

ALGORITHMS: Final = {
    "logistic_regression": "logistic regression",
    "xgboost": "gradient-boosted trees (XGBoost)",
    "lightgbm": "gradient-boosted trees (LightGBM)",
}

GRADES: Final = {
    "proven": "written by the platform from what really happened",
    "attested": "signed by a person, who answers for it",
    "declared": "stated or imported; nobody checked it",
}

WALLS: Final = {
    "network": "no network",
    "files_read": "nothing readable that was not declared",
    "files_write": "nothing writable but the results",
    "processes": "own process space",
    "ipc": "no shared memory with others",
    "memory": "bounded memory",
    "disk": "bounded disk",
    "metadata": "no host names or mounts seen",
}

DOUBTS: Final = {
    "evaluation.independent": "Who measured the model had a part in making it",
    "validation.independent": "The validator had a part in making the model",
    "approval.independent": "An approver had a part in making the model, or submitted it",
    "approval.signed": "An approval bears no signature",
    "holdout.unused": "Not every other part of the split is proven unused in training",
    "job.enforced": "Not every job that led to the model ran behind complete walls",
    "gate.preregistered": "Something that a gate judges was measured before the gate was fixed",
    "lineage.complete": "Not everything that led to the model has a recorded origin",
    "code.clean": "The code differs from its commit",
    "reproduction.identical": "The newest reproduction did not come out bit for bit",
    "data.split_disjoint": "The parts of the split are not proven disjoint",
    "usecase.kpis_met": "A measure of success of the use case is not reached",
}
"""What it means when a fact is no that a reader counts on."""

STATES: Final = {
    "draft": "neutral",
    "submitted": "neutral",
    "in_validation": "neutral",
    "approved": "good",
    "expired": "bad",
    "rejected": "bad",
    "retired": "careful",
}


def name_of(measure: str) -> str:
    """A measure's name as people know it."""
    return MEASURES[measure][0] if measure in MEASURES else measure.replace("_", " ")
