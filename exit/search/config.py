"""How `search` searches."""

from dataclasses import dataclass, replace


def _check_numbers(config: object, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(config, name) < float("inf"):
            raise ValueError(f"{name} is {getattr(config, name)}; it must be a number of at least 0")


@dataclass(frozen=True)
class Gumbel:
    """Gumbel search with sequential halving at the root (Danihelka et al. 2022).

    Attributes:
      max_num_considered_actions: root actions that sequential halving starts from.
      gumbel_scale: exploration noise at the root; 0 acts and searches deterministically.
      value_scale: weight of Q-values against prior logits in the improved policy.
      maxvisit_init: visits added to the most visited action's when weighing Q-values.
      rescale_values: stretch each node's Q-values to [0, 1] before weighing them; False keeps their
        size, divided by the width of the game's value bounds.
      anytime: halve again and again, for longer each time, instead of once, planned for the whole
        budget. Only then is a search of n simulations the first n of a longer one.
      side_by_side: search below the root's actions side by side, divided among the devices, for single
        states. Without proofs the result is the same; with them, an action that another one has decided
        may be simulated a little longer.
    """

    max_num_considered_actions: int = 16
    gumbel_scale: float = 1.0
    value_scale: float = 0.1
    maxvisit_init: float = 50.0
    rescale_values: bool = True
    anytime: bool = False
    side_by_side: bool = False

    def __post_init__(self) -> None:
        _check_numbers(self, "gumbel_scale", "value_scale", "maxvisit_init")
        if self.max_num_considered_actions < 1:
            raise ValueError(
                f"max_num_considered_actions is {self.max_num_considered_actions}; it must be at least 1"
            )


@dataclass(frozen=True)
class PUCT:
    """AlphaZero's search (Silver et al. 2018): a bonus for prior and few visits, noise on the root's prior.

    A search of n simulations is the first n of a longer one.

    Attributes:
      pb_c_init: weight of the bonus.
      pb_c_base: visits at which the weight has grown by log 2.
      dirichlet_fraction: share of noise in the root's prior; 0 searches deterministically.
      dirichlet_alpha: concentration of the noise.
      temperature: the move is drawn from visit counts to the power 1 / temperature; 0 plays the most
        visited one.
    """

    pb_c_init: float = 1.25
    pb_c_base: float = 19652.0
    dirichlet_fraction: float = 0.25
    dirichlet_alpha: float = 0.3
    temperature: float = 1.0

    def __post_init__(self) -> None:
        _check_numbers(self, "pb_c_init", "temperature")
        if not self.dirichlet_fraction <= 1:
            raise ValueError(f"dirichlet_fraction is {self.dirichlet_fraction}; it must be in [0, 1]")
        _check_numbers(self, "dirichlet_fraction")
        for name in ("pb_c_base", "dirichlet_alpha"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; it must be a number above 0")


Policy = Gumbel | PUCT


@dataclass(frozen=True)
class SearchConfig:
    """How to search; static, one compiled program for each value.

    Attributes:
      max_simulations: capacity of the tree; a budget may be anything from 0 to this.
      policy: which action a simulation follows, and which is played.
      prove: keep exact bounds beside the values. Moves proven worse are not simulated again, and a
        state whose bounds meet stops using budget.
      use_mctx: grow the tree with mctx, the reference: the results of `prove=False`, more slowly.
    """

    max_simulations: int = 64
    policy: Policy = Gumbel()
    prove: bool = True
    use_mctx: bool = False

    def __post_init__(self) -> None:
        if self.max_simulations < 0:
            raise ValueError(f"search.max_simulations is {self.max_simulations}; it must be 0 or more")
        if self.use_mctx and self.prove:
            raise ValueError("search.use_mctx needs search.prove=False; mctx proves nothing")
        if self.use_mctx and (is_side_by_side(self.policy) or getattr(self.policy, "anytime", False)):
            raise ValueError("search.use_mctx needs anytime and side_by_side to be False; mctx has neither")


def is_side_by_side(policy: Policy) -> bool:
    """Whether the root's actions are searched side by side."""
    return isinstance(policy, Gumbel) and policy.side_by_side


def without_noise(config: SearchConfig) -> SearchConfig:
    """The same search without exploration: a function of state and parameters alone."""
    if isinstance(config.policy, Gumbel):
        return replace(config, policy=replace(config.policy, gumbel_scale=0.0))
    return replace(config, policy=replace(config.policy, dirichlet_fraction=0.0, temperature=0.0))


def prefix_consistent(policy: Policy) -> bool:
    """Whether a search of n simulations is the first n of every longer one.

    PUCT and anytime halving look at what has been simulated alone. Sequential halving plans its phases
    for the whole budget: its first n simulations are not the search of budget n.
    """
    return isinstance(policy, PUCT) or policy.anytime


def require_prefix_consistent(config: SearchConfig) -> None:
    """Raise ValueError unless a search so configured can be continued, and looked at on the way."""
    if not prefix_consistent(config.policy) or config.use_mctx:
        raise ValueError(
            "continuing a search, or looking at it on the way, needs a policy whose first n simulations do "
            "not depend on the budget; set search.policy.anytime=True or search.policy=PUCT, without mctx"
        )
