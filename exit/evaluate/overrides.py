"""What search made of the reflex: where it changed the move, when, and whether that helped."""

import itertools
from typing import Any

import numpy as np

from exit.evaluate.decisions import CurveFn, ProgressFn, actions_along, looks_up_to
from exit.evaluate.yardstick import Yardstick


def override_report(
    curve_fn: CurveFn, measured: Yardstick, budget: int, *, progress_fn: ProgressFn | None = None
) -> dict[str, Any]:
    """How the move changes while one search goes on, at 0, 1, 2, 4, ... simulations up to the budget.

    Returns:
      `simulations`: a row for each stretch between two looks: how many states changed their move, for how
      many of them the new one is worth more or less than the old one, and the regret per state of the set
      removed and added; and the same for the last move against the reflex's. `regret_removed` minus
      `regret_added` of the rows adds up to that of the whole.
    """
    looks = looks_up_to(budget)
    actions = actions_along(curve_fn, measured.states, looks, progress_fn=progress_fn)
    every = np.arange(len(measured.moves.values))
    regrets = np.array([measured.moves.regrets[every, action] for action in actions])
    rows = [
        {"from": before, "to": after} | _change(actions[k], actions[k + 1], regrets[k], regrets[k + 1])
        for k, (before, after) in enumerate(itertools.pairwise(looks))
    ]
    return {
        "budget": budget,
        "positions": len(every),
        "simulations": rows,
        **_change(actions[0], actions[-1], regrets[0], regrets[-1]),
    }


def _change(before: np.ndarray, after: np.ndarray, old: np.ndarray, new: np.ndarray) -> dict[str, Any]:
    """What the change from one move to another did to the regret."""
    gained = np.where(before == after, 0.0, old - new)
    num_states = max(1, len(gained))
    return {
        "changed": int((before != after).sum()),
        "helped": int((gained > 0).sum()),
        "hurt": int((gained < 0).sum()),
        "regret_removed": float(np.maximum(gained, 0).sum() / num_states),
        "regret_added": float(np.maximum(-gained, 0).sum() / num_states),
    }
