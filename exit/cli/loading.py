"""What several commands start from: an agent."""

from collections.abc import Sequence
from pathlib import Path

from exit.agent import Agent
from exit.cli import console
from exit.errors import UsageError


def load_agent(source: Path, budgets: Sequence[int], max_simulations: int | None) -> Agent:
    """The agent of a run or a file, able to search with each of the budgets.

    Args:
      max_simulations: capacity of its search in place of the one it was trained with.

    Raises:
      UsageError: there is no agent, or a budget is over the capacity.
    """
    agent = Agent.load(source, max_simulations=max_simulations, warn_fn=console.warn)
    capacity, most = agent.search.max_simulations, max(budgets, default=0)
    if most > capacity:
        raise UsageError(
            f"budget {most} is over the capacity of {capacity} simulations; ask for less, "
            f"or give --max-simulations {most}"
        )
    return agent
