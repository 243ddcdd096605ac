"""Which action is followed below the root, by policy."""

from jaxtyping import Array, Int

from exit.search import gumbel, puct
from exit.search.config import Gumbel, Policy
from exit.search.node import Limits, Node


def interior_action(node: Node, policy: Policy, limits: Limits) -> Int[Array, "..."]:
    """The action that the next simulation through each node follows."""
    if isinstance(policy, Gumbel):
        return gumbel.interior_action(node, policy, limits)
    return puct.puct_action(node, policy, limits)
