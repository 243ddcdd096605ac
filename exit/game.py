"""The rules of one position: what a game must offer, and nothing about how it is played.

A game is a frozen dataclass whose methods are pure JAX functions of ONE position; callers `vmap` and
`jit` them. Chance is data (`outcome_probs`, then `apply` with the outcome drawn), so that solver,
search and self-play read one rulebook. Whose turn it is never shows: a state is seen by the player to
move, and the sign of `Step.discount` says whether the turn passes.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

State = Any
"""A pytree of arrays that holds one position compactly; its leaves have the same shapes in every position."""


BaselineFn = Callable[[State], Float[np.ndarray, "n A"]]
"""The chance that a policy takes each action, in states stacked along a leading axis, on the host."""


class Step(NamedTuple):
    """What a move brings.

    The value of a move is `reward + discount * value(next state)`.

    Attributes:
      reward: to the player who just moved, in the game's reward units.
      discount: `-g` if the turn passes to an opponent, `+g` if it does not, 0 if the game is over.
    """

    reward: Float[Array, ""]
    discount: Float[Array, ""]


@runtime_checkable
class Game(Protocol):
    """The rules of one position.

    Implementations are hashable (frozen dataclasses): a game is a static argument of compiled programs.
    Tables of exact values are kept by the game's `repr`, so fields that concern observations alone stay out
    of it (`field(repr=False)`), though not out of comparisons. A state is terminal exactly when it has no
    legal action. `apply` is called with terminal states and illegal actions too (their result is
    discarded), so it must be total. NumPy arrays that index others are to be of 32 bits: the solver runs in
    double precision, and JAX 0.10 keeps the precision in which it first met an index of 64 bits.

    Optional members, used where present (see `symmetries_of` and what follows it):
      `symmetries(state) -> (states, actions)`: the S images of the state under the game's symmetry
        group stacked along a new leading axis, the identity first, and `actions`, int32 `[S, A]`, the
        image of each action. Chance outcomes keep their index, unless the next member says otherwise.
      `symmetric_outcomes`: the image of each chance outcome under each symmetry, int `[S, C]`.
      `symmetric_observations`: where each entry of an image's flattened observation is found in that of the
        state, int32 `[S, N]`: `observe(image).ravel() == observe(state).ravel()[entries]`. For networks that
        know mirror images (`MLPConfig.images`); a symmetry then moves actions alike in every state.
      `render(state) -> str`: the position as text.
      `action_name(action: int) -> str`: what a person calls the move.
      `random_state(rng_key) -> State`: an unfinished state drawn at random from all kinds of them, reachable
        or not, for self-play to start from (`SelfPlayConfig.random_starts`); the key is consumed.
      `observed_value_bounds(observation) -> (low, high)`: bounds of the exact value of the state that is seen
        so, where the rules tell tighter ones than `value_bounds`: what some simple policy earns for certain,
        and what nobody can exceed. The network's value lies between them, so that it learns only what the
        rules leave open.
      `action_features: Float[np.ndarray, "A F"]`: numbers that tell what each action is like, for games with
        many alike, such as the sizes of a bet. The network's policy is then linear in them, in place of one
        number for each action, so that what is learnt of an action holds for those like it.
      `statistic_game: Game` and `statistic(state) -> State`: another game with the same moves, chance and
        rewards, and the state there that says of the past all that matters for the future. Exact values are
        then those of that game. A state that no play can reach is mapped to one that none can reach there.
      `quantities(state) -> Mapping[str, Mapping[str, Float[Array, ""]]]`: what one state says in numbers, by
        kind and name, such as `{"posterior mean": {"arm 0": 0.5}}`: what networks are probed for.
      `baselines: Mapping[str, BaselineFn]`: policies that play is compared with, by name; the first one is
        the yardstick.
      `statistics(state) -> Float[Array, "F"]` and `statistic_names: tuple[str, ...]`: the numbers that a
        person would judge the state by, and their names, which are Python's; compiled trees ask for them.
      `num_states: int | None`: how many states can be reached, where that is known from elsewhere; a game
        that is too large to solve is then refused at once.
      `solver_library: str | None`: the library that knows exact values of single positions, by the name of
        its distribution and of the extra that installs it; None where none does.
      `library_qvalues(states, progress_fn=None) -> Float[np.ndarray, "n A"]`: what the library says, on the
        host, of states stacked along a leading axis as NumPy arrays: the exact value of each action, -inf
        where illegal. `progress_fn` is told what share is done. Raises ImportError where the library is not
        installed, ValueError for states that cannot be reached, RuntimeError where the library fails.
      `openspiel_name: str | None`: what OpenSpiel calls the same game, parameters included; None where it has
        none.
      `openspiel_actions: tuple[int, ...]`: what OpenSpiel calls each action; the same number if absent.
    """

    @property
    def name(self) -> str:
        """Name by which the command line finds the game, sizes included."""
        ...

    @property
    def version(self) -> int:
        """Raised whenever rules or encoding change, so that stored tables of older rules are refused."""
        ...

    @property
    def num_actions(self) -> int:
        """Number of actions A, legal or not."""
        ...

    @property
    def num_outcomes(self) -> int:
        """Number of chance outcomes C after an action; 1 for a deterministic game."""
        ...

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """Shape of `observe`."""
        ...

    @property
    def value_bounds(self) -> tuple[float, float]:
        """Least and greatest return from any state, to the player to move."""
        ...

    def init(self) -> State:
        """The initial state."""
        ...

    def legal_actions(self, state: State) -> Bool[Array, " A"]:
        """True where an action is legal; all False exactly in terminal states."""
        ...

    def outcome_probs(self, state: State, action: Int[Array, ""]) -> Float[Array, " C"]:
        """Probability of each chance outcome after a legal action; sums to one."""
        ...

    def apply(self, state: State, action: Int[Array, ""], outcome: Int[Array, ""]) -> tuple[State, Step]:
        """The next state, seen by its player to move, and what the move brought."""
        ...

    def observe(self, state: State) -> Float[Array, "..."]:
        """Network input, from the point of view of the player to move."""
        ...

    def encode(self, state: State) -> UInt32[Array, " K"]:
        """A key: equal for equal states, different for different ones."""
        ...

    def decode(self, key: UInt32[Array, " K"]) -> State:
        """The state of a key made by `encode`."""
        ...


def is_terminal(game: Game, state: State) -> Bool[Array, ""]:
    """Whether the game is over at one state."""
    return ~jnp.any(game.legal_actions(state))


def symmetries_of(game: Game, state: State) -> tuple[State, Int[Array, "S A"]]:
    """Images of one state and of its actions under the game's symmetries; the identity if it has none."""
    symmetries = getattr(game, "symmetries", None)
    if symmetries is not None:
        return symmetries(state)
    return jax.tree.map(lambda leaf: leaf[None], state), jnp.arange(game.num_actions)[None]


