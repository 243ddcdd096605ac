"""From examples to parameters: the loss, the optimiser and the averaged copy that acts."""

from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key

from exit.devices import divided, everywhere
from exit.game import Game, num_symmetries_of, observed_value_bounds_of, symmetries_of
from exit.jitting import jitted
from exit.muon import flops_of_muon, muon
from exit.network import Network, Params
from exit.replay import Replay, draw, rows_at
from exit.targets import Targets, policy_distance

_LEAST_WIDTH = 1e-6
"""Of the width of `value_bounds`: what bounds of one state's value are taken to be apart at least."""


@dataclass(frozen=True)
class LearnerConfig:
    """How to learn.

    Attributes:
      batch_size: examples an update.
      num_updates: updates an iteration.
      optimizer: "adamw"; or "muon" (Jordan et al. 2024), which makes every step of a matrix, or of the kernel
        of a convolution, nearly orthogonal and ten learning rates long. The last layers and what is no matrix
        are left to AdamW with Nesterov's momentum. An update costs more by products of matrices, as much as
        of gradients where the shorter side of a matrix is a fifth of the batch.
      learning_rate: peak of a schedule that rises linearly and falls as a cosine to a hundredth.
      warmup_fraction: share of all updates in which the learning rate rises.
      weight_decay: decoupled: this share of the learning rate is what matrices and kernels lose with an
        update; with muon not the last layers. What is said of positions never met hangs on it.
      forgetting: the same, less and less as training goes on: update t takes off them the share
        forgetting / (forgetting + t), times what the learning rate is of its peak. Half of what was learnt
        by then is gone after 0.7 t / forgetting more, in a short run as in a long one.
      max_grad_norm: gradients are clipped to this global norm.
      averaging_decay: of the exponential average of parameters that acts; after t updates no more than
        (1 + t) / (10 + t), so that the average forgets the parameters that training began with.
      value_weight: weight of the value loss against the policy loss.
      augment: apply a random symmetry of the game to each example; None does so unless the network knows all
        of them (`MLPConfig.images`).
      focus: share of a batch that is drawn in proportion to what the network's policy gave away, by what
        search had found, when it last saw the example in an iteration before (prioritised replay; Schaul et
        al. 2016, without their weights against the bias). The others are drawn evenly.
    """

    batch_size: int = 1024
    num_updates: int = 8
    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: float = 2e-3
    warmup_fraction: float = 0.05
    weight_decay: float = 1e-4
    forgetting: float = 0.0
    max_grad_norm: float = 1.0
    averaging_decay: float = 0.995
    value_weight: float = 1.0
    augment: bool | None = None
    focus: float = 0.0

    def __post_init__(self) -> None:
        rules = {
            "batch_size": (self.batch_size >= 1, "at least 1"),
            "num_updates": (self.num_updates >= 1, "at least 1"),
            "optimizer": (self.optimizer in ("adamw", "muon"), "'adamw' or 'muon'"),
            "learning_rate": (self.learning_rate > 0, "greater than 0"),
            "max_grad_norm": (self.max_grad_norm > 0, "greater than 0"),
            "warmup_fraction": (0.0 <= self.warmup_fraction < 1.0, "in [0, 1)"),
            "weight_decay": (
                0.0 <= self.weight_decay * self.learning_rate < 1.0,
                "0 or more, and below 1 / learner.learning_rate, where one update leaves nothing",
            ),
            "forgetting": (0.0 <= self.forgetting < float("inf"), "a number of at least 0"),
            "averaging_decay": (0.0 <= self.averaging_decay <= 1.0, "in [0, 1]"),
            "value_weight": (self.value_weight >= 0.0, "0 or more"),
            "focus": (0.0 <= self.focus <= 1.0, "in [0, 1], where 0 draws all examples evenly"),
        }
        for name, (holds, allowed) in rules.items():
            if not holds:
                raise ValueError(f"learner.{name} is {getattr(self, name)!r}; it must be {allowed}")

    @property
    def bfloat16(self) -> bool:
        """Whether its own products of matrices are in bfloat16, whatever the network's are."""
        return self.optimizer == "muon"


class LearnerState(NamedTuple):
    """Everything the learner carries.

    Attributes:
      params: being trained.
      averaged_params: their running average, which acts.
      optimizer_state: of optax.
      num_updates: updates done.
    """

    params: Params
    averaged_params: Params
    optimizer_state: optax.OptState
    num_updates: Int[Array, ""]


class LearnerMetrics(NamedTuple):
    """Means over the updates of one iteration.

    Attributes:
      policy_loss: in nats above the target's entropy.
      value_loss: likewise.
      grad_norm: norm of the gradient before it is clipped.
      learning_rate: as the schedule has it.
      update_ratio: length of an update over that of the parameters it moves.
    """

    policy_loss: Float[Array, ""]
    value_loss: Float[Array, ""]
    grad_norm: Float[Array, ""]
    learning_rate: Float[Array, ""]
    update_ratio: Float[Array, ""]


