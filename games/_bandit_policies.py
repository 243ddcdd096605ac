"""What to pull next, by rules of thumb: policies that a bandit's exact play is compared with.

Each takes the counts of n posteriors, `[n, arms]`, and returns the chance that it pulls each arm; arms that
the rule finds equally good are equally likely. They run on the host, in double precision.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

Counts = Int[np.ndarray, "n arms"]
Chances = Float[np.ndarray, "n arms"]
Prior = tuple[float, float]

_TIE = 1e-9
_BISECTIONS = 50
_CHARGES = 401
_EXTRA_NODES = 32
_FEW = 255


def greedy(successes: Counts, failures: Counts, prior: Prior) -> Chances:
    """The arm with the greatest posterior mean."""
    return _greatest(_means(successes, failures, prior))


def thompson(successes: Counts, failures: Counts, prior: Prior) -> Chances:
    """Each arm with the probability that it is the best one (W. Thompson, 1933).

    By Gauss-Legendre quadrature of density times distribution functions, which is exact for priors of whole
    numbers, where these are polynomials.
    """
    alpha, beta = prior[0] + successes, prior[1] + failures
    num_nodes = int(np.ceil((alpha + beta).sum(axis=1).max() / 2)) + 1
    if not all(float(count).is_integer() for count in prior):
        num_nodes += _EXTRA_NODES
    # More than needed, so that few programs serve all numbers of pulls.
    num_nodes = -(-num_nodes // _EXTRA_NODES) * _EXTRA_NODES
    nodes, weights = np.polynomial.legendre.leggauss(num_nodes)
    nodes, weights = (1 + nodes) / 2, weights / 2
    below = _of_distinct(functools.partial(_distribution, points=nodes), alpha, beta)
    density = _of_distinct(functools.partial(_density, points=nodes), alpha, beta)
    chances = np.empty(alpha.shape)
    for arm in range(alpha.shape[1]):
        others = np.delete(below, arm, axis=1).prod(axis=1)
        chances[:, arm] = (density[:, arm] * others) @ weights
    return chances / chances.sum(axis=1, keepdims=True)


def ucb1(successes: Counts, failures: Counts) -> Chances:
    """Mean reward plus sqrt(2 ln t / pulls), arms without a pull first (P. Auer et al., 2002)."""
    pulls = successes + failures
    with np.errstate(divide="ignore", invalid="ignore"):
        bonus = np.sqrt(2 * np.log(np.maximum(pulls.sum(axis=1, keepdims=True), 1)) / pulls)
        index = successes / pulls + bonus
    return _greatest(np.where(pulls == 0, np.inf, index))


def bayes_ucb(successes: Counts, failures: Counts, prior: Prior) -> Chances:
    """The greatest quantile of the posterior, at 1 - 1/t for pull t (E. Kaufmann et al., 2012; c = 0)."""
    level = 1 - 1 / (1 + (successes + failures).sum(axis=1, keepdims=True))
    parameters = (prior[0] + successes, prior[1] + failures, np.broadcast_to(level, successes.shape))
    return _greatest(_of_distinct(_quantile, *parameters))


def gittins(successes: Counts, failures: Counts, prior: Prior, horizon: int) -> Chances:
    """The greatest finite-horizon index (J. Gittins, 1979; for a horizon, R. Bradt et al., 1956).

    The index of an arm is the charge a pull at which it is as good to pull on, for as long as one likes, as
    to leave at once, were this the only arm.
    """
    left = horizon - (successes + failures).sum(axis=1, keepdims=True)
    return _greatest(_indices(prior, horizon)[np.maximum(left, 0), successes, failures])


@functools.lru_cache(maxsize=4)
def _indices(prior: Prior, horizon: int) -> Float[np.ndarray, "left successes failures"]:
    """Index by pulls left, successes and failures; not a number where these are more than the horizon."""
    charges = np.linspace(0, 1, _CHARGES)
    size = horizon + 1
    table = np.full((size, size, size), np.nan)
    value = np.zeros((size, size, _CHARGES))
    for left in range(1, size):
        # With so many pulls left, no arm has had more than all the others.
        count = np.arange(size - left)
        mean = (prior[0] + count[:, None]) / (sum(prior) + count[:, None] + count)
        success, failure = value[1:, :-1], value[:-1, 1:]
        gain = mean[..., None] * (1 + success) + (1 - mean[..., None]) * failure - charges
        table[left, : len(count), : len(count)] = _root(charges, gain)
        value = np.maximum(gain, 0.0)
    return table


def _root(points: Float[np.ndarray, " p"], values: Float[np.ndarray, "... p"]) -> Float[np.ndarray, "..."]:
    """Where falling values cross 0, linearly between points."""
    above = np.clip((values > 0).sum(axis=-1), 1, len(points) - 1)
    low, high = (np.take_along_axis(values, at[..., None], -1)[..., 0] for at in (above - 1, above))
    return points[above - 1] + (points[above] - points[above - 1]) * low / (low - high)


def _means(successes: Counts, failures: Counts, prior: Prior) -> Chances:
    return (prior[0] + successes) / (sum(prior) + successes + failures)


def _greatest(index: Chances) -> Chances:
    """Equal chances for the arms whose index is the greatest."""
    best = index >= index.max(axis=1, keepdims=True) - _TIE
    return best / best.sum(axis=1, keepdims=True)


def _of_distinct(function: Callable[..., Array], *parameters: np.ndarray) -> np.ndarray:
    """A function of several numbers at each place, computed once for all places where these are the same."""
    rows = np.stack([each.ravel() for each in parameters], axis=1)
    distinct, place = np.unique(rows, axis=0, return_inverse=True)
    # Filled up to a power of two, so that few programs are compiled.
    filling = np.repeat(distinct[:1], (1 << max(len(distinct) - 1, _FEW).bit_length()) - len(distinct), 0)
    with jax.enable_x64(True):
        found = np.asarray(function(*np.concatenate([distinct, filling]).T))[place.ravel()]
    return found.reshape(*parameters[0].shape, *found.shape[1:])


@jax.jit
def _distribution(
    alpha: Float[Array, " n"], beta: Float[Array, " n"], points: Float[Array, " p"]
) -> Float[Array, "n p"]:
    return jax.scipy.special.betainc(alpha[:, None], beta[:, None], points)


@jax.jit
def _density(
    alpha: Float[Array, " n"], beta: Float[Array, " n"], points: Float[Array, " p"]
) -> Float[Array, "n p"]:
    return jnp.exp(jax.scipy.stats.beta.logpdf(points, alpha[:, None], beta[:, None]))


@jax.jit
def _quantile(
    alpha: Float[Array, " n"], beta: Float[Array, " n"], level: Float[Array, " n"]
) -> Float[Array, " n"]:
    """Points below which so much of the Beta distributions lies, by bisection."""

    def halved(_: Int[Array, ""], bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = (low + high) / 2
        less = jax.scipy.special.betainc(alpha, beta, middle) < level
        return jnp.where(less, middle, low), jnp.where(less, high, middle)

    low, high = jax.lax.fori_loop(0, _BISECTIONS, halved, (jnp.zeros_like(alpha), jnp.ones_like(alpha)))
    return (low + high) / 2