def num_symmetries_of(game: Game) -> int:
    """How many symmetries the game has, the identity among them."""
    _, actions = jax.eval_shape(lambda: symmetries_of(game, game.init()))
    return actions.shape[0]


def symmetric_outcomes_of(game: Game, num_images: int) -> Int[np.ndarray, "S C"]:
    """Images of the chance outcomes under the game's symmetries; themselves if the game does not say."""
    images = getattr(game, "symmetric_outcomes", None)
    return np.tile(np.arange(game.num_outcomes), (num_images, 1)) if images is None else images


def symmetric_observations_of(game: Game) -> Int[np.ndarray, "S N"] | None:
    """How the game's symmetries move the entries of an observation; None if the game does not say."""
    # A game may keep it as an array of JAX, which is none yet while something else is traced.
    with jax.ensure_compile_time_eval():
        entries = getattr(game, "symmetric_observations", None)
        return None if entries is None else np.asarray(entries)


def random_state_of(game: Game, rng_key: Key[Array, ""]) -> State:
    """A random unfinished state; the key is consumed.

    Raises:
      ValueError: the game draws none.
    """
    random_state = getattr(game, "random_state", None)
    if random_state is None:
        raise ValueError(f"{game.name} draws no random states; set self_play.random_starts to 0")
    return random_state(rng_key)


