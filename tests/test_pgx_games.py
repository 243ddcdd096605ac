"""Games of Pgx as games of this project: held against Pgx itself, and against our own tic-tac-toe."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pgx
import pytest
from jaxtyping import Array

from exit.catalog import game_names, load_config, load_game, shelf_names
from exit.cli.app import run
from exit.conformance import check_game
from exit.errors import UsageError, UserError
from exit.game import action_name_of, render_of
from exit.solve import Table, TooLarge, solve, states_of
from exit.solve.keys import unpack as unpack_keys
from games.pgx import PgxGame, make
from games.pgx.layout import layout_of, pack, unpack
from games.tic_tac_toe import TicTacToe
from tests.rig import QUICKLY
from tests.tiny import table_of

NUM_GAMES = 8
NUM_DRAWS = 5_000


def env_of(game: PgxGame) -> Any:
    return pgx.make(game.env_id)  # type: ignore[arg-type]


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return jax.jit(function, compiler_options=QUICKLY)


def stacked(state: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.stack([leaf] * NUM_GAMES), state)


def differences(
    game: PgxGame, env_states: Any, states: Any, num_plies: int, outcome_fn: Callable[..., Array]
) -> tuple[Mapping[str, np.ndarray], np.ndarray]:
    """Random games by Pgx and by ours: what differs at each ply, and what was over, `[games, T]`."""
    env = env_of(game)

    def ply(carry: Any, rng_key: Array) -> Any:
        before, state = carry
        over = before.terminated | before.truncated
        key_action, key_step = jax.random.split(rng_key)
        logits = jnp.where(before.legal_action_mask, 0.0, -jnp.inf)
        action = jax.random.categorical(key_action, logits).astype(jnp.int32)
        after = env.step(before, action, key_step)
        outcome = outcome_fn(before, after)
        next_state, step = game.apply(state, action, outcome)
        mover, ended = before.current_player, after.terminated | after.truncated
        turn = jnp.where(after.current_player == mover, 1.0, -1.0)
        wrong = {
            "legal": jnp.any(game.legal_actions(state) != (before.legal_action_mask & ~over)),
            "observation": jnp.any(game.observe(state) != before.observation),
            "chance": ~over & (game.outcome_probs(state, action)[outcome] <= 0),
            "reward": ~over & (step.reward != after.rewards[mover]),
            "sum of rewards": ~over & (after.rewards.sum() != 0),
            "discount": ~over & (step.discount != jnp.where(ended, 0.0, turn)),
        }
        return (after, next_state), (wrong, over)

    def play(env_state: Any, state: Any, rng_key: Array) -> Any:
        return jax.lax.scan(ply, (env_state, state), jax.random.split(rng_key, num_plies))[1]

    keys = jax.random.split(jax.random.key(3), NUM_GAMES)
    return jax.device_get(compiled(jax.vmap(play))(env_states, states, keys))


def assert_same_games(found: tuple[Mapping[str, np.ndarray], np.ndarray], num_over: int) -> None:
    wrong, over = found
    assert {name: int(ply.sum()) for name, ply in wrong.items()} == dict.fromkeys(wrong, 0)
    assert over[:, -1].sum() >= num_over


def env_starts(game: PgxGame) -> Any:
    """Pgx's initial states; either player begins somewhere."""
    env_states = compiled(jax.vmap(env_of(game).init))(jax.random.split(jax.random.key(5), NUM_GAMES))
    assert set(env_states.current_player.tolist()) == {0, 1}
    return env_states


@pytest.mark.parametrize(
    ("name", "num_plies", "num_over"),
    [
        ("tic_tac_toe", 10, 8),
        ("connect_four", 43, 8),
        ("othello", 70, 8),
        ("hex", 123, 8),
        pytest.param("go_9x9", 170, 8, marks=pytest.mark.slow),
        pytest.param("animal_shogi", 260, 8, marks=pytest.mark.slow),
        pytest.param("chess", 513, 8, marks=pytest.mark.slow),
        pytest.param("shogi", 40, 0, marks=pytest.mark.slow),
    ],
)
def test_random_games_are_those_of_pgx(name, num_plies, num_over):
    game = make(name)
    found = differences(
        game, env_starts(game), stacked(game.init()), num_plies, lambda before, after: jnp.int32(0)
    )
    assert_same_games(found, num_over)


