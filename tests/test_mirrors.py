"""Perceptrons for which mirror images of a position are alike."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from exit import learner as learner_module
from exit.game import Game, symmetric_observations_of, symmetries_of
from exit.iteration import RunConfig
from exit.learner import LearnerConfig
from exit.leaves import flatten, unflatten
from exit.network import MLPConfig, knowing_images, make_network
from exit.network.layers import layer_factory
from exit.network.mirrors import mirrors_of
from exit.network.symmetric import Norm, SpectralLinear, spectrum
from games.connect_four import ConnectFour
from games.game_2048 import Game2048
from games.hex import Hex
from games.nim import Nim
from games.othello import Othello
from games.tic_tac_toe import TicTacToe
from tests.tiny import random_params, random_states


@dataclass(frozen=True)
class Featured(TicTacToe):
    """Cells are told apart by two numbers each."""

    name = "featured"

    @property
    def action_features(self) -> np.ndarray:
        return np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)


GAMES = pytest.mark.parametrize(
    ("game", "images"),
    [
        (ConnectFour(4, 5), 2),
        (ConnectFour(4, 4, threats=True), 2),
        (Hex(3), 2),
        (Othello(4), 4),
        (TicTacToe(), 2),
        (TicTacToe(), 4),
        (Featured(), 4),
        (Game2048(2, 3), 4),
    ],
    ids=lambda value: value.name if hasattr(value, "name") else str(value),
)


def _config(images: int | None, *, bfloat16: bool = False) -> MLPConfig:
    return MLPConfig(width=16, num_blocks=2, hidden=8, images=images, bfloat16=bfloat16)


@GAMES
def test_mirrors_are_symmetries_numbered_by_what_they_are_made_of(game: Game, images: int) -> None:
    mirrors = mirrors_of(game, images)
    assert len(mirrors.entries) == len(mirrors.actions) == images
    for part in mirrors:
        np.testing.assert_array_equal(part[0], np.arange(part.shape[1]))
        assert len({row.tobytes() for row in part}) == images
        for one in range(images):
            for other in range(images):
                np.testing.assert_array_equal(part[one][part[other]], part[one ^ other])
    entries = symmetric_observations_of(game)
    assert entries is not None
    moves = {row.tobytes() for row in entries.astype(np.int32)}
    assert all(row.tobytes() in moves for row in mirrors.entries.astype(np.int32))


@pytest.mark.parametrize("bfloat16", [False, True])
@GAMES
def test_images_of_a_position_are_valued_alike_and_their_moves_are_images(
    game: Game, images: int, bfloat16: bool
) -> None:
    states = random_states(game, 12, 5, seed=1)
    config = _config(images, bfloat16=bfloat16)
    predict, params = jax.jit(make_network(config, game).predict), random_params(game, config, scale=0.1)
    logits, value = predict(params, jax.vmap(game.observe)(states))
    assert np.unique(np.round(value, 4)).size > 4
    assert float(jnp.ptp(logits, axis=1).min()) > 0.01
    known = {row.tobytes() for row in mirrors_of(game, images).actions}
    turned, actions = jax.vmap(lambda state: symmetries_of(game, state))(states)
    tried = 0
    for index, moved in enumerate(np.asarray(actions[0])):
        image = jax.tree.map(lambda leaf, at=index: leaf[:, at], turned)
        image_logits, image_value = predict(params, jax.vmap(game.observe)(image))
        alike = np.allclose(image_value, value, atol=1e-5) and np.allclose(
            image_logits[:, moved], logits, atol=1e-5
        )
        # The square has symmetries that are none of these.
        assert alike == (moved.tobytes() in known)
        tried += alike
    assert tried == images


def test_a_plain_perceptron_knows_no_symmetry() -> None:
    game = ConnectFour(4, 5)
    seen = jax.random.normal(jax.random.key(0), (4, *game.observation_shape))
    predict = make_network(_config(None), game).predict
    params = random_params(game, _config(None))
    assert float(jnp.abs(predict(params, seen)[1] - predict(params, seen[:, :, ::-1])[1]).max()) > 0.01


@pytest.mark.parametrize("num_blocks", [0, 2])
@GAMES
def test_made_of_a_plain_perceptron_it_says_the_mean_over_images(
    game: Game, images: int, num_blocks: int
) -> None:
    plain = MLPConfig(width=16, num_blocks=num_blocks, hidden=8)
    wide = MLPConfig(width=16 * images, num_blocks=num_blocks, hidden=8 * images, images=images)
    params, network = random_params(game, plain), make_network(wide, game)
    made = jax.tree.map(jnp.asarray, unflatten(network.shapes(), knowing_images(flatten(params), images)))
    mirrors = mirrors_of(game, images)
    seen = np.random.default_rng(0).normal(size=(12, mirrors.entries.shape[1])).astype(np.float32)
    if num_blocks:
        # Blocks normalise the images together, which is the same where they are alike.
        seen = np.mean([seen[:, entries] for entries in mirrors.entries], axis=0)
    predict = jax.jit(make_network(plain, game).predict)
    shape = (len(seen), *game.observation_shape)
    said = [
        np.asarray(predict(params, seen[:, entries].reshape(shape))[0])[:, moved]
        for entries, moved in zip(mirrors.entries, mirrors.actions, strict=True)
    ]
    logits = np.asarray(jax.jit(network.predict)(made, seen.reshape(shape))[0])
    np.testing.assert_allclose(logits, np.mean(said, axis=0), atol=1e-4)
    assert np.abs(said[0] - logits).max() > 0.01


@pytest.mark.parametrize("images", [2, 4])
def test_blocks_of_the_same_width_have_so_many_times_fewer_parameters(images: int) -> None:
    def block(images: int | None) -> int:
        found = make_network(_config(images), TicTacToe()).shapes()["trunk"]["blocks"][0]
        return sum(leaf.size for leaf in jax.tree.leaves(found) if leaf.ndim > 1)

    assert block(None) == images * block(images)


def test_one_image_is_a_plain_perceptron() -> None:
    one, plain = (make_network(_config(images), TicTacToe()).shapes() for images in (1, None))
    assert jax.tree.map(jnp.shape, one) == jax.tree.map(jnp.shape, plain)


@pytest.mark.parametrize("num_images", [1, 2, 4, 8])
def test_the_spectrum_is_its_own_inverse_and_keeps_lengths(num_images: int) -> None:
    images = list(jax.random.normal(jax.random.key(0), (num_images, 3, 5)))
    found = spectrum(images)
    np.testing.assert_allclose(spectrum(found), images, atol=1e-5)
    np.testing.assert_allclose(found[0], sum(images) / num_images**0.5, atol=1e-5)
    np.testing.assert_allclose(np.square(found).sum(0), np.square(images).sum(0), rtol=1e-4)


def test_kernels_made_ready_answer_the_same() -> None:
    game, config = Othello(4), _config(4, bfloat16=True)
    network, params = make_network(config, game), random_params(game, config)
    seen = jax.random.normal(jax.random.key(0), (5, *game.observation_shape))
    for ready, given in zip(
        jax.jit(network.predict)(network.ready(params), seen),
        jax.jit(network.predict)(params, seen),
        strict=True,
    ):
        np.testing.assert_array_equal(ready, given)
    assert network.ready(params)["trunk"]["blocks"][0]["widen"]["parts"][0]["kernel"].dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("game", "images", "message"),
    [
        (
            Nim((1, 2)),
            2,
            "nim_1_2 declares no symmetries .*`symmetric_observations`.*; set network.images=none",
        ),
        (
            ConnectFour(4, 5),
            4,
            "images is 4, but connect_four_4x5 has 2 symmetries .* one of 1, 2(\n|$)",
        ),
        (TicTacToe(), 8, "images is 8, but tic_tac_toe has 4 symmetries .* one of 1, 2, 4(\n|$)"),
    ],
)
def test_images_that_a_game_does_not_have_are_refused(game: Game, images: int, message: str) -> None:
    config = replace(_config(None), images=images)
    with pytest.raises(ValueError, match=message):
        make_network(config, game).shapes()
    with pytest.raises(ValueError, match=message):
        RunConfig(game, network=config)


def test_a_network_that_knows_all_symmetries_is_shown_no_images_of_examples() -> None:
    def augments(game: Game, images: int | None, chosen: bool | None = None) -> bool | None:
        network = make_network(_config(images), game)
        return learner_module._with_augmentation(LearnerConfig(augment=chosen), game, network).augment

    assert augments(TicTacToe(), None)
    assert augments(TicTacToe(), 4)
    assert augments(ConnectFour(4, 5), None)
    assert not augments(ConnectFour(4, 5), 2)
    assert augments(ConnectFour(4, 5), 2, True)
    assert not augments(TicTacToe(), None, False)
    assert not augments(Nim((1, 2)), None)


def test_images_are_normalised_together_scaled_and_moved_alike() -> None:
    images = list(jax.random.normal(jax.random.key(0), (4, 3, 5)) + 2)
    norm = Norm(5)
    scale, bias = jax.random.normal(jax.random.key(1), (2, 5))
    norm.scale[...], norm.bias[...] = scale, bias
    found = np.asarray(spectrum(norm(spectrum(images))))
    together = np.asarray(images).swapaxes(0, 1)
    mean, deviation = (together.mean((1, 2), keepdims=True), together.std((1, 2), keepdims=True))
    np.testing.assert_allclose(found.swapaxes(0, 1), scale * (together - mean) / deviation + bias, atol=1e-5)


@pytest.mark.parametrize("num_images", [2, 4])
def test_a_layer_is_a_dense_one_whose_kernel_mixes_images_by_what_lies_between_them(num_images: int) -> None:
    layer = SpectralLinear(3, 5, num_images, layer_factory(False, nnx.Rngs(0)))
    bias = jax.random.normal(jax.random.key(1), (5,))
    assert layer.parts[0].bias is not None
    layer.parts[0].bias[...] = bias
    images = list(jax.random.normal(jax.random.key(0), (num_images, 2, 3)))
    found = spectrum(layer(spectrum(images)))
    # From image to image goes the transform of the parts, by the symmetry that takes one to the other.
    between = spectrum([part.kernel[...] / num_images**0.5 for part in layer.parts])
    for one in range(num_images):
        mixed = [images[other] @ between[one ^ other] for other in range(num_images)]
        np.testing.assert_allclose(found[one], sum(mixed) + bias / num_images**0.5, atol=1e-5)
