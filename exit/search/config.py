"""How `search` searches."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SearchConfig:
    """How to search; static, one compiled program for each value.

    Attributes:
      max_simulations: capacity of the tree; a budget may be anything from 0 to this.
      max_num_considered_actions: root actions that sequential halving starts from.
      gumbel_scale: exploration noise at the root; 0 acts and searches deterministically.
      value_scale: weight of Q-values against prior logits in the improved policy.
      maxvisit_init: visits added to the most visited action's when weighing Q-values.
      rescale_values: stretch each node's Q-values to [0, 1] before weighing them; False keeps their
        size, divided by the width of the game's value bounds.
      use_mctx: grow the tree with mctx, the reference: the same results, more slowly.
    """

    max_simulations: int = 64
    max_num_considered_actions: int = 16
    gumbel_scale: float = 1.0
    value_scale: float = 0.1
    maxvisit_init: float = 50.0
    rescale_values: bool = True
    use_mctx: bool = False

    def __post_init__(self) -> None:
        if self.max_simulations < 0:
            raise ValueError(f"search.max_simulations is {self.max_simulations}; it must be 0 or more")
        for name in ("gumbel_scale", "value_scale", "maxvisit_init"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"search.{name} is {getattr(self, name)}; it must be a number of at least 0")
        if self.max_num_considered_actions < 1:
            raise ValueError(
                f"search.max_num_considered_actions is {self.max_num_considered_actions}; "
                "it must be at least 1"
            )
