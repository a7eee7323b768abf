"""Do two tools give the same scores on the same signals? If not, why not?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.special import log_softmax
from scipy.stats import norm, spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sudare.attacks.membership.shokri import fit_and_score, shadow_features
from sudare.attacks.registry import make_test
from sudare.core.scores import Scale, ScoreTable

from .common import auc_of

__all__ = ["agreement"]


def agreement(tool: str, path: Path) -> dict[str, object]:
    """Our scores on the tool's own signals, beside the tool's scores."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    compare = {"leakpro": _leakpro, "privacy_meter": _privacy_meter, "art": _art}
    return compare[tool](arrays)


def _leakpro(arrays: dict[str, np.ndarray]) -> dict[str, object]:
    """LiRA online: one target, shadows in complementary pairs.

    Its "fixed" takes each image's own deviation, which is our per-example form. Its "carlini"
    takes one deviation, over all values of all images, so that how hard images are counts as
    noise; ours pools the scatter around each image's own mean.
    """
    shadows, target, inside, members = (
        arrays[name] for name in ("shadows", "target", "inside", "members")
    )
    table = _table(shadows, target, inside, members)
    each, one = (
        make_test("lira", {"variance": variance}).scores(table)[-2]
        for variance in ("per-example", "fixed")
    )
    mean_in, mean_out = (
        np.where(side, shadows, 0).sum(axis=0) / side.sum(axis=0) for side in (inside, ~inside)
    )
    spread_in, spread_out = shadows[inside].std(), shadows[~inside].std()
    as_theirs = norm.logpdf(target, mean_in, spread_in) - norm.logpdf(target, mean_out, spread_out)
    theirs, carlini = arrays["lira"], arrays["lira_carlini"]
    return {
        "fixed": {
            "attack": 'LiRA online, theirs "fixed", ours per-example',
            **_compared(each, theirs, members),
            "median relative difference": _relative(each, theirs),
            "cause": 'its "fixed" takes the deviation of each image by itself',
        },
        "carlini": {
            "attack": 'LiRA online, theirs "carlini", ours fixed',
            **_compared(one, carlini, members),
            "with their deviation, median relative difference": _relative(as_theirs, carlini),
            "deviation in, theirs": float(spread_in),
            "deviation in, ours": float(
                np.sqrt(np.square(np.where(inside, shadows - mean_in, 0)).sum() / inside.sum())
            ),
            "cause": "theirs is the deviation over all values of all images",
        },
        "rmia": _leakpro_rmia(arrays),
    }


def _leakpro_rmia(arrays: dict[str, np.ndarray]) -> dict[str, object]:
    """RMIA online: ours on the confidences as they are, and at its temperature over its z."""
    temperature, gamma = float(arrays["temperature"]), float(arrays["gamma"])
    ranking, softened = (_rmia_ranking(arrays, by) for by in (1.0, temperature))
    theirs, members = arrays["rmia"], arrays["members"]
    share = (np.exp(softened)[:, None] / arrays["ratio_z"][None] > gamma).mean(axis=1)
    return {
        "attack": f"RMIA online, gamma = {gamma:g}",
        **_compared(ranking, theirs, members),
        "with their temperature and z, median difference": float(np.median(np.abs(share - theirs))),
        "distinct scores": {"theirs": len(np.unique(theirs)), "ours": len(np.unique(ranking))},
        "cause": f"it divides logits by {temperature:g} before the softmax; its z are training "
        "images too; its score is a count, which ties",
    }


def _rmia_ranking(arrays: dict[str, np.ndarray], temperature: float) -> np.ndarray:
    rows = np.arange(len(arrays["labels"]))
    phi = []
    for name in ("shadow_logits", "target_logits"):
        logits = arrays[name].astype(np.float64) / temperature
        own = log_softmax(logits, axis=-1)[..., rows, arrays["labels"]]
        phi.append(own - np.log(-np.expm1(np.minimum(own, -1e-12))))
    return make_test("rmia", {}).scores(_table(*phi, arrays["inside"], arrays["members"]))[-2]