ROLLS = [(low, high) for low in range(6) for high in range(low, 6)]


def roll_of(before: Any, after: Any) -> Array:
    """Which roll came with a move; 0 if none did."""
    index = jnp.argmax(jnp.all(jnp.array(ROLLS) == jnp.sort(after._dice), axis=1))
    return jnp.where(after.current_player == before.current_player, 0, index).astype(jnp.int32)


@pytest.mark.slow
def test_random_games_of_backgammon_are_those_of_pgx():
    game = make("backgammon")
    env_states = env_starts(game)
    first = jnp.array([ROLLS.index(tuple(sorted(dice))) for dice in env_states._dice.tolist()], jnp.int32)
    begin = compiled(jax.vmap(game.apply))
    states, step = begin(stacked(game.init()), jnp.zeros(NUM_GAMES, jnp.int32), first)
    assert step.discount.tolist() == [1.0] * NUM_GAMES
    assert_same_games(differences(game, env_states, states, 800, roll_of), num_over=2)


def test_the_first_roll_of_backgammon_is_no_double():
    game = make("backgammon")
    assert np.flatnonzero(compiled(game.legal_actions)(game.init())).tolist() == [0]
    probs = compiled(game.outcome_probs)(game.init(), jnp.int32(0))
    np.testing.assert_allclose(probs, [0 if low == high else 1 / 15 for low, high in ROLLS], rtol=1e-6)


def test_a_move_that_leaves_dice_to_play_rolls_none():
    game = make("backgammon")
    apply_fn, probs_fn = compiled(game.apply), compiled(game.outcome_probs)
    state, _ = apply_fn(game.init(), jnp.int32(0), jnp.int32(ROLLS.index((0, 1))))
    for leaves_dice in (True, False):
        action = jnp.argmax(game.legal_actions(state)).astype(jnp.int32)
        probs = (
            [0 if i else 1 for i in range(21)]
            if leaves_dice
            else [1 / 36 if a == b else 1 / 18 for a, b in ROLLS]
        )
        np.testing.assert_allclose(probs_fn(state, action), probs, rtol=1e-6)
        state, step = apply_fn(state, action, jnp.int32(0))
        assert step.discount == (1 if leaves_dice else -1)


def slid(board: np.ndarray, action: int) -> np.ndarray:
    """A board of 2048 moved by plain rules: 0 left, 1 up, 2 right, 3 down."""

    def left(line: list[int]) -> list[int]:
        tiles, moved = [tile for tile in line if tile], []
        while tiles:
            tile = tiles.pop(0)
            if tiles and tiles[0] == tile:
                tile = tiles.pop(0) + 1
            moved.append(tile)
        return moved + [0] * (4 - len(moved))

    turned = np.rot90(board.reshape(4, 4), action)
    return np.rot90([left(line) for line in turned.tolist()], -action).ravel()


def tile_outcome(before: np.ndarray, after: np.ndarray) -> int:
    """Which outcome put a tile on a board."""
    (cell,) = np.flatnonzero(before != after)
    return int(2 * np.sum(before[:cell] == 0) + after[cell] - 1)


