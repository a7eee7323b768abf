import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sudare.training.losses import smoothed_cross_entropy, smoothing_at, soft_cross_entropy


def logits_and_labels(seed=0, n=7, classes=5):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn((n, classes), generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, classes, (n,), generator=generator)


@settings(max_examples=50, deadline=None)
@given(alpha=st.floats(-5, 1), seed=st.integers(0, 99))
def test_gradient_is_the_closed_form_for_either_sign(alpha, seed):
    logits, labels = logits_and_labels(seed)
    logits.requires_grad_()
    smoothed_cross_entropy(logits, labels, alpha=alpha).sum().backward()
    classes = logits.shape[1]
    hot = torch.nn.functional.one_hot(labels, classes).double()
    closed = logits.detach().softmax(1) - (1 - alpha) * hot - alpha / classes
    torch.testing.assert_close(logits.grad, closed, atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.5, 1.0])
def test_positive_smoothing_agrees_with_pytorch(alpha):
    logits, labels = logits_and_labels()
    theirs = torch.nn.functional.cross_entropy(
        logits, labels, label_smoothing=alpha, reduction="none"
    )
    torch.testing.assert_close(smoothed_cross_entropy(logits, labels, alpha=alpha), theirs)


def test_negative_smoothing_is_unbounded_below():
    logits = torch.tensor([[200.0, 0.0, 0.0]], dtype=torch.float64)
    loss = smoothed_cross_entropy(logits, torch.tensor([0]), alpha=-0.05)
    assert float(loss) == pytest.approx(-0.05 * 400 / 3)


def test_soft_labels_that_are_hard_give_cross_entropy():
    logits, labels = logits_and_labels()
    hot = torch.nn.functional.one_hot(labels, logits.shape[1]).double()
    torch.testing.assert_close(
        soft_cross_entropy(logits, hot), smoothed_cross_entropy(logits, labels)
    )


def test_paper_schedule_is_what_the_authors_code_does_at_100_epochs():
    alphas = [
        smoothing_at(-0.05, epoch=e, epochs=100, schedule="paper") for e in (0, 49, 50, 74, 75, 99)
    ]
    np.testing.assert_allclose(alphas, [0, 0, -0.05 * 0.02, -0.05 * 0.5, -0.05, -0.05])


def test_linear_schedule_has_no_jump():
    values = [smoothing_at(-0.1, epoch=e, epochs=100, schedule="linear") for e in range(100)]
    assert max(abs(np.diff(values))) == pytest.approx(0.1 / 25)
    assert values[49] == 0
    assert values[-1] == -0.1


def test_positive_alpha_and_no_schedule_start_at_once():
    assert smoothing_at(0.1, epoch=0, epochs=100, schedule="paper") == 0.1
    assert smoothing_at(-0.05, epoch=0, epochs=100, schedule="none") == -0.05