def _art(arrays: dict[str, np.ndarray]) -> dict[str, object]:
    """Logistic regression over what the shadows answer, one for all classes or one for each."""
    members = arrays["members"]
    answers, labels = (
        np.concatenate([arrays[f"inside{kind}"], arrays[f"outside{kind}"]])
        for kind in ("", "_labels")
    )
    known = np.repeat([True, False], [len(arrays["inside"]), len(arrays["outside"])])
    # Theirs: standardised answers beside the standardised one-hot label, one model.
    scaler = StandardScaler().fit(np.c_[answers, labels])
    model = LogisticRegression().fit(scaler.transform(np.c_[answers, labels]), known)
    again = model.predict_proba(scaler.transform(np.c_[arrays["target"], arrays["labels"]]))
    ours = np.empty(len(members))
    features = [
        shadow_features(log_softmax(part, axis=1)[None], hot.argmax(axis=1), top=3)
        for part, hot in ((answers, labels), (arrays["target"], arrays["labels"]))
    ]
    for label in range(labels.shape[1]):
        rows, own = labels.argmax(axis=1) == label, arrays["labels"].argmax(axis=1) == label
        ours[own] = fit_and_score(features[0][:, rows], known[None, rows], features[1][0, own])
    return {
        "attack": "shadow classifier, logistic regression",
        **_compared(ours, arrays["lr"], members),
        "one model for all classes, median difference": float(
            np.median(np.abs(again[:, 1] - arrays["lr"]))
        ),
        "cause": "ours is one model a class over log-probabilities, theirs one over logits and "
        "the label",
    }


def _relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.median(np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1e-9)))


def _privacy_meter(arrays: dict[str, np.ndarray]) -> dict[str, object]:
    """RMIA, offline, a = 0.3, gamma = 1: the first model of the first pair."""
    confidence, population = arrays["signals"].T, arrays["population"].T
    membership = arrays["membership"].astype(bool)
    logit = [np.log(c) - np.log1p(-np.minimum(c, 1 - 1e-12)) for c in (confidence, population)]
    phi = np.concatenate(logit, axis=1)[:, :, None]
    images = confidence.shape[1]
    table = ScoreTable(
        signals={"phi": np.clip(phi, -700, 700)},
        scales={"phi": Scale.LOGIT},
        membership=membership,
        complement=np.arange(len(membership)) ^ 1,
        units=np.arange(images),
        labels=np.zeros(phi.shape[1], dtype=np.int64),
    )
    ours = make_test("rmia_offline", {"a": 0.3, "gamma": 1.0})
    theirs, members = arrays["rmia"], membership[0]
    ranking = ours.scores(table)[0]
    share = ours.calibrated(table)[0]
    # For population images theirs sorts the shadows' confidences and keeps the larger half.
    half = len(membership) // 2 - 1
    shadows = np.arange(2, 2 * half + 2)
    top = -np.sort(-population[shadows], axis=0)[:half]
    out = np.where(membership[shadows], 0, confidence[shadows])
    prior_x, prior_z = (
        (1.3 * mean + 0.7) / 2
        for mean in (out.sum(axis=0) / (~membership[shadows]).sum(axis=0), top.mean(axis=0))
    )
    as_theirs = ((confidence[0] / prior_x)[:, None] / (population[0] / prior_z)[None] > 1).mean(
        axis=1
    )
    return {
        "attack": "RMIA offline, a = 0.3",
        **_compared(ranking, theirs, members),
        "calibrated, largest difference": float(np.abs(share - theirs).max()),
        "calibrated with their p(z), largest difference": float(np.abs(as_theirs - theirs).max()),
        "ties": {"theirs": len(np.unique(theirs)), "ours": len(np.unique(ranking))},
        "cause": "for population images theirs keeps the larger half of the shadows' confidences; "
        "its score is a count, which ties",
    }


def _table(
    shadows: np.ndarray, target: np.ndarray, inside: np.ndarray, members: np.ndarray
) -> ScoreTable:
    """Shadows, and the target with a copy where its complement would be."""
    order = _pairs(inside)
    phi = np.concatenate([shadows[order], target[None], target[None]])
    membership = np.concatenate([inside[order], members[None], ~members[None]])
    return ScoreTable(
        signals={"phi": phi[:, :, None].astype(np.float64)},
        scales={"phi": Scale.LOGIT},
        membership=membership,
        complement=np.arange(len(phi)) ^ 1,
        units=np.arange(phi.shape[1]),
        labels=np.zeros(phi.shape[1], dtype=np.int64),
    )


def _pairs(inside: np.ndarray) -> np.ndarray:
    """Rows in an order in which each is followed by its complement."""
    order: list[int] = []
    for row in range(len(inside)):
        if row not in order:
            partner = int(np.flatnonzero((inside == ~inside[row]).all(axis=1))[0])
            order += [row, partner]
    return np.array(order)


def _compared(ours: np.ndarray, theirs: np.ndarray, members: np.ndarray) -> dict[str, object]:
    return {
        "rank correlation": float(spearmanr(ours, theirs).statistic),
        "auc": {"ours": auc_of(ours, members), "theirs": auc_of(theirs, members)},
    }