@pytest.mark.slow
def test_random_games_of_2048_are_those_of_pgx():
    game, rng = make("2048"), np.random.default_rng(1)
    env_step, apply_fn = compiled(env_of(game).step), compiled(game.apply)
    views = compiled(
        lambda state, action: (
            game.legal_actions(state),
            game.observe(state),
            game.outcome_probs(state, action),
        )
    )
    env_state = compiled(env_of(game).init)(jax.random.key(8))
    state = game.init()
    board = np.zeros(16, int)
    for cell in np.flatnonzero(env_state._board):
        assert np.flatnonzero(game.legal_actions(state)).tolist() == [0]
        after = np.where(np.arange(16) == cell, env_state._board, board)
        state, step = apply_fn(state, jnp.int32(0), jnp.int32(tile_outcome(board, after)))
        assert (step.reward, step.discount) == (0, 1)
        board = after
    while not env_state.terminated:
        action = int(rng.choice(np.flatnonzero(env_state.legal_action_mask)))
        legal, observation, probs = views(state, jnp.int32(action))
        np.testing.assert_array_equal(legal, env_state.legal_action_mask)
        np.testing.assert_array_equal(observation, env_state.observation)
        moved = slid(np.asarray(env_state._board), action)
        num_empty = int(np.sum(moved == 0))
        chances = [(i // 2 < num_empty) * (0.1 if i % 2 else 0.9) / num_empty for i in range(32)]
        np.testing.assert_allclose(probs, chances, rtol=1e-6)
        env_state = env_step(env_state, jnp.int32(action), jax.random.key(rng.integers(1 << 30)))
        outcome = tile_outcome(moved, np.asarray(env_state._board))
        state, step = apply_fn(state, jnp.int32(action), jnp.int32(outcome))
        assert step.reward == env_state.rewards[0]
        assert step.discount == (0 if env_state.terminated else 1)
    assert not game.legal_actions(state).any()


@pytest.mark.slow
def test_the_tiles_that_2048_begins_with_may_lie_anywhere():
    game = make("2048")
    apply_fn = compiled(jax.vmap(jax.vmap(game.apply, (None, None, 0)), (0, None, None)))
    first, _ = compiled(jax.vmap(game.apply, (None, None, 0)))(game.init(), jnp.int32(0), jnp.arange(32))
    both, _ = apply_fn(first, jnp.int32(0), jnp.arange(30))
    boards = np.unique(np.asarray(both.words).reshape(32 * 30, -1), axis=0)
    assert len(boards) == 16 * 15 // 2 * 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["2048", "backgammon"])
def test_what_pgx_draws_comes_as_often_as_it_is_said(name):
    game, env = make(name), env_of(make(name))
    state = compiled(env.init)(jax.random.key(0))
    step = compiled(jax.vmap(env.step, (None, None, 0)))
    if name == "backgammon":
        state = state.replace(_dice=jnp.array([2, 3]), _playable_dice=jnp.array([2, -1, -1, -1]))
        action = jnp.int32(0)  # passes the turn
    else:
        action = jnp.argmax(state.legal_action_mask).astype(jnp.int32)
    drawn = step(state, action, jax.random.split(jax.random.key(1), NUM_DRAWS))
    if name == "backgammon":
        outcomes = [ROLLS.index(tuple(sorted(dice))) for dice in drawn._dice.tolist()]
    else:
        moved = slid(np.asarray(state._board), int(action))
        outcomes = [tile_outcome(moved, board) for board in np.asarray(drawn._board)]
    rules = game._rules
    assert rules.chance is not None
    probs = np.asarray(compiled(rules.chance.probs_fn)(state, action), float)
    counts = np.bincount(outcomes, minlength=len(probs))
    assert np.all(counts[probs == 0] == 0)
    # Five standard deviations.
    assert np.all(np.abs(counts - NUM_DRAWS * probs) <= 5 * np.sqrt(NUM_DRAWS * probs))


def values_by_observation(table: Table) -> dict[bytes, tuple[float, bool]]:
    """Value and end of every state, by what is seen."""
    states = states_of(table.game, unpack_keys(table.keys))
    seen = np.asarray(compiled(jax.vmap(table.game.observe))(states))
    rows = zip(seen, table.values.tolist(), table.terminal.tolist(), strict=True)
    return {row.tobytes(): (value, over) for row, value, over in rows}


def test_solving_gives_the_values_of_our_own_game_state_by_state():
    table = table_of(make("tic_tac_toe"))
    values = values_by_observation(table)
    assert len(values) == len(table.keys) == 5478
    # Every state has a row of its own.
    assert values == values_by_observation(solve(TicTacToe(), use_symmetries=False))


@pytest.mark.parametrize("name", ["connect_four", "go_9x9", "backgammon"])
def test_what_is_too_large_is_not_begun(name):
    def fail(phase: str, layer: int, states: int) -> None:
        raise AssertionError("began to solve")

    with pytest.raises(TooLarge, match=f"pgx:{name} does not fit in memory: it has (about )?[0-9]"):
        solve(make(name), max_bytes=10**10, progress_fn=fail)


def test_a_game_keeps_the_protocol():
    check_game(make("tic_tac_toe"), num_games=4)


def stored(name: str) -> set[str]:
    return {field.path for field in make(name)._rules.layout.kept}


def test_a_state_holds_what_can_still_matter_and_no_more():
    common = {"current_player", "terminated", "truncated", "legal_action_mask"}
    assert stored("tic_tac_toe") == common | {"_x.color", "_x.board"}
    # Go ends after so many moves, so they count; the stones taken, and backgammon's colours, are for show.
    assert {"_x.step_count", "_x.hash_history"} <= stored("go_9x9")
    assert not {"_step_count", "_x.num_captured", "observation"} & stored("go_9x9")
    assert not {"_turn", "_step_count", "observation"} & stored("backgammon")


class Fields(NamedTuple):
    """Arrays of every kind that a state may hold."""

    flags: Any = np.array([True, False, True, True])
    small: Any = np.array([[-2, 1], [0, -1]], np.int32)
    byte: Any = np.array([-128, 127, 5], np.int8)
    half: Any = np.uint16(65535)
    word: Any = np.array([-(2**31), 2**31 - 1], np.int32)
    hash: Any = np.array([0, 2**32 - 1, 7], np.uint32)
    real: Any = np.array([-1.5, np.inf], np.float32)
    dropped: Any = np.array([1, 2])


def test_packing_loses_nothing_that_is_kept():
    fields = Fields()
    kept = frozenset(Fields._fields) - {"dropped"}
    layout = layout_of(fields, kept, {"small": (-2, 1)})
    words = pack(layout, jax.tree.map(jnp.asarray, fields))
    assert words.size == 7 + 1 + 1 + 1 + 1  # of 32, 16, 8, 2 and 1 bits
    for name, before, after in zip(Fields._fields, fields, unpack(layout, words), strict=True):
        np.testing.assert_array_equal(after, 0 * before if name == "dropped" else before)
        assert name == "dropped" or after.dtype == before.dtype


def test_a_type_without_a_place_is_refused():
    with pytest.raises(ValueError, match="field dropped of its state is of int64; int32, uint32"):
        layout_of(Fields(), frozenset(Fields._fields), {})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pgx:go9x9", "game 'pgx:go9x9': Pgx has no game 'go9x9'; did you mean 'go_9x9'?"),
        ("pgx:qqqq", "game 'pgx:qqqq': Pgx has no game 'qqqq'; known are 2048, animal_shogi, "),
        ("pgx:", "game 'pgx:': Pgx has no game ''; known are 2048, "),
        ("pgx:kuhn_poker", "game 'pgx:kuhn_poker': kuhn_poker hides a part of its state from the players"),
        ("pgx:bridge_bidding", "bridge_bidding hides a part of its state"),
        ("pgx:minatar-breakout", "minatar-breakout draws by chance what games.pgx.chance does not describe"),
        ("pgx", "unknown game 'pgx'"),
        ("pgx_9", "unknown game 'pgx_9'"),
        ("go_9x9", "unknown game 'go_9x9'; did you mean 'pgx:go_9x9'"),
        ("connect_four:4x4", "unknown game 'connect_four:4x4'"),
        ("pgy:hex", "unknown game 'pgy:hex'; did you mean 'pgx:hex'"),
    ],
)
def test_a_wrong_name_is_answered_with_what_is_allowed(name, message):
    with pytest.raises(UsageError) as caught:
        load_game(name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pgx:go9x9", "config 'pgx:go9x9': Pgx has no game 'go9x9'; did you mean 'go_9x9'?"),
        ("pgx_9", "unknown config 'pgx_9'"),
        ("tic_tac_toe:3", "unknown config 'tic_tac_toe:3'; did you mean 'tic_tac_toe'"),
    ],
)
def test_a_wrong_config_is_answered_with_what_is_allowed(name, message):
    with pytest.raises(UsageError) as caught:
        load_config(name)
    assert message in str(caught.value)


