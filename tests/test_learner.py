"""The learner: losses fall, symmetries commute, and every regulariser does what its name says."""

import functools
import itertools
from dataclasses import replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from exit import learner as learner_module
from exit import replay as ring
from exit.game import Game, symmetries_of
from exit.learner import (
    LearnerConfig,
    LearnerMetrics,
    LearnerState,
    augment,
    flops_of_optimizer,
    init_learner,
    learn,
)
from exit.muon import flops_of_muon
from exit.network import LAST_LAYERS, make_network
from exit.replay import Replay
from exit.targets import Targets, policy_distance
from games.tic_tac_toe import TicTacToe
from tests.planted import Chain, HeapState, TwoHeaps
from tests.tiny import NET, random_params, random_states, row, targets_of

GAME = TicTacToe()
# One update a call; every other configuration is another program to compile.
CONFIG = LearnerConfig(
    batch_size=16,
    num_updates=1,
    learning_rate=1e-2,
    warmup_fraction=0.1,
    weight_decay=0.0,
    max_grad_norm=100.0,
    averaging_decay=0.2,
    augment=False,
)
ROUND = replace(CONFIG, num_updates=20)
TOTAL = 400


@functools.cache
def _examples() -> Targets:
    states = random_states(GAME, 16, 6, seed=0)
    legal = np.asarray(jax.vmap(GAME.legal_actions)(states))
    rng = np.random.default_rng(1)
    weights = rng.random(legal.shape) ** 3 * legal
    weights /= weights.sum(axis=1, keepdims=True)
    return targets_of(states, weights, rng.uniform(-1, 1, 16))


def _replay(examples: Targets | None = None) -> Replay:
    examples = _examples() if examples is None else examples
    return ring.add(ring.init(row(examples, 0), 16), examples)


@functools.cache
def _learn(config: LearnerConfig, game: Game = GAME) -> Any:
    return functools.partial(
        learn, game=game, network=make_network(NET, game), config=config, total_updates=TOTAL
    )


@functools.cache
def _fresh(config: LearnerConfig = CONFIG, game: Game = GAME) -> LearnerState:
    params = random_params(game, scale=0.1)
    template = jax.eval_shape(
        functools.partial(init_learner, network=make_network(NET, game), config=config, total_updates=TOTAL),
        jax.random.key(0),
    )
    # All that an optimiser carries starts at zero.
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), template)
    return zeros._replace(params=params, averaged_params=params)


def _update(
    config: LearnerConfig = CONFIG, state: LearnerState | None = None, replay: Replay | None = None
) -> tuple[LearnerState, LearnerMetrics]:
    learnt, _, metrics = _learn(config)(
        _fresh(config) if state is None else state,
        jax.random.key(5),
        _replay() if replay is None else replay,
    )
    return learnt, metrics


