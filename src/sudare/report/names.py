"""Human names of ids that other rooms write: findings, attacks, threat models."""

from __future__ import annotations

__all__ = ["ATTACKS", "CANARIES", "FINDINGS", "METRICS", "SEES"]

FINDINGS: dict[str, str] = {
    "utility.accuracy": "Accuracy",
    "utility.balanced_accuracy": "Balanced accuracy",
    "utility.ece": "Calibration error",
    "utility.recall": "Recall",
    "utility.heldout_accuracy": "Accuracy on each build's own held-out half",
    "utility.train_accuracy": "Accuracy on the images it was built from",
    "cost.build_cpu_s": "CPU time of one build",
    "cost.storage_mb": "Size of the release",
    "cost.recipient_train_s": "Time for the recipient to train",
    "cost.audit_cpu_s": "CPU time of the audit",
    "cost.transfer_mb": "Data transferred",
    "cost.train_speedup": "Training speed-up for the recipient",
    "membership.copies.tpr": "Members that are in the released set, to the pixel",
    "membership.copies.fpr": "Non-members that are in the released set, to the pixel",
    "cost.build_price": "Price of one build",
    "privacy.epsilon": "Epsilon of differential privacy (claimed)",
}

ATTACKS: dict[str, str] = {
    "membership.bavaria": "BaVarIA, online",
    "membership.bavaria_offline": "BaVarIA, offline",
    "membership.quantile": "Quantile regression",
    "membership.entropy": "Entropy threshold",
    "membership.modified_entropy": "Modified-entropy threshold",
    "membership.margin": "Margin threshold",
    "membership.gap": "Right or wrong answer (gap)",
    "membership.lira": "LiRA, online",
    "membership.lira_offline": "LiRA, offline",
    "membership.rmia": "RMIA, online",
    "membership.rmia_offline": "RMIA, offline",
    "membership.loss": "Loss threshold",
    "membership.given": "Given scores",
    "membership.shokri": "Shadow classifier (Shokri)",
}

CANARIES: dict[str, str] = {
    "mislabelled": "Mislabelled canaries",
    "duplicated": "Duplicated canaries",
    "ood": "Out-of-distribution canaries",
}

METRICS: dict[str, str] = {
    "auc": "{attack}: AUC",
    "tpr@0.1": "{attack}: members found at 10 % false alarms (TPR at 10 % FPR)",
    "tpr@0.01": "{attack}: members found at 1 % false alarms (TPR at 1 % FPR)",
    "tpr@0.001": "{attack}: members found at 0.1 % false alarms (TPR at 0.1 % FPR)",
    "tpr@0.0001": "{attack}: members found at 0.01 % false alarms (TPR at 0.01 % FPR)",
    "precision@0.1": "{attack}: accusations that are right, members rare, 10 % false alarms",
    "precision@0.01": "{attack}: accusations that are right, members rare, 1 % false alarms",
    "precision@0.001": "{attack}: accusations that are right, members rare, 0.1 % false alarms",
    "precision@0.0001": "{attack}: accusations that are right, members rare, 0.01 % false alarms",
    "exposed_10x": "{attack}: images found ten times as often as by chance (cross-fitted)",
    "exposure_stability": "{attack}: agreement of two halves of the builds on who is exposed",
    "trace_precision": "{attack}: exposed images that the loss trace alone points at",
    "balanced_accuracy": "{attack}: balanced accuracy",
    "null_auc": "{attack}: AUC on redrawn membership (null control)",
    "worst_case": "{attack}: AUC of the most exposed images (cross-fitted)",
}

SEES: dict[str, str] = {
    "none": "nothing",
    "classifier/labels": "only its answers",
    "classifier/logits": "its scores",
    "classifier/weights": "its weights",
    "samples/set": "the released images",
    "samples/recipient": "the scores of a model trained on it",
}
