"""A tree of an agent whose game is too large to list: asked where play leads, valued by search."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt32

from exit.agent import Agent
from exit.compile.tree.classify import classify
from exit.compile.tree.extract import statistics_at
from exit.compile.tree.grow import Sample
from exit.compile.tree.nodes import Tree, play
from exit.errors import UsageError
from exit.evaluate import CHUNK
from exit.game import Game, State
from exit.solve import states_of

NUM_STATES = 8 * CHUNK
_ROUNDS = 6
_MAX_PLIES = 400
_RANDOM_SHARE = 0.1


def extract_sampled(
    agent: Agent, budget: int, *, max_nodes: int, num_states: int = NUM_STATES, seed: int = 0
) -> Tree:
    """A tree that imitates an agent where the tree's own play leads, weighted by searched regret.

    DAgger: the first states come from random play, those of each later round from the trees before,
    which now and then move at random. What a wrong move would cost is the search's own opinion.

    Args:
      budget: simulations a state, at least 1: without search no move has a value.
      num_states: asked about in all.

    Raises:
      UsageError: the budget is 0.
    """
    if budget < 1:
        raise UsageError(
            f"{agent.game.name} is not solved here, so that the values of moves come from search; "
            "give --agent-budget 1 or more"
        )
    rng, game, tree = np.random.default_rng(seed), agent.game, None
    seen: list[Sample] = []
    for _ in range(_ROUNDS):
        keys = _met(game, tree, max(num_states // _ROUNDS, 1), rng)
        seen.append(_asked(agent, budget, keys))
        tree = classify(Sample(*map(np.concatenate, zip(*seen, strict=True))), max_nodes)
    assert tree is not None
    return tree


def _asked(agent: Agent, budget: int, keys: UInt32[np.ndarray, "n K"]) -> Sample:
    """What the agent does in states, and what it thinks that other moves would cost."""
    parts = []
    for start in range(0, len(keys), CHUNK):
        some = keys[start : start + CHUNK]
        padded = some[np.arange(CHUNK).clip(max=len(some) - 1)]
        states = states_of(agent.game, padded)
        result = jax.device_get(agent.act(states, budget))
        _, legal = jax.device_get(_rules(agent.game).looked(states))
        parts.append([np.asarray(x)[: len(some)] for x in (result.action, result.qvalues, legal)])
    action, qvalues, legal = map(np.concatenate, zip(*parts, strict=True))
    cost = _searched_regret(qvalues, legal, agent.game)
    cost[np.arange(len(action)), action] = 0.0
    return Sample(statistics_at(agent.game, keys), cost, action.astype(np.int64), cost.max(axis=1))


def _searched_regret(
    qvalues: Float[np.ndarray, "n A"], legal: np.ndarray, game: Game
) -> Float[np.ndarray, "n A"]:
    """How much less search expects of each move than of the best; of an illegal one more than of any."""
    best = np.where(legal, qvalues, -np.inf).max(axis=1, keepdims=True)
    regret = np.where(legal, best - qvalues, 0.0)
    unit = max(map(abs, game.value_bounds))
    return np.where(legal, regret, regret.max(axis=1, keepdims=True) + unit).astype(float)


def _met(game: Game, tree: Tree | None, count: int, rng: np.random.Generator) -> UInt32[np.ndarray, "n K"]:
    """Unfinished states of games that a tree plays against itself, or random play where there is none."""
    num_games = max(count // 16, 16)
    rules = _rules(game)
    states = jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf)[None], num_games, axis=0), game.init())
    found: list[np.ndarray] = []
    for _ in range(_MAX_PLIES):
        keys, legal = jax.device_get(rules.looked(states))
        alive = legal.any(axis=1)
        if not alive.any():
            break
        found.append(keys[alive])
        action = _chosen(game, tree, keys, legal, rng)
        states = jax.device_get(rules.moved(states, action, rng.random(num_games).astype(np.float32)))
    keys = np.unique(np.concatenate(found), axis=0)
    return keys[rng.permutation(len(keys))[:count]]


def _chosen(
    game: Game, tree: Tree | None, keys: np.ndarray, legal: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The tree's moves, some of them and all illegal ones random."""
    drawn = np.where(legal, rng.random(legal.shape), -1.0).argmax(axis=1)
    if tree is None:
        return drawn
    action = play(tree, statistics_at(game, keys))
    allowed = legal[np.arange(len(action)), action]
    return np.where(allowed & (rng.random(len(action)) > _RANDOM_SHARE), action, drawn)


class _Rules(NamedTuple):
    """A game's rules for batches of states.

    Attributes:
      looked: keys and legal actions.
      moved: states after actions, chance decided by numbers from 0 to 1.
    """

    looked: Callable[..., tuple[jax.Array, jax.Array]]
    moved: Callable[..., State]


@functools.cache
def _rules(game: Game) -> _Rules:
    def look(state: State) -> tuple[jax.Array, jax.Array]:
        return game.encode(state).astype(jnp.uint32), game.legal_actions(state)

    def move(state: State, action: jax.Array, share: jax.Array) -> State:
        chances = jnp.cumsum(game.outcome_probs(state, action))
        outcome = jnp.minimum(jnp.sum(chances <= share * chances[-1]), game.num_outcomes - 1)
        after, _ = game.apply(state, action, outcome)
        # What is over stays over, whatever the rules make of a move there.
        over = ~jnp.any(game.legal_actions(state))
        return jax.tree.map(lambda old, new: jnp.where(over, old, new), state, after)

    return _Rules(jax.jit(jax.vmap(look)), jax.jit(jax.vmap(move)))