def init_learner(
    rng_key: Key[Array, ""], *, network: Network, config: LearnerConfig, total_updates: int
) -> LearnerState:
    """Fresh parameters and optimiser; the key is consumed."""
    params = network.init(rng_key)
    optimizer = _optimizer(config, total_updates)
    return LearnerState(params, jax.tree.map(jnp.copy, params), optimizer.init(params), jnp.int32(0))


def learn(
    state: LearnerState,
    rng_key: Key[Array, ""],
    replay: Replay,
    *,
    game: Game,
    network: Network,
    config: LearnerConfig,
    total_updates: int,
    counts_for: Float[Array, " capacity"] | None = None,
) -> tuple[LearnerState, Replay, LearnerMetrics]:
    """Do one iteration's updates on examples drawn from the replay; the key is consumed.

    Where the replay keeps regrets up to date (`LearnerConfig.focus`), it is consumed too.

    Args:
      counts_for: what each example counts for when some are drawn (`exit.replay.rarities`); None for alike.

    Returns:
      The learner after them, the replay with what the network now gives away in its examples, and figures.
    """
    rows, batches = _batches(
        replay, rng_key, counts_for, game=game, config=_with_augmentation(config, game, network)
    )
    regrets, metrics = [], []
    # Not one program with a loop in it: within loops XLA takes ten times as long on a CPU for the gradients
    # of convolutions.
    for batch in batches:
        state, regret, found = _update(
            state, batch, game=game, network=network, config=config, total_updates=total_updates
        )
        regrets.append(regret)
        metrics.append(found)
    if config.focus:
        seen = _seen_again(replay.examples.regret, rows, regrets)
        replay = replay._replace(examples=replay.examples._replace(regret=seen))
    return state, replay, jax.tree.map(lambda *each: jnp.mean(jnp.stack(each)), *metrics)


def _with_augmentation(config: LearnerConfig, game: Game, network: Network) -> LearnerConfig:
    """The configuration that says whether examples are moved by symmetries."""
    if config.augment is not None:
        return config
    return replace(config, augment=num_symmetries_of(game) > network.num_images)


@jitted(static=("game", "config"))
def _batches(
    replay: Replay,
    rng_key: Key[Array, ""],
    counts_for: Float[Array, " capacity"] | None,
    *,
    game: Game,
    config: LearnerConfig,
) -> tuple[Int[Array, "U B"], list[Targets]]:
    """The examples of U updates, and their rows.

    Drawn together, since to add up what each of millions counts for is much of a small network's update.
    """
    key_even, key_focused, key_symmetry = jax.random.split(rng_key, 3)
    num_updates, num_focused = config.num_updates, round(config.focus * config.batch_size)

    def drawn(rng_key: Key[Array, ""], num: int, focus: float) -> Int[Array, "U num"]:
        rows = draw(replay, rng_key, num_updates * num, focus=focus, counts_for=counts_for)
        # They come from one part of the replay after the other; every update gets some from each.
        return rows.reshape(num, num_updates).T

    even = drawn(key_even, config.batch_size - num_focused, 0.0)
    rows = jnp.concatenate([even, drawn(key_focused, num_focused, 1.0)], axis=1) if num_focused else even
    examples = rows_at(replay, rows.reshape(-1))
    if config.augment:
        examples = augment(examples, key_symmetry, game=game)
    examples = jax.tree.map(lambda leaf: leaf.reshape(*rows.shape, *leaf.shape[1:]), examples)
    batches = [jax.tree.map(itemgetter(index), examples) for index in range(num_updates)]
    return everywhere(rows), [divided(batch) for batch in batches]


@jitted(donate=("regret",))
def _seen_again(
    regret: Float[Array, " capacity"], rows: Int[Array, "U B"], found: list[Float[Array, " B"]]
) -> Float[Array, " capacity"]:
    """The regret in all examples, in those of these rows as the network last saw it."""
    newer = jnp.stack(found)

    def write(index: Array, regret: Float[Array, " capacity"]) -> Float[Array, " capacity"]:
        return regret.at[rows[index]].set(newer[index])

    return everywhere(jax.lax.fori_loop(0, len(newer), write, regret))


@jitted(static=("game", "network", "config", "total_updates"))
def _update(
    state: LearnerState,
    examples: Targets,
    *,
    game: Game,
    network: Network,
    config: LearnerConfig,
    total_updates: int,
) -> tuple[LearnerState, Float[Array, " B"], LearnerMetrics]:
    """One update, with the policy's regret in each example."""
    optimizer = _optimizer(config, total_updates)
    examples = divided(examples)
    gradient_fn = jax.value_and_grad(_loss, has_aux=True)
    (_, (policy_loss, value_loss, regret)), grads = gradient_fn(
        state.params, examples, game=game, network=network, value_weight=config.value_weight
    )
    updates, optimizer_state = optimizer.update(grads, state.optimizer_state, state.params)
    params = optax.apply_updates(state.params, updates)
    done = state.num_updates.astype(jnp.float32)
    decay = jnp.minimum(config.averaging_decay, (1.0 + done) / (10.0 + done))
    averaged = jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, state.averaged_params, params)
    learning_rate = jnp.asarray(_schedule(config, total_updates)(state.num_updates))
    update_ratio = optax.tree.norm(updates) / optax.tree.norm(state.params)
    metrics = LearnerMetrics(policy_loss, value_loss, optax.tree.norm(grads), learning_rate, update_ratio)
    state = LearnerState(params, averaged, optimizer_state, state.num_updates + 1)
    return everywhere(state), everywhere(regret), metrics