def test_without_the_library_its_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pgx", None)
    with pytest.raises(UserError, match=r"pgx:go_5x5 needs the optional library Pgx; .*'xit\[pgx\]'"):
        load_game("pgx:go_5x5")
    assert shelf_names() == []
    assert run(["solve", "pgx:go_5x5"]) == 1
    assert "the optional library Pgx" in capsys.readouterr().err


def test_more_than_two_players_are_refused(monkeypatch):
    monkeypatch.setattr(pgx, "available_envs", lambda: ("trio",))
    monkeypatch.setattr(pgx, "make", lambda name: SimpleNamespace(num_players=3))
    with pytest.raises(ValueError, match="trio has 3 players; games here have one or two"):
        make("trio")


def test_a_game_of_which_nothing_is_known_is_solved_all_the_same(monkeypatch):
    env = pgx.make("tic_tac_toe")
    monkeypatch.setattr(pgx, "available_envs", lambda: ("noughts",))
    monkeypatch.setattr(pgx, "make", lambda name: env)
    game = make("noughts")
    assert len(game.init().words) > len(make("tic_tac_toe").init().words)
    table = solve(game)
    assert len(table.keys) == 5478
    assert game.num_states is None


def test_another_layout_is_another_version():
    versions = {make(name).version for name in ("tic_tac_toe", "connect_four", "othello")}
    assert len(versions) == 3
    assert min(versions) >= 1
    assert make("othello").version == make("othello").version


