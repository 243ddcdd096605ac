"""What training has amortized: how much of an earlier search today's reflex does without searching."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from exit.acting import make_curve_fn
from exit.evaluate.decisions import actions_along, looks_up_to
from exit.evaluate.yardstick import Yardstick
from exit.game import Game
from exit.network import Network, Params
from exit.search import SearchConfig

Figures = dict[str, float | None]
"""Figures of a report by name; None where one does not exist."""

MeasureFn = Callable[[Params, Mapping[str, Any] | None], Figures]
"""`measure(params, earlier)`: figures of parameters; `earlier` are those of the report before, if any."""


def measure_fn_of(
    sample: Yardstick, *, game: Game, network: Network, config: SearchConfig, budget: int
) -> MeasureFn:
    """What measures parameters at a fixed sample of states, by one search looked at on its way to the budget.

    The figures: mistake rates of the reflex and of search at the budget; the mean regret at 0, 1, 2, 4, ...
    simulations in reward units (`regret_at_N`; exact play has 0); and `amortized_depth`, see there.
    """
    looks = looks_up_to(budget)
    every = np.arange(len(sample.moves.values))

    def measure(params: Params, earlier: Mapping[str, Any] | None) -> Figures:
        curve_fn = make_curve_fn(params, game=game, network=network, config=config)
        actions = actions_along(curve_fn, sample.states, looks)
        mistakes = [float(np.mean(~sample.moves.optimal[every, action])) for action in actions]
        regrets = [float(np.mean(np.maximum(sample.moves.regrets[every, action], 0.0))) for action in actions]
        before = [None if earlier is None else earlier.get(f"regret_at_{look}") for look in looks]
        return {
            "reflex_mistake_rate": mistakes[0],
            "search_mistake_rate": mistakes[-1],
            **{f"regret_at_{look}": regret for look, regret in zip(looks, regrets, strict=True)},
            "amortized_depth": amortized_depth(regrets[0], looks, before),
        }

    return measure


def amortized_depth(regret: float, looks: Sequence[int], earlier: Sequence[float | None]) -> float | None:
    """Simulations of an earlier search that gave away, on average, what the reflex gives away now.

    Between two looks regret is taken to fall evenly with log(1 + simulations).

    Args:
      regret: of the reflex now.
      looks: rising budgets of the earlier search, from 0.
      earlier: its mean regret at each.

    Returns:
      0 where the reflex is no better than it was; the last look where it is as good as all of that search, or
      better. None where the earlier figures are missing, or search gained nothing that could be absorbed.
    """
    if None in earlier:
        return None
    # A search that goes on may lose again: what it has reached by then counts.
    best = np.minimum.accumulate(np.array(earlier, float))
    if best[0] == best[-1]:
        return None
    falls = np.diff(best, prepend=np.inf) < 0
    return float(np.expm1(np.interp(-regret, -best[falls], np.log1p(looks)[falls])))
