"""The reflex: shapes, types, an untrained start, and that equal arguments share their programs."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.game import Game, State
from exit.network import ConvConfig, MLPConfig, NetworkConfig, PredictFn, make_network
from games.connect_four import ConnectFour
from games.kelly import Kelly
from games.tic_tac_toe import TicTacToe
from tests.planted import BonusHeap, Chain
from tests.tiny import random_params, random_states

MLP = MLPConfig(width=8, num_blocks=1)
CONV = ConvConfig(channels=4, num_blocks=1)
CONFIGS = pytest.mark.parametrize(
    "config",
    [MLP, CONV, MLPConfig(width=8, num_blocks=1, bfloat16=True), ConvConfig(channels=4, num_blocks=0)],
    ids=["mlp", "conv", "mlp bfloat16", "conv without blocks"],
)


@functools.cache
def _states() -> State:
    return random_states(TicTacToe(), 5, 6, seed=0)


def _predict(game: Game, config: NetworkConfig) -> PredictFn:
    return jax.jit(make_network(config, game).predict)


@CONFIGS
def test_predictions_are_float32_and_values_within_the_bounds(config: NetworkConfig) -> None:
    game = TicTacToe()
    params = random_params(game, config, scale=0.3)
    logits, value = _predict(game, config)(params, jax.vmap(game.observe)(_states()))
    assert (logits.shape, logits.dtype) == ((5, 9), jnp.float32)
    assert (value.shape, value.dtype) == ((5,), jnp.float32)
    assert np.isfinite(logits).all()
    assert (np.abs(value) < 1).all()
    assert np.unique(value).size > 1
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize(
    ("game", "middle"), [(TicTacToe(), 0.0), (Chain(), 5.0)], ids=["tic_tac_toe", "chain"]
)
def test_an_untrained_reflex_is_uniform_and_values_every_state_at_the_middle(
    game: Game, middle: float
) -> None:
    observation = jax.random.normal(jax.random.key(1), (3, *game.observation_shape))
    logits, value = _predict(game, MLP)(random_params(game, MLP, scale=0.0), observation)
    assert not logits.any()
    np.testing.assert_array_equal(value, middle)


@pytest.mark.parametrize("config", [MLP, CONV], ids=["mlp", "conv"])
def test_a_prediction_does_not_depend_on_the_rest_of_the_batch(config: MLPConfig | ConvConfig) -> None:
    game = ConnectFour(4, 4)
    params, predict = random_params(game, config), _predict(game, config)
    observation = jax.random.normal(jax.random.key(4), (6, *game.observation_shape))
    together = predict(params, observation)
    others = predict(params, jnp.concatenate([observation[:3], -observation[3:]]))
    for head, other in zip(together, others, strict=True):
        np.testing.assert_array_equal(head[:3], other[:3])
        assert not np.array_equal(head[3:], other[3:])


@pytest.mark.parametrize("hidden", [None, 4])
def test_a_perceptron_multiplies_in_bfloat16_and_answers_the_same_of_parameters_made_ready(
    hidden: int | None,
) -> None:
    game, exact = TicTacToe(), MLPConfig(width=16, num_blocks=2, hidden=hidden)
    half = make_network(replace(exact, bfloat16=True), game)
    params, seen = random_params(game, exact, scale=0.3), jax.vmap(game.observe)(_states())
    found, truth = jax.jit(half.predict)(params, seen), _predict(game, exact)(params, seen)
    ready = half.ready(params)
    for head, same, true in zip(found, jax.jit(half.predict)(ready, seen), truth, strict=True):
        np.testing.assert_array_equal(head, same)
        np.testing.assert_allclose(head, true, rtol=0.05, atol=0.05)
        assert not np.array_equal(head, true)
    assert ready["trunk"]["stem"]["kernel"].dtype == ready["value_hidden"]["kernel"].dtype == jnp.bfloat16
    assert ready["policy"]["kernel"].dtype == ready["value"]["kernel"].dtype == jnp.float32
    assert make_network(exact, game).ready(params) is params


def test_what_is_learnt_of_a_bet_holds_for_near_ones() -> None:
    """A step towards one bet makes its neighbours likelier than far bets."""
    game = Kelly(25, 250, 10)
    predict = make_network(MLP, game).predict
    params = random_params(game, MLP, scale=0.0)
    seen = game.observe(game.init())[None]
    grads = jax.grad(lambda params: jax.nn.log_softmax(predict(params, seen)[0])[0, 20])(params)
    logits = predict(jax.tree.map(jnp.add, params, grads), seen)[0][0]
    assert abs(int(jnp.argmax(logits)) - 20) <= 1
    assert min(logits[19:22]) > max(logits[3], logits[60])


def test_a_smooth_network_has_no_kinks() -> None:
    """Along a line, second differences of a perceptron with SiLU vanish with the square of the step."""
    game = Kelly(25, 250, 10)
    line = jnp.linspace(0, 1, 1001)[:, None] * jnp.ones(game.observation_shape)

    def sharpest(config: MLPConfig) -> float:
        logits = make_network(config, game).predict(random_params(game, config, scale=1.0), line)[0]
        return float(jnp.abs(jnp.diff(logits, n=2, axis=0)).max())

    smooth = MLPConfig(width=8, num_blocks=1, activation="silu")
    assert sharpest(smooth) < 0.2 * sharpest(MLP)


def test_equal_arguments_give_the_same_functions() -> None:
    assert make_network(MLPConfig(width=8, num_blocks=1), TicTacToe()) is make_network(MLP, TicTacToe())
    assert make_network(MLP, TicTacToe()) is not make_network(MLP, ConnectFour(4, 4))
    assert make_network(MLP, TicTacToe()) is not make_network(MLPConfig(width=9, num_blocks=1), TicTacToe())


def test_a_key_decides_the_parameters() -> None:
    init = jax.jit(make_network(MLP, TicTacToe()).init)
    first, same, other = (jax.tree.leaves(init(jax.random.key(seed))) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_parameters_are_nested_dicts_that_may_be_stored_and_returned() -> None:
    game = TicTacToe()
    predict, params = _predict(game, MLP), random_params(game, MLP)
    assert type(params) is dict
    stored = jax.tree.map(np.asarray, params)
    observation = jax.vmap(game.observe)(_states())
    for one, other in zip(predict(params, observation), predict(stored, observation), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_block_is_as_wide_between_its_layers_as_said() -> None:
    def block(hidden: int | None) -> list[tuple[int, ...]]:
        config = MLPConfig(width=8, num_blocks=1, hidden=hidden)
        layers = make_network(config, TicTacToe()).shapes()["trunk"]["blocks"][0]
        return [layers[name]["kernel"].shape for name in ("widen", "narrow")]

    assert block(3) == [(8, 3), (3, 8)]
    assert block(None) == [(8, 8), (8, 8)]


def test_a_convolution_needs_planes() -> None:
    with pytest.raises(ValueError, match=r"\[rows, columns, planes\].*MLPConfig"):
        make_network(CONV, BonusHeap()).init(jax.random.key(0))


@pytest.mark.parametrize(
    ("kind", "sizes", "field"),
    [
        (MLPConfig, {"width": 0}, "network.width is 0"),
        (MLPConfig, {"num_blocks": -1}, "network.num_blocks is -1"),
        (MLPConfig, {"hidden": 0}, "network.hidden is 0; it must be at least 1"),
        (MLPConfig, {"images": 0}, "network.images is 0; it must be at least 1"),
        (MLPConfig, {"images": 3}, "network.images is 3; it must be a power of two"),
        (MLPConfig, {"width": 6, "images": 4}, "network.width is 6; it must be a multiple of .* 4"),
        (MLPConfig, {"hidden": 3, "images": 2}, "network.hidden is 3; it must be a multiple of .* 2"),
        (ConvConfig, {"channels": 0}, "network.channels is 0"),
        (ConvConfig, {"num_blocks": -2}, "network.num_blocks is -2"),
    ],
)
def test_senseless_sizes_are_refused(kind: type, sizes: dict[str, int], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        kind(**sizes)
