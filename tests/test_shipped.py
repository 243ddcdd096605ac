"""The agents that come with the product: each acts, and those of solved games are as good as is said."""

from pathlib import Path

import jax
import numpy as np
import pytest

from exit.agent import Agent
from exit.bench import bench
from exit.catalog import trained_names
from exit.cli.exact import load_exact
from exit.evaluate import critical_sample, decide, mistakes, random_positions, yardstick
from exit.solve import exact_of_library


@pytest.mark.parametrize("name", trained_names())
def test_it_acts(name: str) -> None:
    agent = Agent.load(name)
    assert agent.game.name == name
    states = jax.tree.map(lambda leaf: np.asarray(leaf)[None], agent.game.init())
    found = agent.act(states, budget=4)
    assert np.asarray(jax.vmap(agent.game.legal_actions)(states))[0, int(found.action[0])]


@pytest.mark.parametrize(
    ("name", "positions", "mistakes"),
    [
        ("connect_four_4x4", 134_289, 0),
        # 126, but that another processor may round otherwise.
        pytest.param("connect_four_4x5", 3_100_379, 130, marks=[pytest.mark.slow, pytest.mark.computes]),
        ("othello_4", 53_651, 0),
    ],
)
def test_its_reflex_is_wrong_hardly_anywhere_and_never_loses_a_point(
    name: str, positions: int, mistakes: int
) -> None:
    agent = Agent.load(name)
    figures = bench(agent, load_exact(agent.game), [0])
    assert figures["positions"]["count"] == positions
    assert round(figures["budgets"][0]["mistake_rate"] * positions) <= mistakes
    assert figures["certified"]
    assert figures["exploitability"] == 0


@pytest.mark.slow
def test_the_reflex_of_hex_is_wrong_hardly_anywhere() -> None:
    agent = Agent.load("hex_4")
    exact = load_exact(agent.game)
    states, moves = critical_sample(exact, 100_000)
    assert len(moves.values) > 50_000
    # 14 of all 4,336,607, see docs/figures.md.
    assert mistakes(decide(agent.act, states, 0), moves).sum() <= 5


def test_the_reflex_on_6x7_seldom_errs_where_random_play_leads(tmp_path: Path) -> None:
    agent = Agent.load("connect_four")
    exact = exact_of_library(agent.game, directory=tmp_path)
    states, moves = yardstick(exact, random_positions(agent.game, 600, 34, seed=0).keys)
    wrong = mistakes(decide(agent.act, states, 0), moves)
    assert moves.critical.sum() > 250
    # 1.4 % of 2,000 others, see docs/figures.md.
    assert wrong[moves.critical].mean() < 0.04