def augment(examples: Targets, rng_key: Key[Array, ""], *, game: Game) -> Targets:
    """Each example under a symmetry of the game drawn uniformly."""

    def move(example: Targets, rng_key: Key[Array, ""]) -> Targets:
        states, actions = symmetries_of(game, example.state)
        chosen = jax.random.randint(rng_key, (), 0, actions.shape[0])
        moved = actions[chosen]
        weights = jnp.zeros_like(example.action_weights).at[moved].set(example.action_weights)
        regrets = jnp.zeros_like(example.regrets).at[moved].set(example.regrets)
        state = jax.tree.map(lambda leaf: leaf[chosen], states)
        return example._replace(state=state, action_weights=weights, regrets=regrets)

    return jax.vmap(move)(examples, jax.random.split(rng_key, examples.value.shape[0]))


@jitted(static=("game", "network"))
def regrets_now(params: Params, examples: Targets, *, game: Game, network: Network) -> Float[Array, " B"]:
    """What the network's policy gives away in each example, by what search saw."""
    logits, _ = network.predict(params, jax.vmap(game.observe)(examples.state))
    return everywhere(_given_away(_log_probs(logits, examples, game), examples))


def _log_probs(logits: Float[Array, "B A"], examples: Targets, game: Game) -> Float[Array, "B A"]:
    legal_actions = jax.vmap(game.legal_actions)(examples.state)
    return jax.nn.log_softmax(jnp.where(legal_actions, logits, -1e9))


def _given_away(log_probs: Float[Array, "B A"], examples: Targets) -> Float[Array, " B"]:
    return jnp.sum(jnp.exp(log_probs) * examples.regrets, axis=-1)


def _loss(
    params: Params, examples: Targets, *, game: Game, network: Network, value_weight: float
) -> tuple[Float[Array, ""], tuple[Float[Array, ""], Float[Array, ""], Float[Array, " B"]]]:
    """Distance of the policy from its target plus cross-entropy of the value within its bounds.

    With both alone, and the policy's regret in each example.
    """
    observation = jax.vmap(game.observe)(examples.state)
    logits, value = network.predict(params, observation)
    log_probs = _log_probs(logits, examples, game)
    policy_loss = jnp.mean(policy_distance(log_probs, examples.action_weights, examples.solved))
    regret = _given_away(log_probs, examples)
    low, high = jax.vmap(lambda seen: observed_value_bounds_of(game, seen))(observation)
    # Where the rules tell the value, there is nothing to learn.
    width = jnp.maximum(high - low, _LEAST_WIDTH * (game.value_bounds[1] - game.value_bounds[0]))
    # The value as a probability between the bounds: its cross-entropy does not flatten out near them.
    predicted = jnp.clip((value - low) / width, 1e-6, 1 - 1e-6)
    wanted = jnp.clip((examples.value - low) / width, 0.0, 1.0)
    value_loss = jnp.mean(
        wanted * (jnp.log(jnp.maximum(wanted, 1e-30)) - jnp.log(predicted))
        + (1 - wanted) * (jnp.log(jnp.maximum(1 - wanted, 1e-30)) - jnp.log(1 - predicted))
    )
    return policy_loss + value_weight * value_loss, (policy_loss, value_loss, regret)


def _schedule(config: LearnerConfig, total_updates: int) -> optax.Schedule:
    return optax.warmup_cosine_decay_schedule(
        init_value=config.learning_rate / 100,
        peak_value=config.learning_rate,
        warmup_steps=max(1, int(config.warmup_fraction * total_updates)),
        decay_steps=max(2, total_updates),
        end_value=config.learning_rate / 100,
    )


def _weight_decay(config: LearnerConfig) -> optax.Schedule:
    """What matrices lose with the update that follows so many, as a share of the learning rate."""

    def share(count: ArrayLike) -> Array:
        falling = config.forgetting / (config.forgetting + 1 + jnp.asarray(count))
        return config.weight_decay + falling / config.learning_rate

    return share


def _optimizer(config: LearnerConfig, total_updates: int) -> optax.GradientTransformation:
    schedule = _schedule(config, total_updates)
    if config.optimizer == "muon":
        step = muon(schedule, _weight_decay(config))
    else:
        step = optax.adamw(
            schedule,
            weight_decay=_weight_decay(config),
            mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params),
        )
    return optax.chain(optax.clip_by_global_norm(config.max_grad_norm), step)


def flops_of_optimizer(params: Params, config: LearnerConfig) -> float:
    """Operations of an update beside its gradients: those of products of matrices, which alone count."""
    return flops_of_muon(params) if config.optimizer == "muon" else 0.0
