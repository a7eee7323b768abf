"""Models that somebody brings: made by their own code, weights read without running any."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from sudare.attacks.signals import log_posterior
from sudare.core.arrays import FloatArray
from sudare.core.errors import AuditError

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

_MOST_CLASSES = 100_000
_LEAST_PROBABILITY = 1e-12
_BATCH = 512
_PAIR, _PICTURES, _WHITE = 2, 4, 255
_PICKLES = (".pt", ".pth", ".pkl", ".bin", ".ckpt")


def load_model(path: str, weights: Path | None) -> object:
    """A model from ``package.module:factory``, with weights from a safetensors file.

    The factory is the user's own code and runs; the weights are read without executing any.

    Raises:
        AuditError: No such factory, or weights that do not fit.
    """
    import torch

    module_name, _, factory = path.partition(":")
    if not module_name or not factory:
        raise AuditError(
            f"{path!r} names no factory", fix="Give package.module:factory, such as mynets:build."
        )
    try:
        with _from_here():
            model = getattr(importlib.import_module(module_name), factory)()
    except Exception as error:
        # Whatever the user's own code raises.
        raise AuditError(
            f"the model cannot be made: {error}",
            where=path,
            fix="Give package.module:factory, a function without arguments, importable from here.",
        ) from error
    if weights is None:
        return model
    if not isinstance(model, torch.nn.Module):
        raise AuditError("only a torch module takes weights", where=path)
    if weights.suffix in _PICKLES:
        raise AuditError(
            "pickled weights are refused, as reading them can run anything",
            where=str(weights),
            fix="Where you trust the file, save its tensors once: "
            "safetensors.torch.save_file(torch.load(file, weights_only=True), 'w.safetensors').",
        )
    try:
        model.load_state_dict(load_tensors(weights.read_bytes()))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise AuditError(f"the weights do not fit: {error}", where=str(weights)) from error
    return model


@contextlib.contextmanager
def _from_here() -> Iterator[None]:
    """Import from the current folder as well, as servers of Python apps do."""
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        yield
    finally:
        if added:
            sys.path.remove(here)


def answers_of(model: object, records: npt.NDArray[Any]) -> tuple[FloatArray, bool]:
    """Log-posterior of a module, an estimator or a function, and whether it gave probabilities.

    Args:
        model: The model.
        records: What it is asked about, ``[n, ...]``.

    Returns:
        ``float64 [n, C]``, and whether rows were probabilities where logits are asked for.

    Raises:
        AuditError: Answers of another shape, or not finite.
    """
    if not len(records):
        raise AuditError("there are no records", fix="Give members and non-members.")
    if not (callable(model) or hasattr(model, "predict_proba")):
        raise AuditError(
            f"{type(model).__name__} is no model",
            fix=_instead(model),
        )
    try:
        answers, probabilities = _ask(model, records)
    except Exception as error:
        # Somebody else's code: whatever it raises is its own word, in one sentence.
        said = f"{type(error).__name__}: {error}".strip(": ")
        raise AuditError(
            f"the model fails on records of shape {records.shape}: {said}",
            fix="Give records as it was trained on, or --image-size.",
        ) from error
    if answers.ndim != 2 or len(answers) != len(records):
        raise AuditError(
            f"the model's answers have shape {answers.shape} for {len(records)} records",
            fix="It must give one row of scores for each record.",
        )
    if wrong := int((~np.isfinite(answers)).any(axis=1).sum()):
        raise AuditError(
            f"the model's answers to {wrong:,} of {len(records):,} records are not finite",
            fix="A net of half precision overflows: give it as float32 (model.float()).",
        )
    return answers.astype(np.float64), probabilities


def pair_of(given: object, *, where: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Records and labels as arrays, of a pair, a torch data set or a loader of one.

    Args:
        given: ``(records, labels)``, or a ``torch.utils.data`` set or loader of such pairs.
        where: What it is, for the message.

    Raises:
        AuditError: Something else.
    """
    found = getattr(given, "dataset", given)
    if isinstance(found, tuple | list) and len(found) == _PAIR:
        return np.asarray(found[0]), np.asarray(found[1])
    if not (hasattr(found, "__getitem__") and hasattr(found, "__len__")):
        raise AuditError(
            f"{type(given).__name__} holds no records and labels",
            where=where,
            fix="Give (records, labels), or a torch data set of such pairs.",
        )
    try:
        items = [found[row] for row in range(len(found))]
        records = np.stack([np.asarray(item[0]) for item in items])
        return records, np.stack([np.asarray(item[1]) for item in items])
    except Exception as error:
        # Somebody else's data set: whatever it raises is its own word.
        raise AuditError(
            f"the data set cannot be read: {type(error).__name__}: {error}",
            where=where,
            fix="Each item must be a record and its label, all of one shape.",
        ) from error


