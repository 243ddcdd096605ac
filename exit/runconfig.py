"""All that a run depends on, and what each part of an iteration depends on of it."""

from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
from jaxtyping import Array

from exit.evaluate import EvaluationConfig
from exit.game import Game
from exit.learner import LearnerConfig
from exit.network import MLPConfig, NetworkConfig, mirrors_of, num_images_of
from exit.reanalysis import ReanalysisConfig
from exit.replay import ReplayConfig
from exit.search import SearchConfig, require_inside
from exit.selfplay import SelfPlayConfig


@dataclass(frozen=True)
class RunConfig:
    """Everything a run depends on.

    Attributes:
      game: what is learnt; its own settings, such as `game.threats` of Connect Four, are in its docstring.
      num_iterations: of self-play and learning.
      overlap: learn from what was found before while the next searches are made: half of the devices (on a
        CPU, the cores) play and search again, and half learn. What they find is learnt from an iteration
        later, also where one device has to do both in turn. A fleet, whose actors play while its learner
        learns, takes no notice.
      return_weight: share of the game's return in the value target, against the search's value.
      final_return_weight: that share in the last iteration, moved to in equal steps; None keeps it. Values
        learnt from how long games end are true early and noisy; those of search the other way round.
      without_luck: leave out of the returns what chance, or a move that was only tried, brought beyond what
        search expected; see `exit.targets.make_targets`. For games of chance.
      report_every: iterations between reports, each with a measurement if the game is solved.
      checkpoint_every: iterations between checkpoints.
      keep_checkpoints: checkpoints kept.
      snapshots: keep the agent as it is after 1, 2, 4, 8, ... iterations, each as a small file.
      start_from: an agent's file, or the name of an agent that comes with the product, whose parameters
        the run starts from; None starts from random ones. Where the run's perceptron knows mirror images
        (`network.images`), it may start from one that knows none, that many times narrower.
      seed: of all that is drawn at random.
    """

    game: Game
    network: NetworkConfig = field(default_factory=MLPConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    self_play: SelfPlayConfig = field(default_factory=SelfPlayConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    reanalysis: ReanalysisConfig = field(default_factory=ReanalysisConfig)
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    num_iterations: int = 100
    overlap: bool = False
    return_weight: float = 0.5
    final_return_weight: float | None = None
    without_luck: bool = False
    report_every: int = 10
    checkpoint_every: int = 10
    keep_checkpoints: int = 3
    snapshots: bool = False
    start_from: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("num_iterations", "report_every", "checkpoint_every", "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("return_weight", "final_return_weight"):
            if (share := getattr(self, name)) is not None and not 0.0 <= share <= 1.0:
                raise ValueError(f"{name} is {share}; it must be in [0, 1]")
        for name in ("self_play", "reanalysis", "evaluation"):
            if not 0 <= (budget := getattr(self, name).budget) <= self.search.max_simulations:
                raise ValueError(
                    f"{name}.budget is {budget}; it must be in [0, {self.search.max_simulations}], "
                    "or raise search.max_simulations"
                )
        if (images := num_images_of(self.network)) > 1:
            mirrors_of(self.game, images)
        self._check_examples()

    def _check_examples(self) -> None:
        """Raise ValueError unless search proves what is taken from trees, and the replay has room for all."""
        if self.self_play.from_trees:
            require_inside(self.search)
        examples = self.self_play.num_remembered
        if self.replay.capacity % examples:
            raise ValueError(
                f"replay.capacity is {self.replay.capacity}; it must be a multiple of the {examples} "
                "examples of one iteration (self_play.num_games * self_play.num_steps, twice with "
                "self_play.from_trees)"
            )
        if self.reanalysis.candidates > self.replay.capacity:
            raise ValueError(
                f"reanalysis asks for {self.reanalysis.candidates} positions of a replay of "
                f"{self.replay.capacity}; lower it, or raise replay.capacity"
            )


def of_playing(config: RunConfig) -> RunConfig:
    """The settings that self-play depends on, the others as in any run: what one compiles serves the next."""
    return replace(
        config,
        reanalysis=ReanalysisConfig(),
        learner=LearnerConfig(),
        num_iterations=1,
        overlap=False,
        return_weight=0.0,
        final_return_weight=None,
        report_every=1,
        checkpoint_every=1,
        keep_checkpoints=1,
        snapshots=False,
        start_from=None,
        seed=0,
    )


def of_searching_again(config: RunConfig) -> RunConfig:
    """As `of_playing`, of what re-analysis depends on."""
    return replace(of_playing(config), reanalysis=config.reanalysis)


def return_weight_at(iteration: Array | int, *, config: RunConfig) -> Array:
    """The share of the game's return in the targets of the iteration that follows so many."""
    last = config.return_weight if config.final_return_weight is None else config.final_return_weight
    done = iteration / max(config.num_iterations - 1, 1)
    return jnp.float32(config.return_weight + (last - config.return_weight) * done)


def iteration_key(config: RunConfig, iteration: Array | int) -> Array:
    """The key of an iteration; 0 is the start."""
    return jax.random.fold_in(jax.random.key(config.seed), iteration)


def iteration_keys(config: RunConfig, iteration: Array) -> tuple[Array, Array]:
    """The keys of an iteration's games and of its learning."""
    key_play, key_learn = jax.random.split(iteration_key(config, iteration))
    return key_play, key_learn


def total_updates(config: RunConfig) -> int:
    """Of a whole run."""
    return config.num_iterations * config.learner.num_updates


def searching(config: RunConfig, budget: int) -> SearchConfig:
    """Search with room for so many simulations and no more."""
    return replace(config.search, max_simulations=budget)
