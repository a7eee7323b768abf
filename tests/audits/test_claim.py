"""What a release claims about its privacy, as a finding."""

import pytest

from sudare.accounting import LedgerEntry, epsilon_spent
from sudare.accounting.ledger import EXACT, SEEDED
from sudare.audits.checks.claim import claim_findings as _claim
from sudare.audits.finding_context import FindingContext
from sudare.releases.card import Card


def claim(*budgets, guarantee="differential privacy", mechanism="Gaussian"):
    ledger = tuple(
        LedgerEntry(
            purpose="training",
            mechanism=mechanism,
            noise_multiplier=1.0,
            sample_rate=0.1,
            steps=10,
            delta=delta,
            epsilon=epsilon,
        )
        for epsilon, delta in budgets
    )
    card = Card(
        kind="classifier",
        route="dpsgd",
        title="t",
        what_leaves="w",
        class_names=("a", "b"),
        image_shape=(1, 8, 8),
        ledger=ledger,
        guarantee=guarantee,
    )
    return _claim(FindingContext(release="r", route="dpsgd", builds=1, recipients=0), card)


def test_one_mechanism_claims_its_epsilon_at_its_delta():
    found, *_ = claim((3.0, 1e-5))
    assert found.value == 3.0
    assert found.method == "claimed at delta 1e-05, PRV upper bound"


def test_gaussian_mechanisms_are_composed_as_one_history():
    found, *_ = claim((3.0, 1e-5), (3.0, 1e-5))
    one = epsilon_spent(1.0, sample_rate=0.1, steps=20, delta=1e-5)
    assert found.value == pytest.approx(one, abs=0.02)
    assert found.method == "claimed at delta 1e-05, PRV upper bound, composed of 2 mechanisms"


def test_of_other_mechanisms_epsilons_and_deltas_add_and_the_finding_says_so():
    found, *_ = claim((2.0, 1e-5), (1.0, 2e-5), mechanism="exponential mechanism")
    assert found.value == pytest.approx(3.0)
    assert "at delta 3e-05" in found.method
    assert "basic composition of 2 mechanisms" in found.method


def test_no_mechanism_claims_nothing():
    assert claim() == []


def test_a_ledger_that_pays_for_a_part_only_claims_nothing():
    """The ranges of a decoder may be private while the decoder is not."""
    assert claim((1.0, 1e-5), guarantee="") == []


def test_a_claim_says_what_it_leaves_any_attack():
    epsilon, mu, ceiling = claim((3.0, 1e-5))
    assert (epsilon.id, mu.id, ceiling.id) == (
        "privacy.epsilon",
        "privacy.mu",
        "privacy.auc_ceiling",
    )
    assert 0.5 < ceiling.value < 1
    assert ceiling.low == ceiling.high == ceiling.value


def test_a_claim_that_its_own_ledger_does_not_give_is_recomputed_and_refuted():
    epsilon, left_out, *_ = claim((0.01, 1e-5))
    spent = epsilon_spent(1.0, sample_rate=0.1, steps=10, delta=1e-5)
    assert epsilon.value == pytest.approx(spent)
    assert epsilon.method.startswith("recomputed, for the card claims less, at delta 1e-05")
    assert left_out.id == "privacy.left_out"
    assert left_out.value == pytest.approx(spent - 0.01)
    assert "claims epsilon 0.01, but noise 1" in left_out.method


def test_a_ledger_that_protects_nobody_claims_no_number():
    assert claim((0.01, 1e-5), mechanism=SEEDED) == []
    assert claim((0.01, 1e-5), (0.01, 1e-5), mechanism=EXACT) == []
