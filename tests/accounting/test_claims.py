"""A claim follows from its ledger, or it is said what does not."""

import pytest

from sudare.accounting.accountants import epsilon_spent
from sudare.accounting.claims import recomputed, wrong_claims
from sudare.accounting.ledger import SEEDED, LedgerEntry


def entry(**changes):
    values = {
        "purpose": "training",
        "mechanism": "Poisson-subsampled Gaussian",
        "noise_multiplier": 1.0,
        "sample_rate": 0.64,
        "steps": 2,
        "delta": 1e-3,
        "epsilon": epsilon_spent(1.0, sample_rate=0.64, steps=2, delta=1e-3),
    }
    return LedgerEntry(**{**values, **changes})


def promise(epsilon, delta="0.001"):
    return f"({epsilon}, {delta})-differential privacy for adding or removing one image"


def test_what_follows_is_not_doubted():
    true = entry()
    assert wrong_claims([true], promise(f"{true.epsilon:.2f}")) == []
    assert wrong_claims([true], "") == []
    assert wrong_claims([], "") == []
    # More than was spent may be claimed, and other mechanisms are not recomputed.
    assert wrong_claims([entry(epsilon=50.0)], promise("50.00")) == []
    other = entry(mechanism="exponential mechanism", epsilon=0.1)
    assert wrong_claims([other], "") == []
    assert recomputed(other) == other


@pytest.mark.parametrize(
    ("ledger", "guarantee", "said"),
    [
        ([entry(epsilon=0.01)], "", "training claims epsilon 0.01, but noise 1 at rate 0.64 in 2"),
        ([entry(steps=10**6)], "", "in 1,000,000 steps spends"),
        ([entry(noise_multiplier=0.05)], "", "but noise 0.05"),
        ([entry()], promise("0.01"), "it promises epsilon 0.01; its ledger spends 3.7"),
        ([entry()], promise("9.99", "1e-9"), "it promises delta 1e-9; its ledger holds at 0.001"),
        ([entry(), entry()], promise("3.74"), "it promises epsilon 3.74; its ledger spends"),
        ([entry()], promise("--"), "it promises epsilon --"),
        ([entry(mechanism=SEEDED)], promise("0.01"), "its ledger holds what protects nobody"),
        ([], "private", "it promises what no ledger entry pays for"),
    ],
)
def test_what_does_not_follow_is_named(ledger, guarantee, said):
    assert any(said in text for text in wrong_claims(ledger, guarantee))


@pytest.mark.parametrize("sigma", [0.0, 1e-3, 0.02, 1e7])
def test_noise_that_no_release_has_is_no_entry(sigma):
    with pytest.raises(ValueError, match="noise_multiplier"):
        entry(noise_multiplier=sigma)
