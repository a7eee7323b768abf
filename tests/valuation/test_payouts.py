"""Contributions against worked games; what each payout rule promises, and that it has no more."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from sudare.core.apportionment import largest_remainder
from sudare.core.errors import ConfigError
from sudare.core.wording import catalogue
from sudare.report.sections.federation import gini_of
from sudare.valuation.contribution import (
    banzhaf,
    coalitions,
    leave_one_out,
    sampled_shapley,
    shapley,
    ties,
)
from sudare.valuation.payouts import PROPERTIES, RULES, Contribution, pay


def worths(players, worth):
    return np.array([worth(coalition) for coalition in coalitions(players)])


def by_orders(players, worth):
    values = np.zeros(players)
    orders = list(itertools.permutations(range(players)))
    for order in orders:
        for at, player in enumerate(order):
            before = tuple(sorted(order[:at]))
            values[player] += worth(tuple(sorted((*before, player)))) - worth(before)
    return values / len(orders)


def glove(coalition):
    """One left glove (player 0), two right ones: a pair is worth 1."""
    return float(0 in coalition and len(coalition) > 1)


def test_shapley_and_banzhaf_of_the_glove_game():
    game = worths(3, glove)
    assert shapley(game) == pytest.approx([2 / 3, 1 / 6, 1 / 6])
    assert banzhaf(game) == pytest.approx([3 / 4, 1 / 4, 1 / 4])
    assert leave_one_out(game) == pytest.approx([1, 0, 0])


@pytest.mark.parametrize("players", [2, 4, 5])
def test_shapley_is_the_mean_over_all_orders_and_adds_up(players):
    rng = np.random.default_rng(players)
    known = {coalition: rng.normal() for coalition in coalitions(players)}
    game = worths(players, known.__getitem__)
    found = shapley(game)
    assert found == pytest.approx(by_orders(players, known.__getitem__))
    assert found.sum() == pytest.approx(game[-1] - game[0])


def test_sampled_shapley_comes_near_and_adds_up_exactly():
    def worth(coalition):
        return float(np.sqrt(sum(player + 1 for player in coalition)))

    found = sampled_shapley(6, worth, orders=400, rng=np.random.default_rng(0))
    assert found == pytest.approx(shapley(worths(6, worth)), abs=0.06)
    assert found.sum() == pytest.approx(worth(tuple(range(6))))


def test_owners_whose_difference_holds_zero_are_tied():
    rng = np.random.default_rng(0)
    draws = np.stack([rng.normal(0, 1, 500), rng.normal(0.1, 1, 500), rng.normal(9, 1, 500)], 1)
    found = ties(draws)
    assert found[0, 1]
    assert not found[0, 2]
    assert not found[1, 2]


def test_too_many_players_and_worths_of_no_game_are_refused():
    with pytest.raises(ConfigError, match="cannot be asked"):
        coalitions(11)
    with pytest.raises(ConfigError, match="every coalition"):
        shapley(np.zeros(6))


# --- payouts


def test_cents_add_up_whatever_the_shares():
    rng = np.random.default_rng(0)
    for _ in range(300):
        shares, total = rng.exponential(size=rng.integers(1, 9)), int(rng.integers(0, 10_000))
        found = largest_remainder(shares, total)
        assert found.sum() == total
        assert (np.abs(found - shares / shares.sum() * total) < 1).all()


def test_without_any_share_all_get_the_same():
    assert largest_remainder(np.zeros(4), 10).tolist() == [3, 3, 2, 2]


def test_gini():
    assert gini_of([5, 5, 5]) == pytest.approx(0)
    assert gini_of([0, 9, 0]) == pytest.approx(2 / 3)
    assert gini_of([0, 0]) == 0


SCORES = {"common": 0.2, "rare": 0.8, "nothing": 0.0}


def standing(owners):
    """Each owner a list of (record, kind); worth is concave in the number of distinct records."""

    def worth(coalition):
        distinct = {
            record for index in coalition for record, kind in owners[index] if kind != "nothing"
        }
        return float(np.sqrt(len(distinct)))

    game = worths(len(owners), worth)
    return Contribution(
        sizes=np.array([float(len(own)) for own in owners]),
        scores=np.array([np.mean([SCORES[kind] for _, kind in own] or [0.0]) for own in owners]),
        shapley=shapley(game),
        leave_one_out=leave_one_out(game),
    )


def owner(name, count, kind="common"):
    return [(f"{name}{index}", kind) for index in range(count)]


OTHERS = [owner("a", 16), owner("b", 9, "rare")]
BUDGET = 99_991


def paid(rule, owners):
    return pay(rule, standing(owners), BUDGET)


def holds(rule, promise):
    """Whether a rule has a property, on games that would show that it has not."""
    one = owner("c", 8)
    before = paid(rule, [*OTHERS, one])
    match promise:
        case "budget balance":
            return before.sum() == BUDGET
        case "individual rationality":
            return (before >= 0).all()
        case "symmetry":
            twins = paid(rule, [*OTHERS, owner("c", 8), owner("d", 8)])
            return abs(int(twins[2]) - int(twins[3])) <= 1
        case "null player":
            # No record at all, or records that bring nothing and score nothing.
            empty = paid(rule, [*OTHERS, []])[2]
            if rule in ("size", "score-sum"):
                return empty == 0
            return empty == 0 and paid(rule, [*OTHERS, owner("c", 8, "nothing")])[2] == 0
        case "Sybil":
            split = paid(rule, [*OTHERS, one[:4], one[4:]])
            return split[2] + split[3] <= before[2] + 1
        case "replication":
            return paid(rule, [*OTHERS, one + one])[2] <= before[2] + 1
    raise AssertionError(promise)


@pytest.mark.parametrize("promise", sorted(PROPERTIES))
@pytest.mark.parametrize("rule", sorted(RULES))
def test_each_rule_has_the_properties_it_promises_and_no_other(rule, promise):
    assert holds(rule, promise) == (promise in RULES[rule].promises)


def test_bad_budgets_rules_and_shares_are_refused():
    known = standing(OTHERS)
    with pytest.raises(ConfigError, match="no payout rule"):
        pay("lottery", known, 10)
    with pytest.raises(ConfigError, match="negative"):
        pay("equal", known, -1)
    broken = Contribution(
        sizes=np.array([1.0, np.nan]), scores=np.zeros(2), shapley=np.zeros(2),
        leave_one_out=np.zeros(2),
    )  # fmt: skip
    with pytest.raises(ConfigError, match="no numbers"):
        pay("size", broken, 10)


def test_the_table_of_the_docs_is_that_of_the_code():
    page = (Path(__file__).parents[2] / "docs/routes/federation.md").read_text()
    names = list(PROPERTIES)
    rows = re.findall(r"^\| `([a-z-]+)` \| ([^|]+) \| (.+) \|$", page, re.MULTILINE)
    told = {rule: (title, cells.split(" | ")) for rule, title, cells in rows if rule in RULES}
    assert set(told) == set(RULES)
    for name, rule in RULES.items():
        expected = ["yes" if promise in rule.promises else "no" for promise in names]
        assert told[name] == (catalogue("en")[f"rule.{name}"], expected)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("players", [1, 2, 3, 5])
def test_where_nobody_has_a_share_nobody_is_paid_and_the_budget_stays(rule, players):
    nothing = np.zeros(players)
    standing = Contribution(
        sizes=nothing, scores=nothing, shapley=nothing - 0.1, leave_one_out=nothing
    )
    paid = pay(rule, standing, 100)
    assert paid.sum() == (100 if rule == "equal" else 0)


def test_the_promises_hold_where_all_shares_are_zero():
    """Two owners with the same data were paid 50 each, and whoever split in two had 67."""
    same = leave_one_out(np.array([0.0, 1, 1, 1]))
    three = leave_one_out(np.array([0.0, 1, 1, 1, 1, 1, 1, 1]))
    null = leave_one_out(np.array([1.0 if coalition & 3 else 0.0 for coalition in range(8)]))
    for shares in (same, three, null):
        ones = np.ones(len(shares))
        standing = Contribution(sizes=ones, scores=ones, shapley=ones, leave_one_out=shares)
        assert not pay("leave-one-out", standing, 100).any()
    harm = -np.array([0.1, 0.1, 0.0])
    ones = np.ones(3)
    hurting = Contribution(sizes=ones, scores=ones, shapley=harm, leave_one_out=harm)
    assert not pay("shapley", hurting, 99).any()
