"""Any Pgx game behind the protocol of this project."""

import difflib
import functools
import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from exit.game import Step
from games.pgx.chance import CHANCE, Chance, key_of
from games.pgx.drawing import drawn
from games.pgx.facts import FACTS, HIDDEN, Facts
from games.pgx.layout import (
    Dependence,
    Layout,
    PgxEnvState,
    dependence,
    layout_of,
    leaves_by_path,
    pack,
    unpack,
)

_NUM_STARTS = 32


class PgxState(NamedTuple):
    """A position.

    Attributes:
      words: what matters of Pgx's state, packed; in games of chance, behind it, the stage of the opening.
    """

    words: UInt32[Array, " K"]


class _Opening(NamedTuple):
    """Tables over S stages of an opening and C outcomes; see `games.pgx.chance.Opening`."""

    probs: Float[np.ndarray, "S C"]
    words: UInt32[np.ndarray, "S C K"]


class _Rules(NamedTuple):
    """What is made once of a game.

    Attributes:
      start: words of the initial state.
      chance, opening: None in a game without chance.
      checksum: of all that the meaning of a stored state hangs on.
    """

    env: Any
    facts: Facts
    layout: Layout
    start: UInt32[np.ndarray, " K"]
    chance: Chance | None
    opening: _Opening | None
    num_actions: int
    observation_shape: tuple[int, ...]
    checksum: int


@dataclass(frozen=True)
class PgxGame:
    """A game of Pgx, by Pgx's name for it; see `games.pgx` for which ones and for what a state holds.

    Rewards are those of the player who moved; an opponent's are taken to be the negative. A state that Pgx
    truncates is over. Actions are numbered as in Pgx.
    """

    env_id: str

    def __post_init__(self) -> None:
        _rules_of(self.env_id)

    @property
    def _rules(self) -> _Rules:
        return _rules_of(self.env_id)

    @property
    def name(self) -> str:
        return f"pgx:{self.env_id}"

    @property
    def version(self) -> int:
        """A checksum of Pgx's version of the game and of how states are stored."""
        return self._rules.checksum

    @property
    def num_actions(self) -> int:
        return self._rules.num_actions

    @property
    def num_outcomes(self) -> int:
        chance = self._rules.chance
        return 1 if chance is None else chance.num_outcomes

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return self._rules.observation_shape

    @property
    def value_bounds(self) -> tuple[float, float]:
        return self._rules.facts.value_bounds

    @property
    def num_states(self) -> int | None:
        return self._rules.facts.num_states

    def init(self) -> PgxState:
        return PgxState(jnp.asarray(self._rules.start))

    def legal_actions(self, state: PgxState) -> Bool[Array, " A"]:
        with jax.enable_x64(False):
            return _legal(unpack(self._rules.layout, state.words))

    def outcome_probs(self, state: PgxState, action: Int[Array, ""]) -> Float[Array, " C"]:
        chance, opening, layout = self._rules.chance, self._rules.opening, self._rules.layout
        if chance is None or opening is None:
            return jnp.ones(1)
        with jax.enable_x64(False):
            pgx_state = unpack(layout, state.words)
            probs = chance.probs_fn(pgx_state, action.astype(jnp.int32))
        stage = _stage(state)
        return jnp.where(stage > 0, jnp.asarray(opening.probs)[stage - 1], probs)

    def apply(
        self, state: PgxState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[PgxState, Step]:
        rules = self._rules
        action, outcome = action.astype(jnp.int32), outcome.astype(jnp.int32)
        # Pgx is written for single precision and fails to trace in the double one of the solver.
        with jax.enable_x64(False):
            before = unpack(rules.layout, state.words)
            after = _after(rules, before, action, outcome)
            legal = jnp.any(_legal(after))
            stays = after.current_player == before.current_player
            reward = after.rewards[before.current_player]
            discount = jnp.where(legal, jnp.where(stays, 1.0, -1.0), 0.0)
            words = pack(rules.layout, after)
            if rules.opening is not None:
                stage = _stage(state)
                opened = jnp.asarray(rules.opening.words)[stage - 1, outcome]
                words = jnp.where(stage > 0, opened, jnp.append(words, jnp.uint32(0)))
                reward = jnp.where(stage > 0, 0.0, reward)
                discount = jnp.where(stage > 0, 1.0, discount)
            return PgxState(words), Step(reward, discount)

    def observe(self, state: PgxState) -> Float[Array, "..."]:
        with jax.enable_x64(False):
            return self._rules.env.observe(unpack(self._rules.layout, state.words)).astype(jnp.float32)

    def encode(self, state: PgxState) -> UInt32[Array, " K"]:
        return state.words

    def decode(self, key: UInt32[Array, " K"]) -> PgxState:
        return PgxState(key)

    def action_name(self, action: int) -> str:
        return self._rules.facts.action_names.get(action, str(action))

    def render(self, state: PgxState) -> str:
        rules = self._rules
        legal, observation = jax.device_get((self.legal_actions(state), self.observe(state)))
        fields = {field.path: field for field in rules.layout.kept}
        leaves = jax.device_get(leaves_by_path(unpack(rules.layout, state.words)))
        kept = {path: leaf for path, leaf in leaves.items() if path in fields}
        return drawn(rules.facts, observation, legal, kept)


def _legal(state: PgxEnvState) -> Bool[Array, " A"]:
    """Legal actions; Pgx calls every action legal when a game is over."""
    return state.legal_action_mask & ~(state.terminated | state.truncated)


def _stage(state: PgxState) -> Int[Array, ""]:
    """Stage of the opening in a game of chance; 0 is the game itself."""
    return state.words[-1].astype(jnp.int32)


def _after(rules: _Rules, state: PgxEnvState, action: Int[Array, ""], outcome: Int[Array, ""]) -> PgxEnvState:
    """Pgx's state after a move and a chance outcome."""
    if rules.chance is None:
        return rules.env.step(state, action)
    return rules.env.step(state, action, key_of(rules.chance.seeds_fn(state, action)[outcome]))


@functools.cache
def _rules_of(env_id: str) -> _Rules:
    """What is made once of a game; raises as `games.pgx.make` does."""
    with jax.enable_x64(False):
        env = _env(env_id)
        facts = FACTS.get(env_id, Facts())
        example = jax.eval_shape(env.init, key_of(0))
        depends = dependence(env, example)
        ranges = {"current_player": (0, env.num_players - 1), **facts.ranges}
        layout = layout_of(example, depends.paths, ranges)
        if env_id in CHANCE:
            chance = CHANCE[env_id](env)
            start, opening = _packed_opening(layout, chance)
        else:
            chance = opening = None
            start = _only_start(env_id, env, depends, layout)
        described = (env.version, layout.kept, None if chance is None else chance.num_outcomes)
        return _Rules(
            env=env,
            facts=facts,
            layout=layout,
            start=start,
            chance=chance,
            opening=opening,
            num_actions=example.legal_action_mask.shape[0],
            observation_shape=jax.eval_shape(env.observe, example).shape,
            # Never 0: versions count from 1.
            checksum=1 + zlib.crc32(repr(described).encode()) // 2,
        )


def _env(env_id: str) -> Any:
    """Pgx's game, if it can be one here as far as its interface tells."""
    try:
        import pgx
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"pgx:{env_id} needs the optional library Pgx; install the extra, as in `pip install 'xit[pgx]'`"
        ) from error
    if env_id in HIDDEN:
        raise ValueError(f"{env_id} hides a part of its state from the players; games here hide nothing")
    if env_id not in pgx.available_envs():
        near = difflib.get_close_matches(env_id, FACTS, n=1)
        advice = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(FACTS))}"
        raise ValueError(f"Pgx has no game {env_id!r}{advice}")
    env = pgx.make(env_id)
    if env.num_players > 2:
        raise ValueError(f"{env_id} has {env.num_players} players; games here have one or two")
    return env


