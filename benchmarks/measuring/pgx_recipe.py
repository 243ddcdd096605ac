"""The AlphaZero recipe that Pgx publishes as an example, on Pgx's rules and mctx's search.

After the description and settings of `examples/alphazero` of S. Koyamada et al.'s Pgx: Gumbel search with 32
simulations, played from the first move of each game; one pass of Adam over the positions of an iteration;
a residual tower with batch normalisation; no replay, no symmetries. The size of an iteration is smaller than
the published 1,024 games of 256 moves and batches of 4,096, of which a CPU does two in twenty minutes.
"""

import functools
import operator
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mctx
import optax
import pgx
from flax import nnx
from jaxtyping import Array, Bool, Float, Key

from exit.devices import divided, everywhere, over_devices
from games.connect_four import ConnectFour, ConnectFourState

# Chex dataclasses hide their fields from type checkers.
_MCTX: Any = mctx


@functools.cache
def _env() -> Any:
    """Pgx's rules."""
    return pgx.make("connect_four")


@dataclass(frozen=True)
class RecipeConfig:
    """Sizes of the recipe.

    Attributes:
      num_games: played side by side, from their first move in every iteration.
      num_steps: moves of each in an iteration; a finished game is followed by another.
      batch_size: positions an update; every position is used once.
    """

    channels: int = 32
    num_blocks: int = 3
    num_games: int = 128
    num_steps: int = 128
    num_simulations: int = 32
    batch_size: int = 1024
    learning_rate: float = 1e-3


class _Block(nnx.Module):
    """Pre-activated residual block of two convolutions."""

    def __init__(self, channels: int, rngs: nnx.Rngs):
        self.norms = nnx.List([_norm(channels, rngs) for _ in range(2)])
        self.convs = nnx.List([nnx.Conv(channels, channels, (3, 3), rngs=rngs) for _ in range(2)])

    def __call__(self, x: jax.Array) -> jax.Array:
        hidden = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            hidden = conv(nnx.relu(norm(hidden)))
        return x + hidden


