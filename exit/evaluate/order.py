"""Whether a network that sees histories minds their order: the same events, the same play."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from exit.evaluate.figures import interval
from exit.evaluate.histories import Histories, Reordered, reordered, replayed
from exit.game import Game, State
from exit.network import Network, Params, PredictFn, Recurrence, newest_event, recurrence_of

CLOSE = 0.005
"""Total variation up to which two policies count as the same."""

_MOST_AFTER = 5


def order_figures(
    histories: Histories, *, params: Params, game: Game, network: Network, seed: int = 0
) -> dict[str, Any]:
    """How far the reflex's policies differ between histories that are the same events in another order.

    Returns:
      `pairs`; of their total variation `mean_tv` and its interval, `median_tv`, `p95_tv`, `max_tv`, and
      `share_close`, at most 0.005 apart; `same_action`; `value_distance`, mean, in reward units; and for
      comparison `unlike_mean_tv`, between histories of one length whose statistics differ.
    """
    pairs = reordered(game, histories, histories.length, seed=seed)
    if not len(pairs.changed):
        return {"pairs": 0}
    asked = {"params": params, "game": game, "predict": network.predict}
    (first, value), (second, other) = (
        jax.device_get(_policies(replayed(game, *each)[0], **asked)) for each in pairs[:2]
    )
    apart = _total_variation(first, second)
    # Neighbours in the order of lengths are unlike histories of one length.
    order = np.argsort(pairs.first.length, kind="stable")
    unlike = _total_variation(first[order][:-1], first[order][1:])
    return {
        "pairs": len(apart),
        "mean_tv": float(apart.mean()),
        "ci95": {"mean_tv": interval(apart)},
        "median_tv": float(np.median(apart)),
        "p95_tv": float(np.quantile(apart, 0.95)),
        "max_tv": float(apart.max()),
        "share_close": float((apart <= CLOSE).mean()),
        "same_action": float((first.argmax(axis=1) == second.argmax(axis=1)).mean()),
        "value_distance": float(np.abs(value - other).mean()),
        "unlike_mean_tv": float(unlike.mean()),
    }


def swap_figures(
    histories: Histories, *, params: Params, game: Game, network: Network, seed: int = 0
) -> dict[str, Any] | None:
    """What changes when the memory of a history is exchanged for that of its events in another order.

    Up to five moves before its end, what the network remembers of each history is replaced; the rest of the
    history is then read on top of it, and the reflex's action looked at after every move.

    Returns:
      `pairs`, `actions` that were compared, `unchanged`, the share of them that are the same, and its
      interval. None for networks that remember nothing.
    """
    recurrence = recurrence_of(network.predict)
    if recurrence is None:
        return None
    rng = np.random.default_rng(seed)
    after = rng.integers(0, _MOST_AFTER + 1, len(histories.length))
    pairs = reordered(game, histories, np.maximum(histories.length - after, 0), seed=seed)
    if not len(pairs.changed):
        return {"pairs": 0}
    same, counts = jax.device_get(_swapped(pairs, params=params, game=game, recurrence=recurrence))
    compared = same[counts]
    return {
        "pairs": len(pairs.changed),
        "actions": int(compared.size),
        "unchanged": float(compared.mean()),
        "ci95": {"unchanged": interval(compared)},
    }


@functools.partial(jax.jit, static_argnames=("game", "predict"))
def _policies(
    states: State, *, params: Params, game: Game, predict: PredictFn
) -> tuple[Float[Array, "n A"], Float[Array, " n"]]:
    """The reflex's policies over legal actions, and its values."""
    logits, value = predict(params, jax.vmap(game.observe)(states))
    legal = jax.vmap(game.legal_actions)(states)
    return jax.nn.softmax(jnp.where(legal, logits, -jnp.inf)), value


def _total_variation(
    first: Float[np.ndarray, "n A"], second: Float[np.ndarray, "n A"]
) -> Float[np.ndarray, " n"]:
    return np.abs(first - second).sum(axis=1) / 2


@functools.partial(jax.jit, static_argnames=("game", "recurrence"))
def _swapped(pairs: Reordered, *, params: Params, game: Game, recurrence: Recurrence) -> tuple[Array, Array]:
    """Whether the actions with either memory agree, after 0 to 5 moves more, and where there are so many."""

    def seen(histories: Histories, length: Any) -> tuple[Array, Array]:
        states, _ = replayed(game, histories.actions, histories.outcomes, length)
        return jax.vmap(game.observe)(states), jax.vmap(game.legal_actions)(states)

    memories = [
        recurrence.remember(params, seen(each, pairs.changed)[0]) for each in (pairs.first, pairs.second)
    ]
    same, counts = [], []
    for more in range(_MOST_AFTER + 1):
        length = pairs.changed + more
        observation, legal = seen(pairs.first, length)
        if more:
            event = jax.vmap(newest_event)(observation)
            memories = [recurrence.step(params, memory, event) for memory in memories]
        actions = [
            jnp.argmax(jnp.where(legal, recurrence.read(params, memory, observation)[0], -jnp.inf), axis=1)
            for memory in memories
        ]
        same.append(actions[0] == actions[1])
        counts.append(length <= pairs.first.length)
    return jnp.stack(same), jnp.stack(counts)