def _only_start(env_id: str, env: Any, depends: Dependence, layout: Layout) -> UInt32[np.ndarray, " K"]:
    """Words of the one state that a game without chance can begin with, but for who is player 0."""

    def start(seed: Int[Array, ""]) -> tuple[Array, Array]:
        state = env.init(key_of(seed))
        return state.current_player, pack(layout, state)

    player, words = map(np.asarray, jax.jit(jax.vmap(start))(jnp.arange(_NUM_STARTS)))
    starts = np.unique(words[player == 0], axis=0)
    if depends.on_key or len(starts) != 1:
        raise ValueError(
            f"{env_id} draws by chance what games.pgx.chance does not describe; of the games that draw, "
            f"it describes {' and '.join(sorted(CHANCE))}"
        )
    return starts[0]


def _packed_opening(layout: Layout, chance: Chance) -> tuple[UInt32[np.ndarray, " K"], _Opening]:
    """Words of the initial state, and the tables of the opening, in words."""
    shown, probs, states, next_stage = chance.opening
    pack_fn = functools.partial(pack, layout)
    words = np.asarray(jax.jit(jax.vmap(jax.vmap(pack_fn)))(states))
    staged = np.concatenate([words, next_stage[..., None].astype(np.uint32)], axis=-1)
    first = np.asarray(jax.jit(jax.vmap(pack_fn))(shown))[0]
    return np.append(first, np.uint32(1)), _Opening(probs, staged)
