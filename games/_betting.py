"""What games of betting on a coin share: wealth counted in the smallest bet, and when a game is over."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32, Key

from exit.game import Step
from games._numbers import log_share_of, share_of

_MAX_BETS, _MAX_ROUNDS = 25_000, 10_000
_WEALTH, _ROUNDS = 0, 2
_WAVES = 12

NUM_INPUTS = 4
"""Length of `inputs`."""


def check_bets(wealth: int, cap: int, rounds: int, unit: float) -> None:
    """Raises ValueError where the sizes of a betting game are out of range."""
    if not (0 < unit <= 1 and math.isclose(1 / unit, round(1 / unit), rel_tol=1e-9)):
        raise ValueError(
            f"the bet unit is 1, 0.5, 0.25, 0.01 or another whole part of a dollar, got {unit:g}"
        )
    if not 1 <= wealth < cap:
        raise ValueError(f"the wealth at the start is at least $1 and below the cap of ${cap}, got ${wealth}")
    if cap * bets_per_dollar(unit) > _MAX_BETS:
        raise ValueError(
            f"a cap of ${cap} and bets of ${unit:g} make {cap * bets_per_dollar(unit):,} different bets, "
            f"at most {_MAX_BETS:,} are possible; lower the cap or raise the unit"
        )
    if not 1 <= rounds <= _MAX_ROUNDS:
        raise ValueError(f"there are 1 to {_MAX_ROUNDS} rounds, got {rounds}")


def bets_per_dollar(unit: float) -> int:
    """How many of the smallest bets make a dollar."""
    return round(1 / unit)


def is_over(wealth: Int[Array, ""], rounds: Int[Array, ""], most: int) -> Bool[Array, ""]:
    """Whether nothing is left to win: no round, no money, or the cap is reached."""
    return (rounds == 0) | (wealth == 0) | (wealth == most)


def legal_bets(wealth: Int[Array, ""], rounds: Int[Array, ""], most: int) -> Bool[Array, " A"]:
    """Every bet up to one's wealth."""
    return (jnp.arange(most) <= wealth) & ~is_over(wealth, rounds, most)


def random_wealth(rng_key: Key[Array, ""], most: int) -> Int32[Array, ""]:
    """A wealth at which the game goes on: half of the time any, else of any order of magnitude."""
    key_even, key_log, key_which = jax.random.split(rng_key, 3)
    even = jax.random.randint(key_even, (), 1, most, jnp.int32)
    size = jnp.exp(jax.random.uniform(key_log) * math.log(most)).astype(jnp.int32)
    return jnp.where(jax.random.bernoulli(key_which), even, jnp.clip(size, 1, most - 1))


def settled(
    wealth: Int[Array, ""],
    rounds: Int[Array, ""],
    bet: Int[Array, ""],
    outcome: Int[Array, ""],
    *,
    most: int,
    unit: float,
) -> tuple[Int32[Array, ""], Step]:
    """Wealth after a bet, and what it brought: once the game is over, one's wealth in dollars.

    Args:
      rounds: to come, that of the bet included.
      bet: in units; all of the wealth where it is more.
      outcome: 1 wins.
    """
    bet = jnp.minimum(bet, wealth)
    after = jnp.clip(wealth + jnp.where(outcome == 1, bet, -bet), 0, most).astype(jnp.int32)
    over = is_over(after, jnp.maximum(rounds - 1, 0), most)
    # Divided, not multiplied: so many whole dollars are a whole number.
    reward = jnp.where(over, after / float(bets_per_dollar(unit)), 0.0)
    return after, Step(reward=reward, discount=jnp.where(over, 0.0, 1.0))


def inputs(wealth: Int[Array, ""], rounds: Int[Array, ""], most: int, max_rounds: int) -> Float[Array, " n"]:
    """What a network sees of wealth and of the rounds to come, each on a linear and a logarithmic scale.

    Numbers in [-1, 1], not steps: which bet is best depends on how the value curves, and every step would be
    a kink in it.
    """
    scales = [share_of(wealth, most), log_share_of(wealth, most)]
    scales += [share_of(rounds, max_rounds), log_share_of(rounds, max_rounds)]
    return 2 * jnp.stack(scales) - 1


@functools.cache
def bet_features(most: int) -> Float[np.ndarray, "A F"]:
    """What each bet is like: waves over its size, on a linear and a logarithmic scale."""
    bets = np.arange(most)
    scales = [bets / most, np.log1p(bets) / math.log1p(most)]
    return np.concatenate([np.cos(np.pi * np.outer(scale, range(1, _WAVES + 1))) for scale in scales], axis=1)


def rounds_of(seen: Float[Array, " n"], max_rounds: int) -> Float[Array, ""]:
    """The rounds to come, of what `inputs` tells."""
    return max_rounds * (seen[_ROUNDS] + 1) / 2


def value_bounds(
    seen: Float[Array, " n"], max_win_prob: Float[Array, ""] | float, cap: int, max_rounds: int
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """What betting nothing keeps, and what betting everything at the best of chances would earn, in dollars.

    Args:
      seen: what `inputs` tells.
      max_win_prob: that a round to come can have.
      cap: in dollars.
    """
    wealth = cap * (seen[_WEALTH] + 1) / 2
    growth = jnp.log(jnp.maximum(2 * max_win_prob, 1.0)) * rounds_of(seen, max_rounds)
    return wealth, jnp.minimum(wealth * jnp.exp(jnp.minimum(growth, math.log(_MAX_BETS))), cap)


def kelly_fraction(
    wealth: Int[np.ndarray, " n"], win_prob: Float[np.ndarray, " n"] | float, most: int
) -> Float[np.ndarray, "n A"]:
    """Kelly's bet on even odds: of one's wealth, how much likelier winning is than losing (J. Kelly, 1956).

    Rounded to a unit, and no more than the cap leaves to win.
    """
    bet = np.rint(np.maximum(2 * win_prob - 1, 0) * wealth)
    bets = np.minimum(bet, most - wealth).astype(np.int64)
    return (bets[:, None] == np.arange(most)).astype(np.float64)


def dollars(units: int, unit: float) -> str:
    """An amount as people write it."""
    amount = units / bets_per_dollar(unit)
    return f"${amount:.0f}" if amount.is_integer() else f"${amount:.2f}"
