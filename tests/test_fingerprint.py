"""Fingerprints of positions, against counts from the literature and plain comparison."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.catalog import load_game
from exit.fingerprint import classes, fingerprints
from exit.game import Game, symmetries_of
from exit.solve import exact_of, states_of, table_of, unfinished_keys
from tests.tiny import random_states


@pytest.mark.parametrize(
    ("name", "num_classes"),
    [
        # Of the 765 essentially different positions of tic-tac-toe 138 are finished.
        ("tic_tac_toe", 627),
        # Heaps do not change places: none is symmetric to another.
        ("nim_3_4_5", 119),
    ],
)
def test_as_many_as_there_are_different_positions(name: str, num_classes: int) -> None:
    game = load_game(name)
    keys = unfinished_keys(table_of(exact_of(game)))
    states = jax.vmap(game.decode)(jnp.asarray(keys))
    assert len(np.unique(np.asarray(fingerprints(states, game=game)))) == num_classes


@pytest.mark.parametrize("name", ["connect_four_4x4", "othello_4", "hex_3"])
def test_alike_where_the_network_sees_a_symmetric_image_and_nowhere_else(name: str) -> None:
    game = load_game(name)
    states = random_states(game, 200, 6, seed=1)
    found = np.asarray(fingerprints(states, game=game))
    least = [_class(game, jax.tree.map(lambda leaf, row=row: leaf[row], states)) for row in range(200)]
    assert len(set(least)) > 20
    for one in range(200):
        for other in range(one):
            assert (found[one] == found[other]) == (least[one] == least[other])


def test_any_bit_halves_the_positions_those_that_are_their_own_image_too() -> None:
    game = load_game("connect_four_4x4")
    keys = unfinished_keys(table_of(exact_of(game)))
    states = states_of(game, keys)
    found = classes(states, game=game)
    assert len(found) == len(keys)
    images, _ = jax.vmap(lambda state: symmetries_of(game, state))(states)
    seen = np.asarray(jax.vmap(jax.vmap(game.observe))(images))
    own_image = (seen[:, 0] == seen[:, 1]).reshape(len(keys), -1).all(axis=1)
    assert own_image.sum() > 30
    for some in (own_image, ~own_image):
        halves = (np.unique(found[some])[:, None] >> np.arange(32, dtype=np.uint32)) & 1
        # Four deviations of the mean of so many tosses.
        np.testing.assert_allclose(halves.mean(axis=0), 0.5, atol=2 / len(halves) ** 0.5)


def test_images_have_the_same_fingerprint() -> None:
    game = load_game("othello_4")
    states = random_states(game, 50, 5, seed=2)
    images, _ = jax.vmap(lambda state: symmetries_of(game, state))(states)
    num_images = jax.tree.leaves(images)[0].shape[1]
    assert num_images == 8
    for image in range(num_images):
        turned = jax.tree.map(lambda leaf, image=image: leaf[:, image], images)
        np.testing.assert_array_equal(fingerprints(turned, game=game), fingerprints(states, game=game))


def _class(game: Game, state: object) -> bytes:
    """The least of what is seen of a state's images."""
    images, _ = symmetries_of(game, state)
    return min(np.asarray(seen).tobytes() for seen in jax.vmap(game.observe)(images))
