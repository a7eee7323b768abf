"""What a model answers is taken for what it is: classes, sigmoids, one output, its own errors."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from sudare.audits.external import audit_model
from sudare.audits.external_models import answers_of
from sudare.core.errors import AuditError


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    return images / 16, labels


def test_columns_follow_the_classes_an_estimator_saw(digits):
    """A model that never saw class 3 had AUC 0.441 where 0.829 is right."""
    images, labels = digits
    seen = labels != 3
    model = LogisticRegression(max_iter=200).fit(images[:400][seen[:400]], labels[:400][seen[:400]])
    assert list(model.classes_) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    answers, _ = answers_of(model, images[:400])
    assert answers.shape == (400, 10)
    right = answers.argmax(axis=1) == labels[:400]
    assert right[seen[:400]].mean() > 0.95
    assert not right[~seen[:400]].any()


class Linear(torch.nn.Module):
    def __init__(self, outputs, ending=None):
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.ending = torch.nn.Linear(64, outputs), ending

    def forward(self, records):
        logits = self.linear(records)
        return logits if self.ending is None else self.ending(logits)


def test_a_sigmoid_for_each_class_is_its_logits(digits):
    images, _ = digits
    logits, _ = answers_of(Linear(10), images[:50])
    shares, probabilities = answers_of(Linear(10, torch.sigmoid), images[:50])
    assert not probabilities
    assert np.allclose(logits, shares, atol=1e-4)


@pytest.mark.parametrize("ending", [None, torch.sigmoid, lambda z: z[:, 0]])
def test_one_output_is_two_classes(digits, ending):
    images, _ = digits
    found, _ = answers_of(Linear(1, ending), images[:50])
    raw = Linear(1)(torch.from_numpy(images[:50]).float()).detach().numpy()[:, 0]
    assert found.shape == (50, 2)
    assert np.allclose(found[:, 1] - found[:, 0], raw, atol=1e-4)


def fails(error):
    def ending(logits):
        raise error

    return ending


@pytest.mark.parametrize(
    "error", [AssertionError("Input height (8) doesn't match (224)"), KeyError("pixels")]
)
def test_whatever_a_model_raises_is_its_own_word_in_one_sentence(digits, error):
    images, _ = digits
    with pytest.raises(AuditError, match=f"{type(error).__name__}: "):
        answers_of(Linear(10, fails(error)), images[:5])


def test_labels_that_do_not_fit_say_why(digits):
    images, labels = digits
    members, others = (images[:200], labels[:200]), (images[200:400], labels[200:400])

    def shifted(pair):
        return pair[0], pair[1] + 1

    with pytest.raises(AuditError, match="they run from 1 to 10, classes from 0"):
        audit_model(Linear(10), shifted(members), shifted(others))
    with pytest.raises(AuditError, match="they are text"):
        audit_model(Linear(10), (images[:200], labels[:200].astype(str)), others)
    hot = [(x, np.eye(10)[y]) for x, y in (members, others)]
    found = [
        audit_model(Linear(10), *given).findings.get("membership.loss.auc", "given")
        for given in (hot, (members, others))
    ]
    assert found[0] == found[1]
