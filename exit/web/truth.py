"""What exact values say of a position, and why a move was a mistake."""

from typing import Any

import numpy as np

from exit.game import action_name_of
from exit.web.desk import Desk
from exit.web.position import Position, after, chances, check_action

_MAX_LINE = 60


def exact_of_position(desk: Desk, position: Position) -> dict[str, Any]:
    """Exact values of the legal moves, in JSON's types; raises UserError where there are none."""
    assert desk.exact is not None or desk.no_exact is not None
    found = desk.exact_moves(position)
    return {
        "solver": desk.exact.solver if desk.exact is not None else None,
        "value": float(found.values[0]),
        "moves": [
            {
                "action": int(action),
                "value": float(found.qvalues[0, action]),
                "optimal": bool(found.optimal[0, action]),
            }
            for action in np.flatnonzero(position.legal)
        ],
    }


def coherence_of_position(desk: Desk, position: Position) -> dict[str, Any]:
    """Where the network disagrees with its own look ahead, in JSON's types."""
    found = desk.coherence(position)
    return {
        "value": float(found.value[0]),
        "residuals": [float(residual) for residual in found.value_residual[:, 0]],
        "reflex_regret": [float(regret) for regret in found.reflex_regret[:, 0]],
        "moves": [
            {"action": int(action), "backups": [float(value) for value in found.qvalues[:, 0, action]]}
            for action in np.flatnonzero(position.legal)
        ],
    }


def why(desk: Desk, position: Position, action: int) -> dict[str, Any]:
    """What a move gives away, and how perfect play goes on after it and after the best move.

    Where chance decides, lines follow the likeliest outcome.

    Raises:
      UserError: the move is illegal, or there are no exact values.
    """
    game = desk.agent.game
    check_action(game, position, action)
    found = desk.exact_moves(position)
    best = int(np.flatnonzero(found.optimal[0])[0])
    if found.optimal[0, action]:
        best = action
    regret = 0.0 if best == action else float(found.values[0] - found.qvalues[0, action])
    return {
        "action": action,
        "best": best,
        "regret": regret,
        "value": float(found.values[0]),
        "move_value": float(found.qvalues[0, action]),
        "line": _line(desk, position, action),
        "best_line": _line(desk, position, best),
    }


def _line(desk: Desk, position: Position, action: int) -> list[dict[str, Any]]:
    """The move, then perfect play."""
    game, shown = desk.agent.game, []
    while len(shown) < _MAX_LINE:
        outcome = int(chances(game, position, action).argmax())
        shown.append(
            {
                "player": position.player,
                "action": action,
                "name": action_name_of(game, action),
                "outcome": None if game.num_outcomes == 1 else outcome,
            }
        )
        position = after(game, position, action, outcome)
        if not position.legal.any():
            break
        action = int(np.flatnonzero(desk.exact_moves(position).optimal[0])[0])
    return shown
