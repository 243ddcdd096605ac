"""Bounds that can be promised for states that nobody measured, and how often such promises hold.

Of as many new states as the choice was made on, a mean is to stay within a limit. Both means vary, and regret
is rare and large, so that a sample may show too little of it: one more state with the most that there can be
is counted in before the bound is taken.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Real

_DEVIATIONS = 1.96
"""Of the difference of two means: exceeded upwards in one case in forty."""


def promised_mean(
    samples: Real[np.ndarray, "S n"], greatest: float, *, complete: bool = False
) -> Float[np.ndarray, " S"]:
    """Upper bound of the mean over n new states, from n measured ones.

    Args:
      samples: of the measured states, at each of S budgets.
      greatest: what a state can show at most.
      complete: they are all the states there are, so that the mean is known and is the bound.
    """
    if complete:
        return samples.mean(axis=1)
    counted = np.concatenate([samples, np.full((len(samples), 1), greatest)], axis=1)
    return counted.mean(axis=1) + _DEVIATIONS * np.sqrt(counted.var(axis=1, ddof=1) * 2 / samples.shape[1])


class Check(NamedTuple):
    """How promises held in random halves of the states: chosen on one, tried on the other.

    Attributes:
      splits: random halves.
      promised: in how many of them something could be promised.
      held: in how many of these the promise held in the other half.
    """

    splits: int
    promised: int
    held: int


def check_promises(
    num_states: int,
    choose_fn: Callable[[Int[np.ndarray, " m"]], int | None],
    holds_fn: Callable[[int, Int[np.ndarray, " m"]], bool],
    *,
    splits: int = 40,
    seed: int = 0,
) -> Check:
    """Makes a choice on half of the states, many times, and looks at the other half.

    Args:
      choose_fn: what is chosen from some of the states; None if nothing can be promised.
      holds_fn: whether what was promised of a choice holds in some of the states.
    """
    rng = np.random.default_rng(seed)
    promised = held = 0
    for _ in range(splits):
        chosen_on, tried_on = np.array_split(rng.permutation(num_states), 2)
        choice = choose_fn(chosen_on)
        if choice is not None:
            promised += 1
            held += holds_fn(choice, tried_on)
    return Check(splits, promised, held)
