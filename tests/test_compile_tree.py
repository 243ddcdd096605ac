"""Trees: what grows, what is pruned, what is written, and that each says the same as the others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.agent import Agent
from exit.catalog import load_game
from exit.compile import certify, to_tree
from exit.compile.reach import reach_of
from exit.compile.tree import extract, extract_within, load_tree, objective_of, play, source_of, statistics_at
from exit.compile.tree.classify import classify
from exit.compile.tree.grow import Sample, grow
from exit.compile.tree.nodes import Tree, compact, short_between
from exit.compile.tree.objective import loss, weights
from exit.compile.tree.prune import prune
from exit.compile.tree.sampled import extract_sampled
from exit.errors import UsageError
from exit.evaluate import decide
from exit.game import statistic_names_of, statistics_of
from exit.search import SearchResult
from exit.solve import exact_moves, states_of, unfinished_keys
from games.tic_tac_toe import TicTacToe
from tests.test_compile import BANDIT, NIM, random_legal, subject
from tests.tiny import after, table_of

# left of 2.5: action 0; else action 1, or 2 above 7.5
SMALL = Tree(
    feature=np.array([0, -1, 0, -1, -1]),
    threshold=np.array([2.5, 0, 7.5, 0, 0]),
    left=np.array([1, -1, 3, -1, -1]),
    right=np.array([2, -1, 4, -1, -1]),
    action=np.array([0, 0, 1, 1, 2]),
)


def test_a_tree_plays_by_its_tests() -> None:
    values = np.array([[0.0], [2.5], [2.6], [7.5], [8.0]])
    assert play(SMALL, values).tolist() == [0, 0, 1, 1, 2]
    assert (SMALL.num_nodes, SMALL.num_leaves) == (5, 3)
    branch = compact(SMALL, 2)
    assert branch.num_nodes == 3
    assert play(branch, values).tolist() == [1, 1, 1, 1, 2]


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(1.0, 2.0, 1.5), (0.0, 3.0, 2.0), (0.333333, 0.4, 0.37), (-1.0, 0.0, -0.5)]
)
def test_thresholds_are_short(low: float, high: float, expected: float) -> None:
    assert short_between(low, high) == pytest.approx(expected)
    assert low <= short_between(low, high) < high


def test_neighbouring_numbers_are_told_apart() -> None:
    low = 1.0
    assert low <= short_between(low, np.nextafter(low, 2)) < np.nextafter(low, 2)


def _sample() -> Sample:
    """Cheap to be wrong below 5, dear above; the agent plays 0 below 3, 1 below 6, 2 above."""
    value = np.arange(10.0)[:, None]
    label = np.array([0] * 3 + [1] * 3 + [2] * 4)
    cost = np.where(np.arange(3) == label[:, None], 0.0, np.where(value < 5, 0.1, 10.0))
    return Sample(value, cost, label, cost.max(axis=1))


@pytest.mark.parametrize("grower", [grow, classify])
def test_growers_imitate_and_spend_few_nodes_where_it_matters(grower) -> None:
    sample = _sample()
    whole = grower(sample, 99)
    assert play(whole, sample.statistics).tolist() == sample.label.tolist()
    assert whole.num_nodes == 5
    # One test: the dear states come first.
    half = grower(sample, 3)
    assert play(half, sample.statistics)[6:].tolist() == [2] * 4
    assert half.num_nodes == 3


@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize("game", [BANDIT, NIM], ids=["bandit", "nim"])
def test_a_tree_without_bound_gives_away_no_more_than_the_agent(game, everywhere: bool) -> None:
    found = subject(game)
    statistics = statistics_at(game, found.keys)
    objective = objective_of(found, reach_of(game, found.keys), everywhere=everywhere)
    tree = extract(statistics, objective)
    assert loss(objective, play(tree, statistics)) <= loss(objective, found.action) + 1e-9
    assert certify(found, play(tree, statistics))["illegal"] == 0 or not everywhere


def test_nodes_are_bounded() -> None:
    found = subject(BANDIT)
    statistics = statistics_at(BANDIT, found.keys)
    objective = objective_of(found, reach_of(BANDIT, found.keys))
    for most in (1, 3, 8):
        assert extract(statistics, objective, max_nodes=most, num_rounds=2).num_nodes <= most


def test_pruning_takes_nodes_and_nothing_else() -> None:
    found = subject(NIM)
    found = type(found)(
        found.agent, 0, found.exact, found.keys, found.moves, found.moves.optimal.argmax(axis=1)
    )
    statistics = statistics_at(NIM, found.keys)
    objective = objective_of(found, reach_of(NIM, found.keys))
    cost = objective.cost
    grown = grow(Sample(statistics, cost, found.action, cost.max(axis=1)), 999)
    assert loss(objective, play(grown, statistics)) == 0
    pruned = prune(grown, statistics, objective)
    assert pruned.num_nodes < grown.num_nodes
    figures = certify(found, play(pruned, statistics))
    assert figures["certified"]
    assert figures["exploitability"] == 0


def test_illegal_moves_cost_more_than_legal_ones() -> None:
    found = subject(NIM)
    objective = objective_of(found, reach_of(NIM, found.keys))
    legal = found.moves.legal
    worst = np.where(legal, objective.regret, 0).max(axis=1)
    assert (np.where(legal, np.inf, objective.regret).min(axis=1) > worst).all()
    assert (objective.cost[np.arange(len(legal)), found.action] == 0).all()
    everywhere = objective._replace(everywhere=True)
    assert (weights(everywhere, random_legal(found)) == 1).all()


def test_source_and_json_play_as_the_tree(tmp_path: Path) -> None:
    found = subject(BANDIT)
    artifact = to_tree(found, tmp_path / "policy.py", max_nodes=15)
    source = artifact.paths[0].read_text()
    assert "import" not in source
    module: dict = {}
    exec(compile(source, "policy.py", "exec"), module)
    header, tree = load_tree(artifact.paths[1])
    assert header["certificate"] == module["HEADER"]["certificate"] == artifact.header["certificate"]
    assert header["size"]["nodes"] == tree.num_nodes <= 15
    names, statistics = statistic_names_of(BANDIT), statistics_at(BANDIT, found.keys)
    arguments = module["act"].__code__.co_varnames[: module["act"].__code__.co_argcount]
    said = [module["act"](*(row[names.index(name)] for name in arguments)) for row in statistics.tolist()]
    assert said == play(tree, statistics).tolist()
    assert certify(found, np.array(said)) == artifact.header["certificate"]


def test_source_names_actions_and_chains_tests() -> None:
    source = source_of(SMALL, BANDIT, {"game": "bandit_2_6"})
    assert "    if left <= 2.5:\n        return 0  # pull arm 0\n    elif left <= 7.5:" in source
    assert source.endswith("    else:\n        return 2  # pull arm 2\n")
    assert "Not certified" in source


def test_a_damaged_tree_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tree.json").write_text("{}")
    with pytest.raises(UsageError, match="holds no tree"):
        load_tree(tmp_path / "tree.json")


def test_games_without_statistics_are_judged_by_their_observation() -> None:
    state = NIM.init()
    assert statistic_names_of(NIM)[:2] == ("observation_0", "observation_1")
    np.testing.assert_array_equal(statistics_of(NIM, state), np.ravel(NIM.observe(state)))


def test_statistics_of_a_board_say_who_wins_where() -> None:
    game = TicTacToe()
    # X has 0 and 1, O has 3 and 8: X is to move.
    found = dict(zip(game.statistic_names, game.statistics(after(game, 0, 3, 1, 8)).tolist(), strict=True))
    assert {name for name, value in found.items() if value and name.startswith("i_win")} == {"i_win_at_2"}
    assert not any(value for name, value in found.items() if name.startswith("they_win"))
    # 4 opens the column of 1 and the diagonal of 2; 2 and 6 are no cells of two open lines with a stone.
    assert {name for name, value in found.items() if value and name.startswith("i_fork")} == set()
    assert (found["stones"], found["mine_0"], found["theirs_8"], found["mine_2"]) == (4, 1, 1, 0)


def _knowing() -> Callable[..., SearchResult]:
    """Search that finds exact values."""

    def act(self: Agent, states: Any, budget: int) -> SearchResult:
        moves = exact_moves(table_of(self.game), states)
        action = jnp.asarray(moves.optimal.argmax(axis=1))
        nothing = dict.fromkeys(SearchResult._fields, jnp.zeros(len(action)))
        return SearchResult(**nothing | {"action": action, "qvalues": jnp.asarray(moves.qvalues)})

    return act


def test_a_game_that_is_not_solved_is_asked_where_its_trees_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    found = subject(NIM)
    monkeypatch.setattr(Agent, "act", _knowing())
    tree = extract_sampled(found.agent, 2, max_nodes=99, num_states=6000)
    assert certify(found, play(tree, statistics_at(NIM, found.keys)))["certified"]
    assert extract_sampled(found.agent, 2, max_nodes=5, num_states=60).num_nodes <= 5
    with pytest.raises(UsageError, match="--agent-budget 1 or more"):
        extract_sampled(found.agent, 0, max_nodes=31)


@pytest.mark.slow
def test_the_reflex_is_what_search_plays_at_budget_0() -> None:
    found = subject(NIM)
    decided = decide(found.agent.act, states_of(NIM, found.keys), 0)
    np.testing.assert_array_equal(decided.action, found.action)


def test_a_tree_of_a_size_is_no_worse_than_a_smaller_one() -> None:
    found = subject(BANDIT)
    statistics = statistics_at(BANDIT, found.keys)
    objective = objective_of(found, reach_of(BANDIT, found.keys))
    losses = []
    for most in (3, 5, 7, 11, 15):
        tree = extract_within(statistics, objective, most)
        assert tree.num_nodes <= most
        losses.append(loss(objective, play(tree, statistics)))
    assert losses == sorted(losses, reverse=True)


def test_no_test_lies_within_rounding() -> None:
    game = load_game("sequential_test_4_6")
    keys = unfinished_keys(table_of(game))
    # The same lead comes of many counts of looks, each with a rounding of its own.
    raw = np.unique(
        np.asarray(jax.vmap(lambda state: statistics_of(game, state))(states_of(game, keys)))[:, -1]
    )
    assert np.diff(raw).min() < 1e-6
    statistics = statistics_at(game, keys)
    for column in statistics.T:
        assert np.diff(np.unique(column)).min(initial=1.0) > 1e-5
