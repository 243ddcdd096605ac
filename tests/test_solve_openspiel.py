"""The exact solver against OpenSpiel's minimax: the value of every move in every position."""

import jax
import jax.numpy as jnp
import numpy as np
import pyspiel
import pytest
from open_spiel.python.algorithms.get_all_states import get_all_states
from open_spiel.python.algorithms.minimax_solver import MinimaxSolver

from benchmarks.measuring.parity.pairs import nim_actions
from exit.solve import exact_moves, solve
from games.connect_four import ConnectFour
from games.hex import Hex
from games.nim import Nim
from games.tic_tac_toe import TicTacToe


def states_after(game, lines):
    """The states that lines of play lead to."""
    length = max(map(len, lines))
    moves = np.array([[*line, *[-1] * (length - len(line))] for line in lines], np.int32)

    def after(line):
        def play(state, move):
            moved, _ = game.apply(state, move, jnp.int32(0))
            return jax.tree.map(lambda old, new: jnp.where(move < 0, old, new), state, moved), None

        return jax.lax.scan(play, game.init(), line)[0]

    return jax.jit(jax.vmap(after))(moves)


@pytest.mark.parametrize(
    ("game", "name", "actions", "num_positions"),
    [
        (TicTacToe(), "tic_tac_toe", np.arange(9), 4520),
        # OpenSpiel also tells positions apart by whose turn it is.
        (Nim((3, 4, 5)), "nim(pile_sizes=3;4;5,is_misere=False)", nim_actions((3, 4, 5)), 230),
        (Hex(3), "hex(board_size=3)", np.arange(9), 4520),
        (ConnectFour(3, 4, 3), "connect_four(rows=3,columns=4,x_in_row=3)", np.arange(4), 4631),
    ],
    ids=["tic_tac_toe", "nim", "hex", "connect_four"],
)
def test_every_move_is_worth_what_openspiel_says(game, name, actions, num_positions):
    positions = get_all_states(
        pyspiel.load_game(name), depth_limit=-1, include_terminals=False, to_string=str
    )
    worth = MinimaxSolver(name).solve()
    assert positions.keys() == worth.keys()
    assert len(positions) == num_positions

    ours = np.full(actions.max() + 1, -1)
    ours[actions] = np.arange(len(actions))
    lines = [ours[np.array(state.history(), int)].tolist() for state in positions.values()]
    moves = exact_moves(solve(game), jax.device_get(states_after(game, lines)))
    qvalues = np.stack([worth[position].action_values[actions] for position in positions])
    # OpenSpiel gives an illegal move one less than the least value.
    np.testing.assert_array_equal(moves.qvalues, np.where(qvalues < -1, -np.inf, qvalues))
    np.testing.assert_array_equal(moves.values, [worth[position].value for position in positions])
