"""Human names of ids that other rooms write: attacks, planted images, threat models."""

from __future__ import annotations

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