def _instead(model: object) -> str:
    """What to give instead of an object that cannot be asked for scores."""
    name = type(model).__name__
    if hasattr(model, "decision_function"):
        return f"Give its scores: {name}.decision_function, or fit it with probability=True."
    if hasattr(model, "predict"):
        return "If its predict gives scores, give the method itself: model.predict."
    return "Give a torch module, an estimator with predict_proba, or a function."


def _grey_levels(records: npt.NDArray[Any]) -> bool:
    """Whether these are pictures of whole numbers from 0 to 255, whatever holds them."""
    if records.dtype == np.uint8:
        return True
    whole = records.ndim == _PICTURES and records.dtype.kind in "iu"
    return whole and bool(1 < records.max(initial=0) <= _WHITE and records.min(initial=0) >= 0)


def _ask(model: object, records: npt.NDArray[Any]) -> tuple[FloatArray, bool]:
    import torch

    if isinstance(model, torch.nn.Module):
        return _from_scores(_module_logits(model, records))
    if hasattr(model, "predict_proba"):
        length = int(np.prod(records.shape[1:]))
        if records.ndim > 2 and getattr(model, "n_features_in_", None) == length:
            # Estimators learn from rows of numbers; folders give images.
            records = records.reshape(len(records), length)
        shares = _by_class(np.asarray(model.predict_proba(records), dtype=np.float64), model)
        # Probabilities that are not finite must not pass as small ones.
        values: FloatArray = np.log(np.clip(shares, _LEAST_PROBABILITY, None))
        return values, False
    if not callable(model):
        raise TypeError(f"a {type(model).__name__} cannot be called")
    return _from_scores(np.asarray(model(records), dtype=np.float64))


def _by_class(shares: FloatArray, model: object) -> FloatArray:
    """Columns by class number, as ``classes_`` says; a class it never saw has no share."""
    classes = np.asarray(getattr(model, "classes_", np.arange(shares.shape[-1])))
    numbered = classes.dtype.kind in "iu" and len(classes) == shares.shape[-1]
    if not numbered or classes.min(initial=0) < 0 or classes.max(initial=0) > _MOST_CLASSES:
        return shares
    whole = np.zeros((len(shares), int(classes.max()) + 1))
    whole[:, classes] = shares
    return whole


def _from_scores(scores: FloatArray) -> tuple[FloatArray, bool]:
    """Log-posterior of logits, of rows that are probabilities, of sigmoids, of a single output."""
    if not np.isfinite(scores).all():
        return scores, False
    if scores.ndim == 1 or scores.shape[-1] == 1:
        # One output for two classes: the second against the first.
        one = scores.reshape(len(scores))
        between = bool(((one >= 0) & (one <= 1)).all())
        logit = _logit(one) if between else one
        return log_posterior(np.stack([np.zeros_like(logit), logit], axis=1)), False
    shares = (
        scores.ndim == 2
        and bool((scores >= 0).all())
        and np.allclose(scores.sum(axis=1), 1.0, atol=1e-3)
    )
    if not shares and scores.ndim == 2 and bool(((scores >= 0) & (scores <= 1)).all()):
        # A sigmoid for each class: taken for logits, differences would all but vanish.
        return log_posterior(_logit(scores)), False
    if not shares:
        return log_posterior(scores), False
    values: FloatArray = np.log(np.clip(scores, _LEAST_PROBABILITY, None))
    return values, True


def _logit(shares: FloatArray) -> FloatArray:
    bounded = np.clip(shares, _LEAST_PROBABILITY, 1 - 1e-12)
    values: FloatArray = np.log(bounded) - np.log1p(-bounded)
    return values


def _module_logits(model: torch.nn.Module, records: npt.NDArray[Any]) -> FloatArray:
    import torch

    # Pixels become shares of white; anything else is passed on as it is.
    values = records.astype(np.float32) / (255 if _grey_levels(records) else 1)
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        # In the numbers the net itself is made of: float64, or half.
        floats = (p.dtype for p in model.parameters() if p.dtype.is_floating_point)
        given = torch.from_numpy(values).to(next(floats, torch.float32))
        parts = [model(part).double() for part in given.split(_BATCH)]
    model.train(was_training)
    logits: FloatArray = torch.cat(parts).numpy()
    return logits
