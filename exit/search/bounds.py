"""What a thought has proven of each move."""

import numpy as np
from jaxtyping import Float

from exit.search.side_by_side import SideBySide
from exit.search.thought import Thought


def move_bounds(thought: Thought) -> tuple[Float[np.ndarray, " A"], Float[np.ndarray, " A"]] | None:
    """Proven bounds of each action's value, in reward units, to the player to move; None without proofs.

    Of illegal actions they say nothing. Bounds that are equal are the exact value.
    """
    tree = thought.tree
    if isinstance(tree, SideBySide):
        lower, upper, root = tree.node.lower, tree.node.upper, 0
    else:
        nodes, root = tree.tree.nodes, int(np.asarray(tree.root)[0])
        lower, upper = nodes.lower, nodes.upper
    if lower is None or upper is None:
        return None
    return np.asarray(lower[root], np.float32), np.asarray(upper[root], np.float32)