def _losses(params: Any) -> tuple[float, float]:
    """Policy and value loss of all examples from their definitions, in double precision."""
    examples = _examples()
    logits, value = make_network(NET, GAME).predict(params, jax.vmap(GAME.observe)(examples.state))
    legal = np.asarray(jax.vmap(GAME.legal_actions)(examples.state))
    likely = np.exp(np.where(legal, np.asarray(logits, float), -np.inf))
    likely /= likely.sum(axis=1, keepdims=True)
    target = np.asarray(examples.action_weights, float)
    some = target > 0
    policy = np.sum(target[some] * np.log(target[some] / likely[some])) / len(target)
    predicted, wanted = ((np.asarray(x, float) + 1) / 2 for x in (value, examples.value))
    cross = wanted * np.log(wanted / predicted) + (1 - wanted) * np.log((1 - wanted) / (1 - predicted))
    return float(policy), float(cross.mean())


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_losses_fall_on_a_fixed_set_of_examples(optimizer: Literal["adamw", "muon"]) -> None:
    config = replace(ROUND, optimizer=optimizer)
    state = _fresh(config)
    losses = [_losses(state.params)]
    for _ in range(TOTAL // 20):
        state, _ = _update(config, state)
        losses.append(_losses(state.params))
    for index, share in ((0, 0.5), (1, 0.25)):
        before, middle, after = (losses[moment][index] for moment in (0, 2, 20))
        assert before > middle > after
        assert after < share * before
    assert int(state.num_updates) == TOTAL


def test_the_losses_reported_are_those_of_their_definition() -> None:
    """Each example fills the ring, so that a batch can only be it."""
    policy, value = [], []
    for index in range(16):
        same = jax.tree.map(
            lambda leaf, index=index: jnp.repeat(leaf[index : index + 1], 16, axis=0), _examples()
        )
        _, metrics = _update(replay=_replay(same))
        policy.append(metrics.policy_loss)
        value.append(metrics.value_loss)
    expected = _losses(_fresh().params)
    assert np.mean(policy) == pytest.approx(expected[0], rel=1e-4)
    assert np.mean(value) == pytest.approx(expected[1], rel=1e-4)


def test_a_perfect_policy_has_no_loss() -> None:
    """The policy loss counts from the entropy of the target, so that 0 is perfect."""
    params = _fresh().params
    examples = _examples()
    logits, value = make_network(NET, GAME).predict(params, jax.vmap(GAME.observe)(examples.state))
    legal = jax.vmap(GAME.legal_actions)(examples.state)
    weights = jnp.where(legal, jax.nn.softmax(jnp.where(legal, logits, -1e9)), 0.0)
    _, metrics = _update(replay=_replay(targets_of(examples.state, weights, value)))
    assert float(metrics.policy_loss) == pytest.approx(0, abs=1e-6)
    assert float(metrics.value_loss) == pytest.approx(0, abs=1e-6)
    assert float(metrics.grad_norm) < 1e-4


def _policy(params: Any) -> tuple[np.ndarray, np.ndarray]:
    """The reflex's policy in all examples, and which actions are legal, in double precision."""
    logits, _ = make_network(NET, GAME).predict(params, jax.vmap(GAME.observe)(_examples().state))
    legal = np.asarray(jax.vmap(GAME.legal_actions)(_examples().state))
    likely = np.exp(np.where(legal, np.asarray(logits, float), -np.inf))
    return likely / likely.sum(axis=1, keepdims=True), legal


def test_moves_that_search_has_proven_equal_need_only_be_likely_together() -> None:
    """Weights on the first and the last legal move, of whatever size: the loss is that of both."""
    likely, legal = _policy(_fresh().params)
    best = np.zeros(legal.shape, bool)
    every = np.arange(16)
    best[every, legal.argmax(axis=1)] = best[every, 8 - legal[:, ::-1].argmax(axis=1)] = True
    expected = -np.log((likely * best).sum(axis=1))
    for first in (0.5, 0.9):
        weights = np.zeros(legal.shape)
        weights[every, 8 - legal[:, ::-1].argmax(axis=1)] = 1 - first
        weights[every, legal.argmax(axis=1)] = first
        found = policy_distance(jnp.log(jnp.maximum(likely, 1e-30)), jnp.asarray(weights), jnp.ones(16, bool))
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    solved = _examples()._replace(action_weights=jnp.asarray(best / 2.0), solved=jnp.ones(16, bool))
    same = [jax.tree.map(lambda leaf, k=k: jnp.repeat(leaf[k : k + 1], 16, axis=0), solved) for k in every]
    losses = [_update(replay=_replay(each))[1].policy_loss for each in same]
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


def test_examples_seen_tell_what_the_network_gives_away() -> None:
    likely, legal = _policy(_fresh().params)
    regrets = np.random.default_rng(3).uniform(0, 2, legal.shape) * legal
    examples = _examples()._replace(regrets=jnp.asarray(regrets, jnp.float32), regret=jnp.full(16, 7.0))
    for focus in (0.0, 0.5, 1.0):
        before = _replay(examples)
        config = replace(CONFIG, focus=focus)
        _, after, _ = _learn(config)(_fresh(), jax.random.key(5), jax.tree.map(jnp.copy, before))
        told = np.asarray(after.examples.regret)
        seen = told != 7.0
        assert seen.any() == (focus > 0)
        np.testing.assert_allclose(told[seen], (likely * regrets).sum(axis=1)[seen], rtol=1e-4)
        same = after._replace(examples=after.examples._replace(regret=before.examples.regret))
        jax.tree.map(np.testing.assert_array_equal, same, before)


def test_a_focused_learner_learns_where_something_is_given_away() -> None:
    """Of 16 examples one alone has regret: nearly all that is drawn is that one."""
    regret = jnp.zeros(16).at[5].set(1.0)
    regrets = jnp.zeros((16, 9)).at[5].set(1.0)
    replay = _replay(_examples()._replace(regrets=regrets, regret=regret))
    alone = _replay(jax.tree.map(lambda leaf: jnp.repeat(leaf[5:6], 16, axis=0), _examples()))
    _, found = _update(replace(CONFIG, focus=1.0), replay=replay)
    _, expected = _update(replay=alone)
    assert float(found.policy_loss) == pytest.approx(float(expected.policy_loss), rel=1e-4)


def test_the_last_update_that_draws_an_example_says_what_is_given_away() -> None:
    same = jax.tree.map(lambda leaf: jnp.repeat(leaf[5:6], 16, axis=0), _examples())
    regrets = jnp.asarray(np.random.default_rng(3).uniform(0, 2, (1, 9)), jnp.float32).repeat(16, axis=0)
    examples = same._replace(regrets=regrets, regret=jnp.ones(16))
    config, key = replace(CONFIG, focus=1.0, num_updates=3), jax.random.key(5)
    rows, _ = learner_module._batches(_replay(examples), key, None, game=GAME, config=config)
    _, told, _ = _learn(config)(_fresh(), key, _replay(examples))
    # Whatever is drawn, an update is the same here.
    expected, state = np.ones(16), _fresh()
    for drawn in np.asarray(rows):
        expected[drawn] = (_policy(state.params)[0][5] * np.asarray(regrets[0])).sum()
        state, _ = _update(CONFIG, state, _replay(examples))
    assert len(set(expected)) > 2
    np.testing.assert_allclose(told.examples.regret, expected, rtol=1e-4)


def test_every_update_draws_from_the_whole_replay() -> None:
    examples = jax.tree.map(lambda leaf: jnp.repeat(leaf, 256, axis=0), _examples())
    empty = ring.init(row(examples, 0), 4096, tell_apart=True)
    full = ring.add(empty, examples, jnp.arange(len(examples.value), dtype=jnp.uint32))
    config = replace(CONFIG, num_updates=4, batch_size=64, focus=0.5)
    for counts_for in (None, ring.rarities(full, 1.0)):
        rows, batches = learner_module._batches(full, jax.random.key(0), counts_for, game=GAME, config=config)
        assert rows.shape == (4, 64)
        for drawn, batch in zip(np.asarray(rows), batches, strict=True):
            np.testing.assert_array_equal(batch.value, full.examples.value[drawn])
            parts = np.bincount(drawn // 1024, minlength=4)
            assert (parts >= 5).all()


@pytest.mark.parametrize("game", [GAME, TwoHeaps()], ids=lambda game: game.name)
def test_an_augmented_example_is_an_image_of_the_example(game: Game) -> None:
    states = random_states(game, 64, 3, seed=2)
    legal = jax.vmap(game.legal_actions)(states)
    weights = jax.nn.softmax(jnp.where(legal, jax.random.normal(jax.random.key(0), legal.shape), -jnp.inf))
    examples = targets_of(states, weights, jnp.arange(64.0), regrets=2 * weights)
    moved = jax.jit(functools.partial(augment, game=game))(examples, jax.random.key(3))
    np.testing.assert_array_equal(moved.value, examples.value)
    np.testing.assert_array_equal(moved.regrets, 2 * moved.action_weights)
    seen = set()
    num_images = symmetries_of(game, row(states, 0))[1].shape[0]
    for index in range(64):
        images, actions = symmetries_of(game, row(states, index))
        fits = []
        for image in range(num_images):
            turned = np.zeros(game.num_actions, np.float32)
            for action, where in enumerate(np.asarray(actions[image])):
                turned[where] = weights[index, action]
            same_state = all(
                np.array_equal(a[image], b[index])
                for a, b in zip(jax.tree.leaves(images), jax.tree.leaves(moved.state), strict=True)
            )
            if same_state and np.array_equal(turned, moved.action_weights[index]):
                fits.append(image)
        assert fits
        seen.update(fits if len(fits) == 1 else [])
    assert seen == set(range(num_images))
    moved_legal = np.asarray(jax.vmap(game.legal_actions)(moved.state))
    assert not np.asarray(moved.action_weights)[~moved_legal].any()


def test_a_game_without_symmetries_is_left_as_it_is() -> None:
    game = Chain()
    examples = targets_of(HeapState(jnp.array([1, 2, 3])), [[0.2, 0.8]] * 3, jnp.arange(3.0))
    moved = augment(examples, jax.random.key(0), game=game)
    for before, after in zip(jax.tree.leaves(examples), jax.tree.leaves(moved), strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_averaged_parameters_lag_behind() -> None:
    state, average = _fresh(), _fresh().params
    for done in range(5):
        state, _ = _update(CONFIG, state)
        decay = min(0.2, (1 + done) / (10 + done))
        average = jax.tree.map(
            lambda old, new, decay=decay: decay * old + (1 - decay) * new, average, state.params
        )
        for expected, found, now in zip(
            *map(jax.tree.leaves, (average, state.averaged_params, state.params)), strict=True
        ):
            np.testing.assert_allclose(found, expected, atol=1e-6)
            assert not np.array_equal(found, now)


def test_weights_decay_on_matrices_only() -> None:
    plain, _ = _update()
    decayed, _ = _update(replace(CONFIG, weight_decay=0.5))
    rate = CONFIG.learning_rate / 100
    for before, without, with_ in zip(
        *map(jax.tree.leaves, (_fresh().params, plain.params, decayed.params)), strict=True
    ):
        shrunk = 0.5 * rate * before if before.ndim > 1 else jnp.zeros_like(before)
        np.testing.assert_allclose(without - with_, shrunk, atol=2e-7)
    kernels = [leaf for leaf in jax.tree.leaves(_fresh().params) if leaf.ndim > 1]
    assert max(float(jnp.abs(leaf).max()) for leaf in kernels) * 0.5 * rate > 1e-5


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_matrices_forget_less_the_longer_they_were_trained(optimizer: Any) -> None:
    """With the rate at its peak, update t takes off a matrix 4 / (4 + t) of itself."""
    config = replace(CONFIG, optimizer=optimizer, forgetting=4.0, warmup_fraction=0.0)
    for num_updates in (3, 30):
        rate = learner_module._schedule(config, 10_000)(num_updates - 1)
        share = learner_module._weight_decay(config)(num_updates - 1)
        lost = np.asarray(rate) * np.asarray(share)
        assert lost == pytest.approx(4 / (4 + num_updates), rel=0.01)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_what_is_forgotten_is_taken_off_hidden_matrices(optimizer: Any) -> None:
    base = replace(CONFIG, optimizer=optimizer)
    plain, _ = _update(base)
    forgetful, _ = _update(replace(base, forgetting=4.0))
    # The first update's rate is a hundredth of the peak, and 4 / (4 + 1) of that is taken off.
    for name, before in _fresh().params.items():
        for leaf, without, with_ in zip(
            *map(jax.tree.leaves, (before, plain.params[name], forgetful.params[name])), strict=True
        ):
            decays = leaf.ndim > 1 and (optimizer == "adamw" or name not in LAST_LAYERS)
            np.testing.assert_allclose(without - with_, leaf / 125 if decays else 0 * leaf, atol=2e-6)


def test_only_muon_costs_products_beside_the_gradients() -> None:
    params = random_params(GAME, scale=0.1)
    assert flops_of_optimizer(params, CONFIG) == 0
    assert flops_of_optimizer(params, replace(CONFIG, optimizer="muon")) == flops_of_muon(params) > 0


@pytest.mark.parametrize("max_grad_norm", [0.01, 100.0], ids=["clipped", "not clipped"])
def test_gradients_are_clipped_to_their_norm_and_reported_before(max_grad_norm: float) -> None:
    state, metrics = _update(replace(CONFIG, max_grad_norm=max_grad_norm))
    # The first moment is a tenth of the gradient that the optimiser was given.
    given = 10 * optax.tree.norm(optax.tree_utils.tree_get(state.optimizer_state, "mu"))
    assert 0.05 < float(metrics.grad_norm) < 50
    assert float(given) == pytest.approx(min(max_grad_norm, float(metrics.grad_norm)), rel=1e-4)


def test_what_an_update_moves_is_reported_in_shares_of_the_parameters() -> None:
    before = _fresh().params
    state, metrics = _update(CONFIG)
    moved = optax.tree.norm(jax.tree.map(jnp.subtract, state.params, before))
    assert float(metrics.update_ratio) == pytest.approx(float(moved / optax.tree.norm(before)), rel=1e-3)
    assert 0 < float(metrics.update_ratio) < 1


def test_the_learning_rate_rises_and_falls_as_it_says() -> None:
    state, rates = _fresh(ROUND), []
    for _ in range(TOTAL // 20):
        state, metrics = _update(ROUND, state)
        rates.append(float(metrics.learning_rate))
    highest = int(np.argmax(rates))
    # The rise takes 40 of 400 updates, two rounds of 20.
    assert highest == 2
    assert rates[0] < rates[1] < rates[2]
    assert all(a > b for a, b in itertools.pairwise(rates[2:]))
    assert rates[2] == pytest.approx(1e-2, rel=0.02)
    assert rates[-1] < 2e-4


@pytest.mark.parametrize("part", ["value", "action_weights", "params"])
def test_what_is_no_number_shows_in_the_metrics(part: str) -> None:
    state, examples = _fresh(), _examples()
    if part == "params":
        policy = state.params["policy"]
        bad = {**policy, "bias": policy["bias"].at[0].set(jnp.nan)}
        state = state._replace(params={**state.params, "policy": bad})
    elif part == "value":
        examples = examples._replace(value=jnp.full(16, jnp.nan))
    else:
        examples = examples._replace(action_weights=jnp.full((16, 9), jnp.nan))
    _, metrics = _update(state=state, replay=_replay(examples))
    assert not np.isfinite([metrics.policy_loss, metrics.value_loss, metrics.grad_norm]).all()


def test_a_new_learner_starts_from_its_key_with_one_set_of_parameters() -> None:
    init = jax.jit(
        functools.partial(init_learner, network=make_network(NET, GAME), config=CONFIG, total_updates=TOTAL)
    )
    state = init(jax.random.key(1))
    for mine, averaged in zip(*map(jax.tree.leaves, (state.params, state.averaged_params)), strict=True):
        np.testing.assert_array_equal(mine, averaged)
    assert int(state.num_updates) == 0
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(state.optimizer_state))


def test_an_optimiser_that_is_none_of_the_two_is_refused() -> None:
    # Made by hand: in tests, types are checked before anything else is.
    config = object.__new__(LearnerConfig)
    object.__setattr__(config, "optimizer", "Muon")
    with pytest.raises(ValueError, match=r"learner\.optimizer is 'Muon'; it must be 'adamw' or 'muon'"):
        config.__post_init__()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"batch_size": 0}, "learner.batch_size is 0"),
        ({"num_updates": 0}, "learner.num_updates is 0"),
        ({"learning_rate": 0.0}, "learner.learning_rate is 0.0; it must be greater than 0"),
        ({"max_grad_norm": -1.0}, "learner.max_grad_norm is -1.0"),
        ({"warmup_fraction": 1.0}, "learner.warmup_fraction is 1.0"),
        ({"averaging_decay": 1.5}, "learner.averaging_decay is 1.5"),
        ({"value_weight": -1.0}, "learner.value_weight is -1.0; it must be 0 or more"),
        ({"weight_decay": -1.0}, "learner.weight_decay is -1.0; it must be 0 or more, and below 1 / learner"),
        (
            {"weight_decay": 1000.0},
            "learner.weight_decay is 1000.0; it must be 0 or more, and below 1 / learner",
        ),
        ({"weight_decay": float("nan")}, "learner.weight_decay is nan"),
        ({"forgetting": -1.0}, "learner.forgetting is -1.0; it must be a number of at least 0"),
        ({"forgetting": float("inf")}, "learner.forgetting is inf"),
        ({"focus": 1.5}, r"learner.focus is 1.5; it must be in \[0, 1\], where 0"),
        ({"focus": -0.5}, r"learner.focus is -0.5; it must be in \[0, 1\], where 0"),
    ],
)
def test_a_senseless_configuration_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        LearnerConfig(**changes)


@pytest.mark.parametrize("total_updates", [1, 2, 3])
def test_the_shortest_run_has_a_schedule(total_updates: int) -> None:
    step = functools.partial(
        learn, game=GAME, network=make_network(NET, GAME), config=CONFIG, total_updates=total_updates
    )
    shapes = jax.eval_shape(step, _fresh(), jax.random.key(0), _replay())
    assert shapes[2].learning_rate.shape == ()
