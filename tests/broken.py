"""Games that each break one rule of the protocol, and what must be said of them."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from exit.game import Step
from tests.planted import LeakyHeap, PairState, TwoHeaps


class KeyShared(TwoHeaps):
    """`encode` forgets which heap is which."""

    def encode(self, state):
        return (state.left + state.side).astype(jnp.uint32)[None]


class KeyHalf(TwoHeaps):
    """`decode` loses a heap."""

    def decode(self, key):
        return TwoHeaps.decode(self, key)._replace(left=jnp.int32(0))


class ObservationInfinite(TwoHeaps):
    def observe(self, state):
        return 1 / jnp.stack(state).astype(jnp.float32)


class ObservationMisshapen(TwoHeaps):
    def observe(self, state):
        return jnp.zeros(3)


class ObservationWhole(TwoHeaps):
    def observe(self, state):
        return jnp.stack(state)


class LegalActionsNumeric(TwoHeaps):
    def legal_actions(self, state):
        return jnp.stack(state)


class StateWidened(TwoHeaps):
    """`apply` returns another dtype than `init`."""

    def apply(self, state, action, outcome):
        after, step = TwoHeaps.apply(self, state, action, outcome)
        return after._replace(left=after.left.astype(jnp.float32)), step


class ChanceShort(LeakyHeap):
    def outcome_probs(self, state, action):
        return jnp.array([0.75, 0.2])


class ChanceNegative(LeakyHeap):
    def outcome_probs(self, state, action):
        return jnp.array([1.25, -0.25])


class RewardNan(TwoHeaps):
    def apply(self, state, action, outcome):
        after, step = TwoHeaps.apply(self, state, action, outcome)
        return after, step._replace(reward=jnp.where(after.left == 1, jnp.nan, step.reward))


class RewardOutside(TwoHeaps):
    """A reward greater than `value_bounds`."""

    def apply(self, state, action, outcome):
        after, step = TwoHeaps.apply(self, state, action, outcome)
        return after, step._replace(reward=2 * step.reward)


class DiscountGrowing(TwoHeaps):
    def apply(self, state, action, outcome):
        after, step = TwoHeaps.apply(self, state, action, outcome)
        return after, step._replace(discount=2 * step.discount)


class EndUnmarked(TwoHeaps):
    """The game is over, but the discount is not 0."""

    def apply(self, state, action, outcome):
        after, step = TwoHeaps.apply(self, state, action, outcome)
        return after, step._replace(discount=jnp.float32(-1))


class EndEarly(TwoHeaps):
    """The discount is 0, but there are legal actions left."""

    def apply(self, state, action, outcome):
        after, step = TwoHeaps.apply(self, state, action, outcome)
        return after, step._replace(discount=jnp.where(after.left == 0, 0.0, step.discount))


class StartOver(TwoHeaps):
    """The initial state has no legal action."""

    def init(self):
        return PairState(jnp.int32(0), jnp.int32(0))


class Endless(TwoHeaps):
    def apply(self, state, action, outcome):
        return state, Step(reward=jnp.float32(0), discount=jnp.float32(-1))


class SymmetryWithoutIdentity(TwoHeaps):
    def symmetries(self, state):
        return jax.tree.map(lambda leaf: leaf[::-1], TwoHeaps.symmetries(self, state))


class SymmetryDoubled(TwoHeaps):
    """Both actions have one image."""

    def symmetries(self, state):
        return TwoHeaps.symmetries(self, state)[0], jnp.array([[0, 1], [1, 1]])


class SymmetryHalf(TwoHeaps):
    """The heaps are swapped, the actions are not."""

    def symmetries(self, state):
        return TwoHeaps.symmetries(self, state)[0], jnp.array([[0, 1], [0, 1]])


class SymmetryUnseen(TwoHeaps):
    """The heaps are swapped, and are said to look as before."""

    symmetric_observations = np.array([[0, 1], [0, 1]], np.int32)


class SymmetryOfNothing(TwoHeaps):
    """Says how one symmetry of two looks."""

    symmetric_observations = np.array([[0, 1]], np.int32)


class SymmetryBeyond(TwoHeaps):
    """Says that an image shows what nothing shows."""

    symmetric_observations = np.array([[0, 1], [1, 2]], np.int32)


class SymmetryMoving(TwoHeaps):
    """Which numbers the moves have depends on the turn, and so does what a symmetry does to them."""

    num_actions = 3
    symmetric_observations = np.array([[0, 1], [1, 0]], np.int32)

    def legal_actions(self, state):
        return jnp.roll(jnp.stack([state.left > 0, state.side > 0, False]), (state.left + state.side) % 2)

    def apply(self, state, action, outcome):
        return TwoHeaps.apply(self, state, (action - (state.left + state.side) % 2) % 3, outcome)

    def symmetries(self, state):
        moved = jnp.array([[[0, 1, 2], [1, 0, 2]], [[0, 1, 2], [0, 2, 1]]])
        return TwoHeaps.symmetries(self, state)[0], moved[(state.left + state.side) % 2]


class SymmetryIllegal(TwoHeaps):
    """The second heap may not be touched, but it is called the image of the first."""

    def legal_actions(self, state):
        return jnp.stack([state.left > 0, jnp.bool_(False)])


class SymmetryOfChance(LeakyHeap):
    """Both actions are called alike, though one leaves something to chance and the other does not."""

    def symmetries(self, state):
        return jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), state), jnp.array([[0, 1], [1, 0]])


class Untraceable(TwoHeaps):
    def legal_actions(self, state):
        return jnp.array([True, True]) if state.left > 0 else jnp.array([False, False])


class Uncompiled(TwoHeaps):
    """A method that tells whether it is being compiled."""

    def observe(self, state):
        return jnp.full(2, float(isinstance(state.left, Tracer)))


class Unhashable(TwoHeaps):
    def __hash__(self) -> int:
        raise TypeError("unhashable")


class NameEmpty(TwoHeaps):
    name = ""


class BoundsReversed(TwoHeaps):
    value_bounds = (1.0, -1.0)


class BoundsOfStateMisshapen(TwoHeaps):
    def observed_value_bounds(self, observation):
        return observation, observation


class BoundsOfStateTooLow(TwoHeaps):
    """Who takes the last stone wins 1, which no bound may deny."""

    def observed_value_bounds(self, observation):
        return jnp.float32(-1.0), jnp.float32(0.5)


class BoundsOfStateTooHigh(TwoHeaps):
    """Half of the positions are lost."""

    def observed_value_bounds(self, observation):
        return jnp.float32(0.5), jnp.float32(1.0)


class StatisticForgetful(TwoHeaps):
    """What is said to be all that matters leaves one stone out."""

    statistic_game = TwoHeaps()

    def statistic(self, state):
        return state._replace(left=jnp.maximum(state.left - 1, 0))


class ActionsNamedAlike(TwoHeaps):
    def action_name(self, action: int) -> str:
        return "take"


class FeaturesOfTooFewActions(TwoHeaps):
    action_features = np.zeros((1, 2))


class FeaturesNan(TwoHeaps):
    action_features = np.full((TwoHeaps.num_actions, 2), np.nan)


class RandomStateOver(TwoHeaps):
    """Of its states, one in nine is over."""

    def random_state(self, rng_key):
        return PairState(*jax.random.randint(rng_key, (2,), 0, 3, jnp.int32))


class RandomStateOutside(TwoHeaps):
    """Draws heaps that no key holds."""

    def random_state(self, rng_key):
        return PairState(jnp.int32(1), jax.random.randint(rng_key, (), 1, 9, jnp.int32))


BROKEN = (
    (KeyShared(), "decode(encode(state))"),
    (KeyHalf(), "decode(encode(state))"),
    (ObservationInfinite(), "observe must be finite"),
    (ObservationMisshapen(), "observe must be float32 [2], got float32 [3]"),
    (ObservationWhole(), "observe must be float32 [2], got int32 [2]"),
    (LegalActionsNumeric(), "legal_actions must be bool"),
    (StateWidened(), "apply must have the type of init's state"),
    (ChanceShort(), "sum to one"),
    (ChanceNegative(), "sum to one"),
    (RewardNan(), "reward and discount must be finite"),
    (RewardOutside(), "value_bounds (-1.0, 1.0) must hold every return"),
    (DiscountGrowing(), "discount must lie between -1 and 1"),
    (EndUnmarked(), "discount must be 0 exactly where"),
    (EndEarly(), "discount must be 0 exactly where"),
    (StartOver(), "initial state must have a legal action"),
    (Endless(), "max_plies = 50"),
    (SymmetryWithoutIdentity(), "identity must come first"),
    (SymmetryDoubled(), "map the actions one to one"),
    (SymmetryHalf(), "commute with apply"),
    (SymmetryUnseen(), "move the observation as symmetric_observations says"),
    (SymmetryOfNothing(), "symmetric_observations"),
    (SymmetryBeyond(), "each of symmetric_observations must have 0 to 1 once"),
    (SymmetryMoving(), "a symmetry must move actions alike in every state"),
    (SymmetryIllegal(), "carry the legal actions along"),
    (SymmetryOfChance(heap=2), "keep outcome_probs"),
    (Untraceable(), "legal_actions fails: TracerBoolConversionError"),
    (Uncompiled(), "with and without jit"),
    (Unhashable(), "hash fails: TypeError"),
    (NameEmpty(), "name must be a text"),
    (BoundsReversed(), "value_bounds must be two finite numbers"),
    (BoundsOfStateMisshapen(), "each of observed_value_bounds must be floating []"),
    (BoundsOfStateTooLow(), "observed_value_bounds must hold the value"),
    (BoundsOfStateTooHigh(), "observed_value_bounds must hold the value"),
    (StatisticForgetful(), "statistic must keep legal actions, chances, rewards"),
    (RandomStateOver(), "random_state must draw unfinished states"),
    (RandomStateOutside(), "the state that random_state draws must be that of its key"),
    (FeaturesOfTooFewActions(), "action_features must be floating ["),
    (FeaturesNan(), "action_features must be finite"),
    (ActionsNamedAlike(), "action_name must give each action a text of its own"),
)
"""Each broken game with a part of the message that names its fault."""
