"""Critical states to measure spending on: all of them, or a sample with as many of every ply as there are."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt32

from exit.evaluate.lines import plies, ply_of
from exit.evaluate.sample import MAX_PLIES, random_positions
from exit.solve import Exact, unfinished_keys

_MAX_PLIED = 8_000_000
_AT_ONCE = 1 << 16


class CriticalStates(NamedTuple):
    """Critical states of a game.

    Attributes:
      kind: `all`; a `stratified` sample, in which every ply has its share; a `uniform` one of a table that is
        too large to know its plies; or `random play`, where there is no table: after 0 to 34 random moves.
      keys: as `Game.encode` makes them.
      stratum: of each state, a number: its ply, or 0 throughout where a sample has no strata.
    """

    kind: str
    keys: UInt32[np.ndarray, "n K"]
    stratum: Int[np.ndarray, " n"]

    @property
    def complete(self) -> bool:
        """Whether these are all the critical states there are."""
        return self.kind == "all"


def critical_states(exact: Exact, max_states: int, *, seed: int = 0) -> CriticalStates:
    """All critical states, or a sample of at most `max_states` of them.

    Of a stratified sample every state has the same chance, so that means over it need no weights.

    Raises:
      ValueError: `max_states` is below 1.
    """
    if max_states < 1:
        raise ValueError(f"max_states is {max_states}; give at least 1")
    rng = np.random.default_rng(seed)
    if exact.table is None:
        found = random_positions(exact.game, 3 * max_states, MAX_PLIES, seed)
        keys, ply = _critical(exact, found.keys, found.ply, max_states)
        return CriticalStates("random play", keys, ply)
    keys = unfinished_keys(exact.table)
    if exact.table.num_states > _MAX_PLIED:
        order = rng.permutation(len(keys))
        keys, stratum = _critical(exact, keys[order], np.zeros(len(keys), int), max_states)
        return CriticalStates("uniform", keys, stratum)
    keys, ply = _critical(exact, keys, ply_of(plies(exact.game), keys), None)
    if len(keys) <= max_states:
        return CriticalStates("all", keys, ply)
    rows = _in_proportion(ply, max_states, rng)
    return CriticalStates("stratified", keys[rows], ply[rows])


def _critical(
    exact: Exact, keys: UInt32[np.ndarray, "n K"], stratum: Int[np.ndarray, " n"], enough: int | None
) -> tuple[UInt32[np.ndarray, "m K"], Int[np.ndarray, " m"]]:
    """The critical ones of some states, in their order; no more than are enough."""
    chosen: list[np.ndarray] = []
    # A library solves each position it is asked about; what is not needed is not asked.
    step = min(_AT_ONCE, enough or _AT_ONCE)
    for start in range(0, len(keys), step):
        rows = np.arange(start, min(start + step, len(keys)))
        chosen.append(rows[exact.moves_fn(keys[rows]).critical])
        if enough is not None and sum(map(len, chosen)) >= enough:
            break
    rows = np.concatenate([np.zeros(0, int), *chosen])[:enough]
    return keys[rows], stratum[rows]


def _in_proportion(stratum: Int[np.ndarray, " n"], num: int, rng: np.random.Generator) -> np.ndarray:
    """Rows drawn without replacement, so many of each stratum as its share of all says."""
    shuffled = rng.permutation(len(stratum))
    # In the order of strata, every so-manieth state is drawn: each stratum gets its share, rounded.
    by_stratum = shuffled[np.argsort(stratum[shuffled], kind="stable")]
    places = (rng.random() + np.arange(num)) * (len(stratum) / num)
    return np.sort(by_stratum[np.minimum(places.astype(int), len(stratum) - 1)])
