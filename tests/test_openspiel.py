"""OpenSpiel's twins of our games, agents as its bots, and matches."""

import dataclasses
import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pyspiel
import pytest
from open_spiel.python.algorithms.evaluate_bots import evaluate_bots

from exit.agent import Agent
from exit.catalog import load_game
from exit.cli import run
from exit.errors import UsageError, UserError
from exit.game import Game, State, Step
from exit.openspiel import (
    AgentBot,
    match_figures,
    mcts_opponent,
    play_match,
    random_opponent,
    translation_of,
)
from exit.openspiel.arena import Played
from exit.rundir import RunInfo
from exit.search import SearchResult
from exit.solve import exact_moves
from games.nim import Nim
from games.tic_tac_toe import TicTacToe
from tests.tiny import NET, random_params, table_of, tiny_config

Captured = pytest.CaptureFixture[str]


@dataclasses.dataclass(frozen=True)
class Perfect:
    """Plays from a table, drawing among the best moves alike in its weights, the first of them by choice."""

    game: Game

    def act(
        self, state: State, budget: int | None = None, *, deadline_ms: float | int | None = None
    ) -> SearchResult:
        moves = exact_moves(table_of(self.game), jax.tree.map(lambda leaf: np.asarray(leaf)[None], state))
        optimal = jnp.asarray(moves.optimal[0])
        value = jnp.float32(moves.values[0])
        return SearchResult(
            action=jnp.argmax(optimal),
            action_weights=optimal / optimal.sum(),
            value=value,
            qvalues=jnp.asarray(moves.qvalues[0]),
            visit_counts=jnp.zeros(self.game.num_actions, jnp.int32),
            num_simulations=jnp.int32(3),
            lower=value,
            upper=value,
            prior=optimal / optimal.sum(),
            prior_value=value,
        )


@functools.cache
def _rules(game: Game) -> Callable[[State, int], tuple[State, Step, np.ndarray]]:
    """What comes of a move, and what is legal then."""

    @jax.jit
    def move(state: State, action: int) -> tuple[State, Step, jax.Array]:
        after, step = game.apply(state, jnp.int32(action), jnp.int32(0))
        return after, step, game.legal_actions(after)

    return lambda state, action: jax.device_get(move(state, action))


def _play_side_by_side(name: str, seed: int) -> list[int]:
    """A random game in both, compared at every position; its moves, as OpenSpiel numbers them."""
    game, rng = load_game(name), np.random.default_rng(seed)
    translation = translation_of(game)
    twin = translation.spiel_game.new_initial_state()
    state, legal = game.init(), np.asarray(game.legal_actions(game.init()))
    player, earned = 0, np.zeros(2)
    while not twin.is_terminal():
        assert sorted(translation.spiel_actions[legal]) == twin.legal_actions()
        assert player == twin.current_player()
        action = int(rng.choice(np.flatnonzero(legal)))
        state, step, legal = _rules(game)(state, action)
        earned[player] += step.reward
        earned[1 - player] -= step.reward
        twin.apply_action(int(translation.spiel_actions[action]))
        assert twin.is_terminal() == (step.discount == 0)
        player = 1 - player if step.discount < 0 else player
    assert not legal.any()
    assert earned.tolist() == twin.returns()
    return twin.history()


@pytest.mark.parametrize("name", ["tic_tac_toe", "connect_four", "nim_3_4_5"])
def test_twins_play_the_same_game(name: str) -> None:
    games = [_play_side_by_side(name, seed) for seed in range(8)]
    assert len(set(map(tuple, games))) > 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["connect_four_4x5", "nim_1_3_5_7", "hex_5", "hex_3_1", "othello_8"])
def test_more_twins_play_the_same_game(name: str) -> None:
    games = [_play_side_by_side(name, seed) for seed in range(8)]
    # Passing is among the moves of Othello.
    assert name != "othello_8" or any(64 in moves for moves in games)


@pytest.mark.parametrize("name", ["othello_4"])
def test_games_without_a_twin_say_so(name: str) -> None:
    with pytest.raises(UserError, match=f"no twin of {name}"):
        translation_of(load_game(name))


def test_positions_of_another_game_are_refused() -> None:
    bot = AgentBot(Perfect(TicTacToe()), budget=1)
    with pytest.raises(UserError, match=r"a position of nim.* tic_tac_toe"):
        bot.step(translation_of(Nim()).spiel_game.new_initial_state())


