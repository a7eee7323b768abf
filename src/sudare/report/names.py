"""Human names of ids that other rooms write: findings, attacks, threat models."""

from __future__ import annotations

__all__ = ["ATTACKS", "CANARIES", "EXPLAINED", "FINDINGS", "METRICS", "PLANTED", "SEES"]

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
    "copying.pixels.closer_to_members": "Released images nearer to a member than to any other "
    "image (pixels)",
    "copying.pixels.nearness_ratio": "Nearest against second nearest, among members against "
    "others (pixels)",
    "copying.pixels.authenticity": "Released images farther from members than members are from "
    "each other (pixels)",
    "copying.pixels.score": "Data-copying statistic (pixels)",
    "copying.features.closer_to_members": "Released images nearer to a member than to any other "
    "image (features)",
    "copying.features.nearness_ratio": "Nearest against second nearest, among members against "
    "others (features)",
    "copying.features.authenticity": "Released images farther from members than members are from "
    "each other (features)",
    "copying.features.score": "Data-copying statistic (features)",
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
    "membership.boundary": "Distance to the decision boundary",
    "membership.boundary_calibrated": "Distance to the decision boundary, calibrated",
    "membership.nearest": "Distance to the nearest released image",
    "membership.nearest_calibrated": "Distance to the nearest released image, calibrated",
}

CANARIES: dict[str, str] = {
    "mislabelled": "Mislabelled images",
    "duplicated": "Duplicated images",
    "ood": "Images unlike all others",
}

PLANTED: dict[str, str] = {
    "mislabelled": "images of the collection under a wrong label; a model must memorise them to "
    "get them right",
    "duplicated": "images that are in twice when they are in, as a patient with two near-equal "
    "images is",
    "ood": "random textures with random labels; nothing else in the collection looks like them",
}

# A figure's stem: what stands after the attack, before an @ and its rate.
METRICS: dict[str, str] = {
    "auc": "{attack}: AUC",
    "tpr": "{attack}: members found at {rate} false alarms (TPR at {rate} FPR)",
    "precision": "{attack}: accusations that are right where members are rare, at {rate} false "
    "alarms",
    "exposed_10x": "{attack}: images found ten times as often as by chance",
    "exposure_stability": "{attack}: agreement of two halves of the builds on who is exposed",
    "trace_precision": "{attack}: exposed images that the loss trace alone points at",
    "balanced_accuracy": "{attack}: balanced accuracy",
    "null_auc": "{attack}: AUC on redrawn membership (null control)",
    "worst_case": "{attack}: AUC of {part}",
}

EXPLAINED: dict[str, tuple[str, str]] = {
    "auc": (
        "AUC",
        "How often a member scores above a non-member. 0.5 is a coin flip, 1 tells all apart.",
    ),
    "tpr": (
        "Members found (TPR)",
        "The share of members found at a threshold that takes that share of non-members for "
        "members too (FPR). Guessing finds as many members as it raises false alarms.",
    ),
    "precision": (
        "Accusations that are right",
        "Of the images an attacker would call members, the share that are, if only few of those "
        "they try are members; how few is said under Method in the table of findings.",
    ),
    "balanced_accuracy": (
        "Balanced accuracy of an attack",
        "The share of right answers when the upper part of the scores, as large as the share of "
        "members, is called member. 0.5 is a coin flip.",
    ),
    "worst_case": (
        "AUC of the most exposed",
        "The AUC on the few images the attack tells best. They are chosen on one half of the "
        "builds and measured on the other, so that luck in choosing does not count.",
    ),
    "exposed_10x": (
        "Found ten times as often as by chance",
        "The largest group of images, as a share of all, that the attack finds on average in 1 of "
        "10 builds they are in, or more, at 1 % false alarms. 0: there is no such group.",
    ),
    "exposure_stability": (
        "Agreement on who is exposed",
        "The rank correlation of the images' exposure in two halves of the builds. 1: the same "
        "images are exposed whatever the seed; 0: a list of exposed images is an accident.",
    ),
    "trace_precision": (
        "Pointed at by the loss trace",
        "Of the members whose loss moved most while one build was trained, the share that is also "
        "most exposed to attacks: what a warning without any shadow build is worth.",
    ),
    "null_auc": (
        "Null control",
        "The same attack with membership drawn anew, several times. Its AUC must be 0.5 within "
        "its interval; else the attack's other figures cannot be relied on.",
    ),
    "copies": (
        "Copies",
        "Images that are in what is released, to the pixel: no statistics are needed to find them.",
    ),
    "epsilon": (
        "Epsilon",
        "An upper bound, proven for the recipe and not measured, on how much any attacker can "
        "learn from one image's presence. Smaller promises more; above 10 it promises little.",
    ),
    "closer_to_members": (
        "Nearer to a member",
        "Without copying, half of the released images are nearer to an image they were made from "
        "than to one they were not. More hints at copies; half is no proof of protection.",
    ),
    "nearness_ratio": (
        "Nearest against second nearest",
        "A copy is much nearer to one image than to any other. 1 without copying, less with it.",
    ),
    "authenticity": (
        "Farther than members are from each other",
        "About half without copying, none if every released image is a copy.",
    ),
    "score": (
        "Data-copying statistic",
        "How much nearer released images are to members than held-out images are, in standard "
        "deviations. 0 without copying; below -3 chance does not explain it.",
    ),
    "ece": (
        "Calibration error",
        "How far a classifier's confidence is from how often it is right.",
    ),
    "recall": ("Recall", "The share of a class's images that are recognised as such."),
    "heldout_accuracy": (
        "Accuracy on the held-out half",
        "Accuracy on the images of the collection that a build did not see. Against the accuracy "
        "on those it did see, it says how far the build has learnt by heart.",
    ),
}

SEES: dict[str, str] = {
    "none": "nothing",
    "classifier/labels": "only its answers",
    "classifier/logits": "how sure it is of each class",
    "classifier/weights": "its weights",
    "samples/set": "the released images",
    "samples/recipient": "how sure a model trained on it is of each class",
}
