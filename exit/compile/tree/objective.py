"""What a tree is to lose little of: regret, where its own play leads."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from exit.compile.reach import Reach, met, visits
from exit.compile.subject import Subject

_FLOOR = 1e-3


class Objective(NamedTuple):
    """What moves cost.

    Attributes:
      reach: where moves lead.
      regret: exact, of every action; of an illegal one more than of any legal one.
      cost: the same, but nothing for what the agent does itself: a tree is to be as good as the agent.
      agent: what it does.
      everywhere: every state counts, not only those that a program's own play leads to.
    """

    reach: Reach
    regret: Float[np.ndarray, "n A"]
    cost: Float[np.ndarray, "n A"]
    agent: Int[np.ndarray, " n"]
    everywhere: bool = False


def objective_of(subject: Subject, reach: Reach, *, everywhere: bool = False) -> Objective:
    """What moves of a subject's states cost, in reward units."""
    legal = subject.moves.legal
    regrets = np.where(legal, subject.moves.regrets, 0.0)
    # An illegal move must never pay, however little the legal ones differ.
    unit = max(map(abs, subject.game.value_bounds))
    regret = np.where(legal, regrets, regrets.max(axis=1, keepdims=True) + unit)
    cost = regret.copy()
    cost[np.arange(len(cost)), subject.action] = 0.0
    return Objective(reach, regret, cost, subject.action, everywhere)


def weights(objective: Objective, action: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """How much each state counts for a program that plays so.

    Of a player alone, how often it comes up; against an opponent, whether it can.
    """
    if objective.everywhere:
        return np.ones(len(action))
    if objective.reach.has_opponent:
        return met(objective.reach, action).astype(float)
    return visits(objective.reach, action)


def loss(objective: Objective, action: Int[np.ndarray, " n"]) -> float:
    """What a program gives away: of a player alone its value's exact loss, else the sum of regrets met."""
    regret = objective.regret[np.arange(len(action)), action]
    return float(weights(objective, action) @ regret)


def floored(weight: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Weights under which states that do not come up count a little too."""
    return weight + _FLOOR * weight.mean()
