"""Agents against everything that can happen to them, held against plain Python and OpenSpiel."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pyspiel
import pytest
from open_spiel.python import policy as spiel_policy
from open_spiel.python.algorithms import exploitability as spiel_exploitability

from exit.evaluate import PolicyFn, adversarial_figures, best_reply, face, line_to, walk
from exit.game import Game
from exit.solve import Exact, exact_of_table
from games.nim import Nim
from games.tic_tac_toe import TicTacToe
from tests.chance_games import Bets
from tests.solver_games import Ring
from tests.tiny import table_of

LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
Cells = frozenset[int]
Choose = Callable[[dict[int, int]], int]


@functools.cache
def _moves(mine: Cells, theirs: Cells) -> dict[int, int]:
    """Exact value of each move of an unfinished position; none if it is over."""
    if any(theirs.issuperset(line) for line in LINES):
        return {}
    return {cell: -_value(theirs, mine | {cell}) for cell in range(9) if cell not in mine | theirs}


def _value(mine: Cells, theirs: Cells) -> int:
    won = any(theirs.issuperset(line) for line in LINES)
    return -1 if won else max(_moves(mine, theirs).values(), default=0)


def _first(moves: dict[int, int]) -> int:
    return min(moves)


def _best(moves: dict[int, int]) -> int:
    return max(moves, key=lambda cell: (moves[cell], -cell))


def _careless(moves: dict[int, int]) -> int:
    """Perfect as long as nothing is won; then the first move that is no loss."""
    return _best(moves) if max(moves.values()) < 1 else min(cell for cell in moves if moves[cell] >= 0)


def _reply(choose: Choose, mine: Cells, theirs: Cells, agent: bool) -> int:
    """Value to the player to move where the agent chooses so and the opponent as is best."""
    moves = _moves(mine, theirs)
    if not moves:
        return -1 if any(theirs.issuperset(line) for line in LINES) else 0
    cells = [choose(moves)] if agent else list(moves)
    return max(-_reply(choose, theirs, mine | {cell}, not agent) for cell in cells)


def _faced(choose: Choose, agent: bool) -> set[tuple[Cells, Cells]]:
    """Unfinished positions in which the agent comes to move."""
    todo, found = [(frozenset[int](), frozenset[int](), agent)], set()
    while todo:
        mine, theirs, agent = todo.pop()
        moves = _moves(mine, theirs)
        if moves and (mine, theirs, agent) not in found:
            found.add((mine, theirs, agent))
            cells = [choose(moves)] if agent else list(moves)
            todo += [(theirs, mine | {cell}, not agent) for cell in cells]
    return {(mine, theirs) for mine, theirs, agent in found if agent}


def _policy(choose: Choose) -> PolicyFn:
    def decide(keys: np.ndarray) -> np.ndarray:
        cells = [
            tuple(frozenset(np.flatnonzero(key >> shift & 1 << np.arange(9))) for shift in (0, 9))
            for key in keys[:, 0]
        ]
        return np.array([choose(_moves(*cell)) for cell in cells])

    return decide


def _exact(game: Game) -> Exact:
    return exact_of_table(table_of(game))


def _figures(game: Game, policy_fn: PolicyFn) -> dict[str, Any]:
    exact = _exact(game)
    return adversarial_figures(exact, face(exact, policy_fn, max_positions=10**6))


@pytest.mark.parametrize("choose", [_first, _best, _careless])
def test_what_an_agent_meets_is_what_plain_python_finds(choose: Choose) -> None:
    found = _figures(TicTacToe(), _policy(choose))
    empty = frozenset[int]()
    lost = [-_reply(choose, empty, empty, True), _reply(choose, empty, empty, False)]
    assert [seat["value_lost"] for seat in found["certificate"]] == lost
    assert found["exploitability"] == sum(lost) / 2
    everywhere = set()
    for seat, agent in zip(found["certificate"], (True, False), strict=True):
        positions = _faced(choose, agent)
        wrong = sum(_moves(*each)[choose(_moves(*each))] < max(_moves(*each).values()) for each in positions)
        assert (seat["positions"], seat["mistakes"]) == (len(positions), wrong)
        everywhere |= positions
    assert found["reached"]["count"] == len(everywhere)
    assert sum(row["count"] for row in found["reached"]["by_ply"]) == len(everywhere)
    assert sum(row["mistakes"] for row in found["reached"]["by_ply"]) == found["reached"]["mistakes"]


def test_these_agents_differ_as_they_must() -> None:
    first, best, careless = (_figures(TicTacToe(), _policy(each)) for each in (_first, _best, _careless))
    assert (best["exploitability"], best["certified"]) == (0, True)
    assert (first["exploitability"], first["certified"]) == (1, False)
    # Whoever gives nothing away until the opponent errs cannot be exploited, and is not perfect.
    assert (careless["exploitability"], careless["certified"]) == (0, False)


@pytest.mark.parametrize("choose", [_first, _careless])
def test_the_line_of_a_failed_certificate_leads_to_the_mistake(choose: Choose) -> None:
    for number, seat in enumerate(_figures(TicTacToe(), _policy(choose))["certificate"]):
        assert seat["mistakes"] > 0
        mine, theirs = frozenset[int](), frozenset[int]()
        for ply, cell in enumerate(seat["line"]):
            assert cell in _moves(mine, theirs)
            if ply % 2 == number:
                assert cell == choose(_moves(mine, theirs))
            mine, theirs = theirs, mine | {cell}
        moves = _moves(mine, theirs)
        assert len(seat["line"]) % 2 == number
        assert seat["action"] == choose(moves)
        assert seat["regret"] == max(moves.values()) - moves[choose(moves)] > 0
        assert seat["best_actions"] == [cell for cell in moves if moves[cell] == max(moves.values())]


class _Spiel(spiel_policy.Policy):
    """An agent for OpenSpiel, asked only where play may lead: a table would hold every history."""

    def __init__(self, game: pyspiel.Game, choose: Choose) -> None:
        super().__init__(game, list(range(game.num_players())))
        self._choose = choose

    def action_probabilities(self, state: pyspiel.State, player_id: int | None = None) -> dict[int, float]:
        history = state.history()
        mine, theirs = history[len(history) % 2 :: 2], history[(len(history) + 1) % 2 :: 2]
        return {self._choose(_moves(frozenset(mine), frozenset(theirs))): 1.0}


@pytest.mark.parametrize("choose", [_first, _best, _careless])
def test_openspiel_finds_the_same_exploitability(choose: Choose) -> None:
    game = pyspiel.load_game("tic_tac_toe")
    theirs = spiel_exploitability.nash_conv(game, _Spiel(game, choose)) / game.num_players()
    assert _figures(TicTacToe(), _policy(choose))["exploitability"] == pytest.approx(theirs)


def test_a_heap_game_of_uneven_lines_is_faced_too() -> None:
    """In Nim a position is reached by lines of different lengths, so that one sweep is not enough."""
    exact = _exact(Nim((3, 4, 5)))
    perfect = _figures(exact.game, lambda keys: np.argmax(exact.moves_fn(keys).optimal, axis=1))
    assert (perfect["exploitability"], perfect["certified"]) == (0, True)
    # Whoever takes one object wherever there is one loses from the first seat, where Nim is won.
    clumsy = _figures(exact.game, lambda keys: np.argmax(exact.moves_fn(keys).legal, axis=1))
    assert [seat["value_lost"] for seat in clumsy["certificate"]] == [2, 0]
    assert [seat["mistakes"] > 0 for seat in clumsy["certificate"]] == [True, True]


def test_alone_an_agent_loses_what_its_policy_is_short_of() -> None:
    game = Bets()
    exact = _exact(game)
    perfect = _figures(game, lambda keys: np.argmax(exact.moves_fn(keys).optimal, axis=1))
    assert perfect["exploitability"] == pytest.approx(0, abs=1e-12)
    assert len(perfect["certificate"]) == 1
    timid = _figures(game, lambda keys: np.zeros(len(keys), int))
    stays = game.discount**2 * np.log2(1 + game.wealth)
    assert timid["exploitability"] == pytest.approx(game.exact(game.rounds, game.wealth) - stays, rel=1e-6)
    assert timid["certified"] is False


def test_play_that_never_ends_earns_nothing() -> None:
    found = walk(Ring(), lambda keys: np.zeros(len(keys), int), moves_first=True, max_positions=10)
    assert found is not None
    assert best_reply(found) == 0
    # Every position comes up with either player to move.
    assert (len(found.mine), int(found.mine.sum())) == (6, 3)
    assert [len(line_to(found, index)) for index in range(6)] == [0, 1, 2, 3, 4, 5]


def test_too_many_positions_are_given_up() -> None:
    exact = _exact(TicTacToe())
    assert face(exact, _policy(_best), max_positions=20) is None
    found = adversarial_figures(exact, None)
    assert found == {"exploitability": None, "certified": None, "certificate": None, "reached": None}