def test_a_bot_follows_any_line() -> None:
    bot = AgentBot(Perfect(TicTacToe()), budget=1)
    game = translation_of(TicTacToe()).spiel_game
    # Two of these threaten a line, so that the only good moves are known.
    for moves, best in (([0, 3, 1], 2), ([0, 3, 1, 8], 2), ([4, 0, 8, 1], 2), ([0, 3, 1], 2)):
        state = game.new_initial_state()
        for move in moves:
            state.apply_action(move)
        assert bot.step(state) == best


def test_policies_are_what_is_played() -> None:
    game = translation_of(Nim()).spiel_game
    state = game.new_initial_state()
    bot = AgentBot(Perfect(Nim()), budget=1)
    assert bot.provides_policy()
    policy = dict(bot.get_policy(state))
    assert list(policy) == state.legal_actions()
    assert sum(policy.values()) == 1
    assert policy[bot.step(state)] == 1

    state.apply_action(1)
    # 3, 3 and 5: only taking the last heap leaves two alike.
    (best,) = [action for action, prob in bot.get_policy(state) if prob]
    assert state.action_to_string(0, best) == "pile:3, take:5;"


def test_moves_can_be_drawn_from_the_improved_policy() -> None:
    state = translation_of(TicTacToe()).spiel_game.new_initial_state()
    bot = AgentBot(Perfect(TicTacToe()), budget=1, sample=True)
    policy, _ = bot.step_with_policy(state)
    np.testing.assert_allclose([prob for _, prob in policy], 1 / 9)
    assert len({bot.step(state) for _ in range(30)}) > 4


def test_a_bot_needs_a_limit() -> None:
    with pytest.raises(UsageError, match="give a budget"):
        AgentBot(Perfect(TicTacToe()))


def test_a_perfect_bot_never_loses_in_openspiels_arena() -> None:
    spiel_game = translation_of(TicTacToe()).spiel_game
    bot, rng = AgentBot(Perfect(TicTacToe()), budget=1), np.random.default_rng(0)
    won = 0
    for seed in range(8):
        opponents = [
            pyspiel.make_uniform_random_bot(1 - seed % 2, seed),
            mcts_opponent(spiel_game, budget=20),
        ]
        for opponent in opponents:
            bots = [bot, opponent] if seed % 2 == 0 else [opponent, bot]
            outcome = evaluate_bots(spiel_game.new_initial_state(), bots, rng)[seed % 2]
            assert outcome >= 0
            won += outcome > 0
    assert won > 4
    # OpenSpiel has another one of these, in C++.
    both = pyspiel.evaluate_bots(spiel_game.new_initial_state(), [bot, bot], 0)
    assert both == [0, 0]


def test_a_perfect_bot_wins_nim_from_the_first_seat() -> None:
    spiel_game = translation_of(Nim()).spiel_game
    bot = AgentBot(Perfect(Nim()), budget=1)
    games, sides = play_match(
        bot, random_opponent(), spiel_game, num_openings=5, opening_plies=0, progress_fn=None
    )
    assert [game.outcome for game in games if game.seat == 0] == [1] * 5
    assert sides["agent"]["mean_simulations"] == 3
    assert sides["opponent"]["mean_simulations"] == 0
    assert {game.opening for game in games} == {()}


def test_each_opening_is_played_from_both_seats() -> None:
    spiel_game = translation_of(TicTacToe()).spiel_game
    told: list[tuple[int, int, float]] = []
    games, sides = play_match(
        AgentBot(Perfect(TicTacToe()), budget=1),
        mcts_opponent(spiel_game, budget=10),
        spiel_game,
        num_openings=6,
        opening_plies=2,
        progress_fn=lambda *news: told.append(news),
    )
    assert [game.seat for game in games] == [0, 1] * 6
    pairs = list(zip(games[::2], games[1::2], strict=True))
    assert all(first.opening == second.opening for first, second in pairs)
    assert len({first.opening for first, _ in pairs}) > 1
    assert all(len(game.opening) == 2 for game in games)
    figures = match_figures(games)
    assert [done for done, _, _ in told] == list(range(1, 13))
    assert told[-1][1:] == (12, pytest.approx(figures["score"]))
    moves = sides["agent"]["moves"] + sides["opponent"]["moves"]
    assert moves == sum(game.num_plies - 2 for game in games)
    with pytest.raises(UsageError, match="9 random moves end tic_tac_toe"):
        play_match(
            AgentBot(Perfect(TicTacToe()), budget=1),
            random_opponent(),
            spiel_game,
            num_openings=1,
            opening_plies=9,
        )


