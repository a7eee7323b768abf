"""What each owner brings to a whole: Shapley, Banzhaf and leave-one-out values of a game."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import BoolArray, FloatArray
from sudare.core.errors import ConfigError

if TYPE_CHECKING:
    from jaxtyping import Float

MOST = 10
"""Players up to which every coalition is asked: 2^10 of them."""


def coalitions(players: int) -> list[tuple[int, ...]]:
    """Every coalition; its index in binary says who is in it.

    >>> coalitions(2)
    [(), (0,), (1,), (0, 1)]
    """
    if not 1 <= players <= MOST:
        raise ConfigError(
            f"every coalition of {players} cannot be asked",
            fix=f"Use sampled_shapley above {MOST} players.",
        )
    return [tuple(p for p in range(players) if code >> p & 1) for code in range(2**players)]


def shapley(worth: Float[FloatArray, " c"]) -> Float[FloatArray, " k"]:
    """Exact Shapley values from the worth of every coalition (in the order of ``coalitions``).

    They add up to the worth of all less that of none; equals get the same; who adds nothing gets
    nothing.

    Source:
        Shapley 1953.
    """
    players = _players(worth)
    sizes = np.array([code.bit_count() for code in range(len(worth))])
    weights = np.array(
        [
            math.factorial(size) * math.factorial(players - size - 1) / math.factorial(players)
            for size in range(players)
        ]
    )
    values = np.zeros(players)
    for player in range(players):
        without = np.flatnonzero((np.arange(len(worth)) >> player & 1) == 0)
        gains = worth[without | (1 << player)] - worth[without]
        values[player] = (weights[sizes[without]] * gains).sum()
    return values


def banzhaf(worth: Float[FloatArray, " c"]) -> Float[FloatArray, " k"]:
    """Mean gain over all coalitions without the player, each counting the same.

    Source:
        Banzhaf 1965; Wang and Jia 2023 (the semivalue most robust to noise in the worth).
    """
    values = np.zeros(_players(worth))
    for player in range(len(values)):
        without = np.flatnonzero((np.arange(len(worth)) >> player & 1) == 0)
        values[player] = (worth[without | (1 << player)] - worth[without]).mean()
    return values


def leave_one_out(worth: Float[FloatArray, " c"]) -> Float[FloatArray, " k"]:
    """Worth of all less that of all but one; two copies of the same data both bring nothing."""
    whole = len(worth) - 1
    return np.array([worth[whole] - worth[whole ^ (1 << p)] for p in range(_players(worth))])


def sampled_shapley(
    players: int,
    worth: Callable[[tuple[int, ...]], float],
    *,
    orders: int,
    rng: np.random.Generator,
) -> Float[FloatArray, " k"]:
    """Shapley values from random orders, each with its reverse; for many players.

    Source:
        Castro, Gomez and Tejada 2009; Mitchell et al. 2022 (antithetic orders).
    """
    known: dict[tuple[int, ...], float] = {}

    def asked(coalition: tuple[int, ...]) -> float:
        if coalition not in known:
            known[coalition] = worth(coalition)
        return known[coalition]

    values, drawn = np.zeros(players), 0
    while drawn < orders:
        order = rng.permutation(players)
        for one in (order, order[::-1]):
            before, inside = asked(()), list[int]()
            for player in one:
                inside.append(int(player))
                after = asked(tuple(sorted(inside)))
                values[player] += after - before
                before = after
            drawn += 1
    return values / drawn


def ties(draws: Float[FloatArray, "b k"], *, level: float = 0.95) -> BoolArray:
    """Whether two players cannot be told apart: the interval of their difference holds 0.

    Args:
        draws: Values of each player in bootstrap draws.
        level: Of the interval.
    """
    apart = draws[:, :, None] - draws[:, None, :]
    low, high = np.quantile(apart, [(1 - level) / 2, (1 + level) / 2], axis=0)
    tied: BoolArray = (low <= 0) & (high >= 0)
    return tied


def _players(worth: Sequence[float] | FloatArray) -> int:
    players = len(worth).bit_length() - 1
    if players < 1 or len(worth) != 2**players:
        raise ConfigError(f"{len(worth)} worths are not those of every coalition")
    return players