def observed_value_bounds_of(
    game: Game, observation: Float[Array, "..."]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """What the rules tell of one state's value by its observation; `value_bounds` if nothing more."""
    observed_value_bounds = getattr(game, "observed_value_bounds", None)
    if observed_value_bounds is not None:
        return observed_value_bounds(observation)
    low, high = game.value_bounds
    return jnp.float32(low), jnp.float32(high)


def action_features_of(game: Game) -> Float[np.ndarray, "A F"] | None:
    """What each action is like, in numbers; None if the game does not say."""
    return getattr(game, "action_features", None)


def statistic_game_of(game: Game) -> Game | None:
    """The game whose states are sufficient statistics of this one's; None if the game names none."""
    return getattr(game, "statistic_game", None)


def statistic_of(game: Game, state: State) -> State:
    """The sufficient statistic of one state, as a state of `statistic_game_of`.

    Raises:
      ValueError: the game names none.
    """
    statistic = getattr(game, "statistic", None)
    if statistic is None:
        raise ValueError(f"{game.name} names no sufficient statistic of its states")
    return statistic(state)


def quantities_of(game: Game, state: State) -> Mapping[str, Mapping[str, Float[Array, ""]]]:
    """What one state says in numbers, by kind and name; nothing if the game does not say."""
    quantities = getattr(game, "quantities", None)
    return {} if quantities is None else quantities(state)


def render_of(game: Game, state: State) -> str:
    """The state as text: the game's own rendering, or its fields."""
    render = getattr(game, "render", None)
    return str(jax.device_get(state)) if render is None else render(state)


def action_name_of(game: Game, action: int) -> str:
    """What a person calls the action: the game's own name for it, or its number."""
    action_name = getattr(game, "action_name", None)
    return str(action) if action_name is None else action_name(action)


def baselines_of(game: Game) -> Mapping[str, BaselineFn]:
    """Policies that the game names to compare play with, the yardstick first; none if it names none."""
    return getattr(game, "baselines", {})


def statistics_of(game: Game, state: State) -> Float[Array, " F"]:
    """The numbers that one state is judged by; its flattened observation if the game names none."""
    statistics = getattr(game, "statistics", None)
    return jnp.ravel(game.observe(state)) if statistics is None else statistics(state)


def statistic_names_of(game: Game) -> tuple[str, ...]:
    """What the numbers of `statistics_of` are called."""
    names = getattr(game, "statistic_names", None)
    if names is not None:
        return tuple(names)
    return tuple(f"observation_{index}" for index in range(math.prod(game.observation_shape)))


def num_states_of(game: Game) -> int | None:
    """How many states can be reached, terminal ones included; None if the game does not say."""
    return getattr(game, "num_states", None)


def solver_library_of(game: Game) -> str | None:
    """The library that knows exact values of the game's positions; None if there is none."""
    return getattr(game, "solver_library", None)


def library_qvalues_of(
    game: Game, states: State, progress_fn: Callable[[float], None] | None = None
) -> Float[np.ndarray, "n A"]:
    """What the game's solver library says of the actions of n states; raises as the game's own member does.

    Raises:
      ValueError: the game names no library.
    """
    library_qvalues = getattr(game, "library_qvalues", None)
    if library_qvalues is None:
        raise ValueError(f"{game.name} names no library that solves its positions")
    return library_qvalues(states, progress_fn)


def openspiel_name_of(game: Game) -> str | None:
    """What OpenSpiel calls the game; None if the game names no twin."""
    return getattr(game, "openspiel_name", None)


def openspiel_actions_of(game: Game) -> Int[np.ndarray, " A"]:
    """What OpenSpiel calls each of the game's actions."""
    return np.asarray(getattr(game, "openspiel_actions", range(game.num_actions)))