def test_figures_of_a_match() -> None:
    outcomes = [(1, 1), (1, 0), (0, -1), (1, 1)] * 4
    games = [Played((), seat, outcome, 7) for pair in outcomes for seat, outcome in enumerate(pair)]
    figures = match_figures(games)
    assert [figures[name] for name in ("games", "wins", "draws", "losses", "score")] == [32, 20, 8, 4, 0.75]
    assert [figures["first"][name] for name in ("wins", "draws", "losses")] == [12, 4, 0]
    assert figures["second"]["score"] == 0.625
    # Pairs score 1, 0.75, 0.25 and 1: a standard deviation of 0.306, over sixteen pairs.
    half = 1.96 * 0.306 / 4
    assert figures["ci95"]["score"] == pytest.approx([0.75 - half, 0.75 + half], abs=0.02)
    # Wilson 1927, by hand: 20 of 32.
    assert figures["ci95"]["win_rate"] == pytest.approx([0.4525, 0.7707], abs=1e-3)
    assert match_figures(games[:18])["ci95"]["score"] is None


def test_tree_search_spends_what_it_is_given() -> None:
    spiel_game = translation_of(load_game("connect_four")).spiel_game
    state = spiel_game.new_initial_state()
    counted = mcts_opponent(spiel_game, budget=37)
    counted.step(state)
    assert counted.num_simulations == 37
    timed = mcts_opponent(spiel_game, deadline_ms=5)
    timed.step(state)
    assert 0 < timed.num_simulations < 100_000


@pytest.fixture
def _agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """`xit` finds an agent in any directory."""
    config = tiny_config(network=NET)
    agent = Agent(config, config.search, random_params(config.game), 0, RunInfo("tiny", (), {}), Path())
    monkeypatch.setattr(Agent, "load", lambda *arguments, **options: agent)


@pytest.mark.slow
@pytest.mark.usefixtures("_agent")
def test_matches_are_reported(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "match.json"
    command = ["match", "run", "--budget", "3", "--games", "20", "--opening-plies", "1"]
    assert run([*command, "--json", str(path)]) == 0
    text = capsys.readouterr().out
    assert "the agent against mcts" in text
    assert "95% interval" in text
    figures = json.loads(path.read_text())
    counts = ("games", "wins", "draws", "losses")
    assert figures["games"] == sum(figures[name] for name in counts[1:]) == 20
    for name in counts:
        assert figures["first"][name] + figures["second"][name] == figures[name]
    assert (figures["game"], figures["budget"], figures["deadline_ms"]) == ("tic_tac_toe", 3, None)
    assert {"run", "against", "hardware", "command", "ci95"} <= set(figures)
    assert 0 < figures["agent"]["mean_simulations"] <= 3
    assert 0 < figures["opponent"]["mean_simulations"] <= 3
    assert run([*command, "--json", str(path)]) == 0
    again = json.loads(path.read_text())
    assert [again[name] for name in counts] == [figures[name] for name in counts]


@pytest.mark.slow
@pytest.mark.usefixtures("_agent")
def test_random_moves_are_an_opponent_for_a_reflex(capsys: Captured) -> None:
    assert run(["match", "run", "--budget", "0", "--games", "2", "--against", "random"]) == 0
    assert "against random" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", "give --budget N, --deadline-ms T or both"),
        ("--budget 3 --games 5", "give an even number"),
        ("--budget 0", "leaves mcts nothing"),
        ("--budget 2000", "over the capacity of 4"),
        ("--budget 3 --against nobody", "nobody"),
    ],
)
@pytest.mark.usefixtures("_agent")
def test_wrong_usage_is_one_line(options: str, expected: str, capsys: Captured) -> None:
    assert run(["match", "run", *options.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line


def test_a_missing_openspiel_names_its_extra(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    for name in [name for name in sys.modules if name.startswith("exit.openspiel")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyspiel", None)
    assert run(["match", "run", "--budget", "3"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install 'xit[openspiel]'" in line