class _Net(nnx.Module):
    """The tower, a policy head of two planes and a value head of one."""

    def __init__(self, config: RecipeConfig, rngs: nnx.Rngs):
        channels, (rows, columns, planes) = config.channels, _env().observation_shape
        self.stem = nnx.Conv(planes, channels, (3, 3), rngs=rngs)
        self.blocks = nnx.List([_Block(channels, rngs) for _ in range(config.num_blocks)])
        self.norm = _norm(channels, rngs)
        self.policy_planes = nnx.Conv(channels, 2, (1, 1), rngs=rngs)
        self.policy_norm = _norm(2, rngs)
        self.policy = nnx.Linear(2 * rows * columns, _env().num_actions, rngs=rngs)
        self.value_plane = nnx.Conv(channels, 1, (1, 1), rngs=rngs)
        self.value_norm = _norm(1, rngs)
        self.value_hidden = nnx.Linear(rows * columns, channels, rngs=rngs)
        self.value = nnx.Linear(channels, 1, rngs=rngs)

    def __call__(self, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        x = self.stem(observation.astype(jnp.float32))
        for block in self.blocks:
            x = block(x)
        x = nnx.relu(self.norm(x))
        flat = (len(x), -1)
        logits = self.policy(nnx.relu(self.policy_norm(self.policy_planes(x))).reshape(flat))
        hidden = nnx.relu(self.value_norm(self.value_plane(x))).reshape(flat)
        return logits, jnp.tanh(self.value(nnx.relu(self.value_hidden(hidden))))[:, 0]


def _norm(channels: int, rngs: nnx.Rngs) -> nnx.BatchNorm:
    return nnx.BatchNorm(channels, momentum=0.9, rngs=rngs)


class _Model(NamedTuple):
    """Parameters and the running statistics of normalisation."""

    params: Any
    statistics: Any


class _Played(NamedTuple):
    """Positions as played, `[B, T, ...]`."""

    observation: Bool[Array, "B T 6 7 2"]
    action_weights: Float[Array, "B T A"]
    reward: Float[Array, "B T"]
    terminated: Bool[Array, "B T"]


class RecipeState(NamedTuple):
    """Everything that changes."""

    model: _Model
    optimizer_state: Any
    rng_key: Key[Array, ""]


def init(config: RecipeConfig, seed: int) -> RecipeState:
    """Before the first iteration."""
    key_params, rng_key = jax.random.split(jax.random.key(seed))
    _, params, statistics = nnx.split(_Net(config, nnx.Rngs(key_params)), nnx.Param, nnx.BatchStat)
    model = _Model(params, statistics)
    return jax.jit(everywhere)(RecipeState(model, _optimizer(config).init(params), rng_key))


def iterate(state: RecipeState, *, config: RecipeConfig) -> RecipeState:
    """One iteration: play, then one pass of updates over what was played."""
    rng_key, batches = _played_batches(state, config=config)
    model, optimizer_state = state.model, state.optimizer_state
    # Not a loop within one program: in those XLA's gradients of convolutions take ten times as long on a CPU.
    for index in range(config.num_games * config.num_steps // config.batch_size):
        batch = jax.tree.map(operator.itemgetter(index), batches)
        model, optimizer_state = _updated(model, optimizer_state, batch, config=config)
    return RecipeState(model, optimizer_state, rng_key)


@functools.partial(jax.jit, static_argnames="config")
def _played_batches(state: RecipeState, *, config: RecipeConfig) -> tuple[Key[Array, ""], Any]:
    """The key of the next iteration, and what was played in this one, shuffled, in batches."""
    rng_key, key_play, key_order = jax.random.split(state.rng_key, 3)
    played = over_devices(
        lambda model, keys: _self_play(model, keys, config),
        state.model,
        jax.random.split(key_play, config.num_games),
        jnp.ones(config.num_games),
    )
    examples = (played.observation, played.action_weights, *_value_targets(played))
    num_examples = config.num_games * config.num_steps
    order = jax.random.permutation(key_order, num_examples)

    def shuffled(leaf: Array) -> Array:
        rest = leaf.shape[2:]
        return leaf.reshape(num_examples, *rest)[order].reshape(-1, config.batch_size, *rest)

    return everywhere((rng_key, jax.tree.map(shuffled, examples)))


@functools.partial(jax.jit, static_argnames="config")
def _updated(model: _Model, optimizer_state: Any, batch: Any, *, config: RecipeConfig) -> tuple[_Model, Any]:
    """One step of the optimiser."""
    grads, statistics = jax.grad(_loss, has_aux=True)(model.params, model.statistics, divided(batch), config)
    updates, optimizer_state = _optimizer(config).update(grads, optimizer_state, model.params)
    return everywhere((_Model(optax.apply_updates(model.params, updates), statistics), optimizer_state))


@functools.partial(jax.jit, static_argnames="config")
def reflex_logits(state: RecipeState, states: ConnectFourState, *, config: RecipeConfig) -> Array:
    """Policy logits `[B, 7]` at positions of this project's game, whose rows count from the bottom."""
    observation = jax.vmap(ConnectFour().observe)(states)[:, ::-1]
    return _apply(state.model, observation > 0, config)[0]


def _apply(model: _Model, observation: Array, config: RecipeConfig) -> tuple[Array, Array]:
    """Logits and value with the running statistics."""
    net = nnx.merge(_graph(config), model.params, model.statistics)
    net.eval()
    return net(observation)


@functools.cache
def _graph(config: RecipeConfig) -> Any:
    return nnx.split(nnx.eval_shape(lambda: _Net(config, nnx.Rngs(0))), nnx.Param, nnx.BatchStat)[0]


def _optimizer(config: RecipeConfig) -> optax.GradientTransformation:
    return optax.adam(config.learning_rate)


def _self_play(model: _Model, key_games: Key[Array, " B"], config: RecipeConfig) -> _Played:
    """T moves of each game."""
    key_init, key_play = jax.random.split(key_games[0])
    num_games = len(key_games)
    step_fn = jax.vmap(_step_or_restart)

    def recurrent_fn(model: _Model, rng_key: Any, action: Array, state: Any) -> tuple[Any, Any]:
        mover = state.current_player
        state = jax.vmap(_env().step)(state, action)
        logits, value = _apply(model, state.observation, config)
        over = state.terminated
        output = _MCTX.RecurrentFnOutput(
            reward=_reward_to(mover, state),
            discount=jnp.where(over, 0.0, -1.0),
            prior_logits=jnp.where(state.legal_action_mask, logits, jnp.finfo(logits.dtype).min),
            value=jnp.where(over, 0.0, value),
        )
        return output, state

    def move(state: Any, key_move: Key[Array, ""]) -> tuple[Any, _Played]:
        key_search, key_starts = jax.random.split(key_move)
        logits, value = _apply(model, state.observation, config)
        result = _MCTX.gumbel_muzero_policy(
            model,
            key_search,
            _MCTX.RootFnOutput(prior_logits=logits, value=value, embedding=state),
            recurrent_fn,
            config.num_simulations,
            invalid_actions=~state.legal_action_mask,
        )
        after, reward, over = step_fn(state, result.action, jax.random.split(key_starts, num_games))
        return after, _Played(state.observation, result.action_weights, reward, over)

    start = jax.vmap(_env().init)(jax.random.split(key_init, num_games))
    _, played = jax.lax.scan(move, start, jax.random.split(key_play, config.num_steps))
    return jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), played)


def _step_or_restart(state: Any, action: Array, key_start: Key[Array, ""]) -> tuple[Any, Array, Array]:
    """The position to go on from, the mover's reward, and whether the game ended."""
    after = _env().step(state, action)
    reward = after.rewards[state.current_player]
    start = _env().init(key_start)
    chosen = jax.tree.map(lambda new, old: jnp.where(after.terminated, new, old), start, after)
    return chosen, reward, after.terminated


def _reward_to(player: Array, state: Any) -> Array:
    return jnp.take_along_axis(state.rewards, player[:, None], axis=1)[:, 0]


def _value_targets(played: _Played) -> tuple[Array, Array]:
    """The game's result to the player to move, and whether the game was seen to its end; `[B, T]`."""

    def backup(later: tuple[Array, Array], now: tuple[Array, Array]) -> tuple[Any, Any]:
        value, known = later
        reward, over = now
        value = jnp.where(over, reward, reward - value)
        return (value, known | over), (value, known | over)

    nothing = jnp.zeros(len(played.reward)), jnp.zeros(len(played.reward), bool)
    rows = (played.reward.T, played.terminated.T)
    _, (value, known) = jax.lax.scan(backup, nothing, rows, reverse=True)
    return value.T, known.T


def _loss(params: Any, statistics: Any, batch: Any, config: RecipeConfig) -> tuple[Array, Any]:
    observation, action_weights, value_target, known = batch
    # Variables of this trace, for training mode to write the running statistics into.
    net = nnx.merge(_graph(config), params, jax.tree.map(jnp.copy, statistics))
    net.train()
    logits, value = net(observation)
    policy_loss = jnp.mean(optax.softmax_cross_entropy(logits, action_weights))
    value_loss = jnp.mean(known * optax.l2_loss(value, value_target))
    return policy_loss + value_loss, nnx.state(net, nnx.BatchStat)