def test_games_of_the_library_are_listed_apart():
    names = shelf_names()
    assert {"pgx:2048", "pgx:go_9x9", "pgx:tic_tac_toe"} <= set(names)
    assert not set(names) & set(game_names())
    assert not any("poker" in name for name in names)


def test_positions_are_shown_with_the_actions_of_empty_cells():
    game = make("tic_tac_toe")
    state = game.init()
    for action in (4, 0):
        state, _ = game.apply(state, jnp.int32(action), jnp.int32(0))
    assert render_of(game, state) == "o 1 2\n3 x 5\n6 7 8"
    assert render_of(make("backgammon"), make("backgammon").init()).startswith("board: 2 0 0 0 0 -5")
    assert [action_name_of(make("2048"), action) for action in range(4)] == ["left", "up", "right", "down"]
    assert action_name_of(make("go_9x9"), 81) == "pass"
    assert action_name_of(make("backgammon"), 6 * 2 + 3) == "24 by 4"


def test_the_commands_take_its_games(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setenv("XIT_CACHE_DIR", str(tmp_path / "cache"))
    figures = tmp_path / "figures.json"
    assert run(["solve", "pgx:tic_tac_toe", "--json", str(figures)]) == 0
    found = json.loads(figures.read_text())
    assert (found["game"], found["states"], found["value"]) == ("pgx:tic_tac_toe", 5478, 0)
    assert Path(found["table"]).is_dir()
    assert run(["games", "--json", str(figures)]) == 0
    rows = {row["game"]: row for row in json.loads(figures.read_text())}
    assert rows["pgx:chess"]["actions"] is None
    assert run(["solve", "pgx:connect_four"]) == 1
    assert "does not fit on the disk" in capsys.readouterr().err
