"""Teaching an agent what its own searches find; nothing exact is in it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, UInt32

from exit.acting import make_curve_fn
from exit.evaluate import own_positions, random_positions, rows_of
from exit.evaluate.sample import MAX_PLIES
from exit.fingerprint import classes
from exit.foresight.heads import BUDGETS, Foresight, evidence, foreseen_logits, fresh_foresight
from exit.game import Game
from exit.iteration import RunConfig
from exit.network import Network, Params, make_network
from exit.programs import kept
from exit.search import SearchResult
from exit.solve import states_of

NUM_STATES = 8192
"""States that are searched where nothing else is said."""

_AT_ONCE = 512
_LEARNING_RATE, _WEIGHT_DECAY, _BATCH_SIZE = 1e-3, 0.3, 256
_NUM_ROUNDS, _UPDATES_A_ROUND = 40, 100
_HELD_OUT = 0.2

ProgressFn = Callable[[str, float | None], None]
"""Told what is being done, and which share of it is."""


class Lessons(NamedTuple):
    """What searches of n states found.

    Attributes:
      evidence: what heads go by.
      found: distance of the network's value from the deepest search's, then what the move of a search of each
        of `BUDGETS` is worth above the reflex's; shares of the distance between the value bounds.
    """

    evidence: Float[Array, "n F"]
    found: Float[Array, "n K"]


def teach(
    params: Params,
    keys: UInt32[np.ndarray, "n K"],
    *,
    config: RunConfig,
    seed: int = 0,
    progress_fn: ProgressFn | None = None,
) -> Foresight:
    """Heads for these parameters, taught by their own searches.

    Args:
      keys: of the states that are searched, each for the largest of `BUDGETS` and looked at on the way; such
        as `lesson_positions` finds.

    Raises:
      ValueError: there are fewer than two states, of which one could be held out.
    """
    if len(keys) < 2:
        raise ValueError(f"{len(keys)} states are too few to teach from; give at least 2")
    report = progress_fn or (lambda what, share: None)
    network = make_network(config.network, config.game)
    found = []
    for start in range(0, len(keys), _AT_ONCE):
        report("searching", start / len(keys))
        found.append(_searched(params, keys[start : start + _AT_ONCE], config=config, network=network))
    lessons = Lessons(*(jnp.concatenate(column) for column in zip(*found, strict=True)))
    return fitted(lessons, seed=seed, progress_fn=report)


def lesson_positions(
    params: Params, *, config: RunConfig, num_states: int = NUM_STATES, seed: int = 0
) -> UInt32[np.ndarray, "n K"]:
    """Distinct unfinished positions to teach from, at most `num_states`, in random order.

    Half of them come from games in which the reflex draws its moves, half from random play, as far as there
    are so many. None is one of those that `measures` keeps for measuring.

    Raises:
      ValueError: `num_states` is below 2.
    """
    if num_states < 2:
        raise ValueError(f"num_states is {num_states}; give at least 2")
    predict = make_network(config.network, config.game).predict
    # Twice as many as are wanted, of which every other one is kept for measuring.
    own = own_positions(params, game=config.game, predict=predict, num=num_states, seed=seed)
    own = own[~measures(config.game, own)][: num_states // 2]
    plies = config.self_play.max_random_plies or MAX_PLIES
    others = random_positions(config.game, 2 * (num_states - len(own)), plies, seed).keys
    others = others[~measures(config.game, others)][: num_states - len(own)]
    keys = np.unique(np.concatenate([own, others]), axis=0)
    return np.random.default_rng(seed).permutation(keys)


def measures(game: Game, keys: UInt32[np.ndarray, "n K"]) -> Bool[np.ndarray, " n"]:
    """Which states are for measuring what is foreseen, and never teach it: half of all, with their images.

    Symmetric states are on the same side, since the network says nearly the same of them.
    """
    return (classes(states_of(game, keys), game=game) & 1).astype(bool)


def _searched(
    params: Params, keys: UInt32[np.ndarray, "n K"], *, config: RunConfig, network: Network
) -> Lessons:
    """Lessons of some states, in batches of one size, so that one program serves all."""
    game = config.game
    rows = np.arange(_AT_ONCE).clip(max=len(keys) - 1)
    states = rows_of(states_of(game, keys), rows)
    search = replace(config.search, max_simulations=BUDGETS[-1])
    looks = np.array([0, *BUDGETS], np.int32)
    found = make_curve_fn(params, game=game, network=network, config=search)(states, looks)
    seen = _evidence(params, states, game=game, network=network)
    lessons = Lessons(seen, lessons_of(found, game.value_bounds))
    return Lessons(*(column[: len(keys)] for column in lessons))


_evidence = kept(static=("game", "network"))(evidence)


def lessons_of(found: SearchResult, bounds: tuple[float, float]) -> Float[Array, "B K"]:
    """What is to be foreseen of searches that were looked at after 0 and after each of `BUDGETS` simulations.

    Moves are judged by the last look, the search's own verdict.

    Args:
      found: with leading axes `[1 + len(BUDGETS), B]`.

    Returns:
      As `Lessons.found`.
    """
    low, high = bounds
    judged = jnp.take_along_axis(found.qvalues[-1][None], found.action[..., None], axis=-1)[..., 0]
    error = jnp.abs(found.value[-1] - found.prior_value[0])
    told = jnp.concatenate([error[None], jnp.maximum(judged[1:] - judged[0], 0.0)])
    return jnp.clip(told.T / (high - low), 0.0, 1.0)


def fitted(lessons: Lessons, *, seed: int = 0, progress_fn: ProgressFn | None = None) -> Foresight:
    """Heads fitted to four fifths of the lessons, as they were when they foresaw the last fifth best."""
    key_init, key_order, key_learn = jax.random.split(jax.random.key(seed), 3)
    count = len(lessons.found)
    order = jax.random.permutation(key_order, count)
    num_held = max(1, int(_HELD_OUT * count))
    held, learnt = (
        Lessons(*(column[rows] for column in lessons)) for rows in (order[:num_held], order[num_held:])
    )
    best = foresight = fresh_foresight(key_init, learnt.evidence, jnp.mean(learnt.found, axis=0))
    least = float(_loss(foresight, held))
    state = _optimizer().init(foresight)
    for done, key_round in enumerate(jax.random.split(key_learn, _NUM_ROUNDS)):
        if progress_fn is not None:
            progress_fn("learning", done / _NUM_ROUNDS)
        foresight, state = _learn(foresight, state, learnt, key_round)
        if (loss := float(_loss(foresight, held))) < least:
            best, least = foresight, loss
    return best


@jax.jit
def _learn(
    foresight: Foresight, state: optax.OptState, lessons: Lessons, rng_key: Array
) -> tuple[Foresight, optax.OptState]:
    """A round of updates; the scale of what goes in stays as it is."""
    frozen = foresight.mean, foresight.deviation

    def update(step: Int[Array, ""], carried: tuple[Foresight, optax.OptState]):
        foresight, state = carried
        key_step = jax.random.fold_in(rng_key, step)
        rows = jax.random.randint(key_step, (_BATCH_SIZE,), 0, len(lessons.found))
        grads = jax.grad(_loss)(foresight, Lessons(*(column[rows] for column in lessons)))
        updates, state = _optimizer().update(grads, state, foresight)
        learnt: Any = optax.apply_updates(foresight, updates)
        return learnt._replace(mean=frozen[0], deviation=frozen[1]), state

    return jax.lax.fori_loop(0, _UPDATES_A_ROUND, update, (foresight, state))


@jax.jit
def _loss(foresight: Foresight, lessons: Lessons) -> Float[Array, ""]:
    """Mean cross-entropy of the shares, whose least is where each is what it is in the mean."""
    return jnp.mean(
        optax.sigmoid_binary_cross_entropy(foreseen_logits(foresight, lessons.evidence), lessons.found)
    )


def _optimizer() -> optax.GradientTransformation:
    schedule = optax.cosine_decay_schedule(_LEARNING_RATE, _NUM_ROUNDS * _UPDATES_A_ROUND, 0.01)
    return optax.adamw(schedule, weight_decay=_WEIGHT_DECAY)
