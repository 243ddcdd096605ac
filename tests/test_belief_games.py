"""Games whose state is a belief, and other games of chance: published values, plain rules, and bad input."""

import itertools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.catalog import load_game, with_overrides
from exit.conformance import GameError, check_game
from exit.errors import UsageError
from exit.game import observed_value_bounds_of, render_of
from exit.solve import exact_moves, initial_value, states_of, unfinished_keys
from games.bandit import Bandit
from games.game_2048 import BoardState, Game2048
from games.kelly import Kelly
from games.kelly_beta import KellyBeta
from games.pig import HOLD, ROLL, Pig, PigState
from games.sequential_test import DECIDE_FIRST, DECIDE_SECOND, LOOK, SequentialTest
from tests.tiny import stack, table_of

TO_NINE_DIGITS = 1e-9
TO_A_THOUSANDTH_OF_A_CENT = 1e-5


@pytest.mark.parametrize(
    ("name", "value", "tolerance"),
    [
        ("bandit_2_40", 25.446876777, TO_NINE_DIGITS),
        ("bandit_3_10", 6.409642857, TO_NINE_DIGITS),
        ("kelly_25_250_23", 93.759831, TO_A_THOUSANDTH_OF_A_CENT),
        ("kelly_beta_3_2_20", 57.567433, TO_A_THOUSANDTH_OF_A_CENT),
        ("sequential_test_4_6", -0.299625463, TO_NINE_DIGITS),
        ("sequential_test_3_7", -0.201237022, TO_NINE_DIGITS),
    ],
)
def test_exact_values_are_those_known(name, value, tolerance):
    assert initial_value(table_of(load_game(name))) == pytest.approx(value, abs=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "tolerance"),
    [
        ("bandit_2_5", 2.888888889, TO_NINE_DIGITS),
        ("bandit_2_10", 6.021785714, TO_NINE_DIGITS),
        ("bandit_2_20", 12.431264906, TO_NINE_DIGITS),
        ("kelly_25_250_10", 62.604887, TO_A_THOUSANDTH_OF_A_CENT),
        ("kelly_25_250_300", 246.20805, TO_A_THOUSANDTH_OF_A_CENT),
        ("kelly_beta_3_2_10", 51.673926, TO_A_THOUSANDTH_OF_A_CENT),
        ("kelly_beta_7_3_20", 77.016234, TO_A_THOUSANDTH_OF_A_CENT),
    ],
)
def test_more_exact_values_are_those_known(name, value, tolerance):
    assert initial_value(table_of(load_game(name))) == pytest.approx(value, abs=tolerance)


@pytest.mark.slow
def test_pig_is_won_by_the_first_player_as_often_as_published():
    """T. Neller and C. Presser, 2004: 0.530593."""
    assert (1 + initial_value(table_of(Pig(100)))) / 2 == pytest.approx(0.530593, abs=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "bandit_2_10",
        "bandit_3_6_3_1",
        "kelly_25_60_10_1_40",
        "kelly_beta_3_2_6_10_40",
        "sequential_test_4_6_20_10",
    ],
)
def test_exact_values_lie_between_what_the_rules_tell(name):
    game = load_game(name)
    table = table_of(game)
    keys = unfinished_keys(table)
    told = jax.jit(jax.vmap(lambda state: observed_value_bounds_of(game, game.observe(state))))
    low, high = told(states_of(game, keys))
    values = exact_moves(table, states_of(game, keys)).values
    slack = 1e-6 * (game.value_bounds[1] - game.value_bounds[0])
    assert (low <= values + slack).all()
    assert (values <= high + slack).all()
    # They tell more than the bounds of the whole game.
    assert np.mean(high - low) < 0.7 * (game.value_bounds[1] - game.value_bounds[0])


@pytest.mark.parametrize(
    ("name", "assignment", "same"),
    [
        ("kelly_25_250_23", "unit=0.5", "kelly_25_250_23_2"),
        ("kelly_25_250_23_2", "unit=1", "kelly_25_250_23"),
        ("kelly_25_250_23", "win_prob=0.55", "kelly_25_250_23_1_55"),
        ("kelly_beta_3_2_20", "cap=50", "kelly_beta_3_2_20_25_50"),
        ("bandit_2_20", "alpha=3", "bandit_2_20_3_1"),
        ("sequential_test_4_6_30_20", "cost=0.01", "sequential_test_4_6_30_10"),
        ("sequential_test_4_6", "first=0.45", "sequential_test_45_6"),
        ("pig_100", "goal=50", "pig_50"),
        ("2048", "columns=2", "2048_3x2"),
    ],
)
def test_settings_are_sizes_of_the_name(name, assignment, same):
    game = with_overrides(load_game(name), [assignment])
    assert game == load_game(same)
    assert game.name == same


@pytest.mark.parametrize(
    ("name", "assignments", "message"),
    [
        ("bandit_1_20", [], "bandit has 2 to 16 arms, got 1"),
        ("bandit_2_0", [], "bandit has a horizon of 1 to 10000 pulls, got 0"),
        ("bandit_2_20_0_1", [], "bandit has a prior Beta(alpha, beta) with both above 0"),
        ("bandit_2_20", ["alpha=-1"], "got Beta(-1, 1)"),
        ("kelly_25_25_10", [], "at least $1 and below the cap of $25, got $25"),
        ("kelly_0_25_10", [], "the wealth at the start is at least $1"),
        ("kelly_25_250_0", [], "there are 1 to 10000 rounds, got 0"),
        ("kelly_25_250_10_0", [], "there is at least 1 bet to a dollar, got 0"),
        ("kelly_25_250_10", ["unit=0.3"], "another whole part of a dollar, got 0.3"),
        ("kelly_25_250_10", ["win_prob=1.5"], "the chance to win a bet is between 0 and 1, got 1.5"),
        ("kelly_25_25000_10_100", [], "lower the cap or raise the unit"),
        ("kelly_beta_0_2_20", [], "the prior is Beta(alpha, beta) with both above 0"),
        ("sequential_test_4_4", [], "the two coins have different chances of heads"),
        ("sequential_test_4_6_0", [], "there are 1 to 10000 looks at most, got 0"),
        ("sequential_test_4_6", ["cost=-1"], "a look costs 0 or more"),
        ("sequential_test_4_6", ["prior=0.5,0.6"], "two chances above 0 that sum to one, got 0.5 and 0.6"),
        ("pig_1", [], "pig has a goal of 2 to 1000 points, got 1"),
        ("2048_4x4", [], "2048 has 2 or 3 rows and columns, got 4 x 4; that on 4 x 4 is pgx:2048"),
    ],
)
def test_bad_input_is_answered_with_what_is_allowed(name, assignments, message):
    with pytest.raises(UsageError) as caught:
        with_overrides(load_game(name), assignments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["kelly_beta_3_2_20", "bandit_3_10"])
def test_optimised_programs_make_the_keys_that_plain_ones_make(name):
    """Compilers have been seen to err in the arithmetic of keys."""
    game = load_game(name)
    states = states_of(game, unfinished_keys(table_of(game)))

    def keys(state, action):
        after = jax.vmap(lambda outcome: game.apply(game.decode(game.encode(state)), action, outcome)[0])
        return jax.vmap(game.encode)(after(jnp.arange(2)))

    actions = np.asarray(jax.vmap(game.legal_actions)(states)).argmax(axis=1).astype(np.int32)
    optimised, plain = (
        jax.jit(jax.vmap(keys), compiler_options={"xla_backend_optimization_level": level})(states, actions)
        for level in (3, 0)
    )
    np.testing.assert_array_equal(optimised, plain)


@dataclass(frozen=True)
class Unmirrored(SequentialTest):
    """Heads and tails are exchanged in the states alone."""

    @property
    def symmetric_outcomes(self):
        return np.array([[0, 1], [0, 1]], np.int32)


@dataclass(frozen=True)
class HeadsTwice(SequentialTest):
    """Both outcomes have one image."""

    @property
    def symmetric_outcomes(self):
        return np.array([[0, 1], [1, 1]], np.int32)


@pytest.mark.parametrize(
    ("game", "fault"),
    [
        (Unmirrored(max_looks=3), "a symmetry must commute with apply"),
        (HeadsTwice(max_looks=3), "symmetries must map the actions one to one, and the outcomes"),
    ],
)
def test_a_wrong_image_of_an_outcome_is_named(game, fault):
    with pytest.raises(GameError, match=fault):
        check_game(game, num_games=4)


def test_a_bandits_outcomes_are_its_posterior_predictive():
    game = Bandit(2, 10, 3.0, 1.0)
    state = game.init()
    for action, outcome in ((0, 1), (0, 1), (0, 0), (1, 0)):
        state, step = game.apply(state, jnp.int32(action), jnp.int32(outcome))
        assert (float(step.reward), float(step.discount)) == (outcome, 1.0)
    assert game.outcome_probs(state, jnp.int32(0)).tolist() == pytest.approx([2 / 7, 5 / 7])
    assert game.outcome_probs(state, jnp.int32(1)).tolist() == pytest.approx([2 / 5, 3 / 5])
    assert game.render(state).splitlines() == [
        "6 of 10 pulls left",
        "arm 0: 2 successes, 1 failures, mean 0.714",
        "arm 1: 0 successes, 1 failures, mean 0.600",
    ]


def test_no_bet_is_above_the_wealth():
    game = Kelly(3, 10, 5, 0.5)
    assert np.flatnonzero(game.legal_actions(game.init())).tolist() == list(range(7))
    assert game.action_name(3) == "bet $1.50"
    state, step = game.apply(game.init(), jnp.int32(15), jnp.int32(0))
    assert int(state.wealth) == 0
    assert (float(step.reward), float(step.discount)) == (0.0, 0.0)


def test_betting_ends_at_the_cap_and_pays_the_wealth():
    game = Kelly(6, 10, 5)
    state, step = game.apply(game.init(), jnp.int32(6), jnp.int32(1))
    assert (float(step.reward), float(step.discount)) == (10.0, 0.0)
    assert not game.legal_actions(state).any()
    state, step = game.apply(game.init()._replace(rounds=jnp.int32(1)), jnp.int32(2), jnp.int32(0))
    assert (float(step.reward), float(step.discount)) == (4.0, 0.0)


def test_an_unknown_coin_is_learnt_from_bets_of_nothing():
    game = KellyBeta(3.0, 2.0, 20)
    state, step = game.apply(game.init(), jnp.int32(0), jnp.int32(1))
    assert (int(state.wealth), float(step.discount)) == (25, 1.0)
    assert game.outcome_probs(state, jnp.int32(5)).tolist() == pytest.approx([2 / 6, 4 / 6])
    assert "1 wins, 0 losses, mean 0.667" in render_of(game, state)


def test_a_sequential_test_pays_for_looks_and_for_wrong_decisions():
    game = SequentialTest(max_looks=2)
    state, step = game.apply(game.init(), jnp.int32(LOOK), jnp.int32(1))
    assert (float(step.reward), float(step.discount)) == (pytest.approx(-0.01), 1.0)
    # After one head the odds are 0.6 to 0.4.
    assert game.outcome_probs(state, jnp.int32(DECIDE_SECOND)).tolist() == pytest.approx([0.4, 0.6])
    assert game.outcome_probs(state, jnp.int32(LOOK)).tolist() == pytest.approx([0.48, 0.52])
    for coin in (0, 1):
        over, step = game.apply(state, jnp.int32(DECIDE_FIRST), jnp.int32(coin))
        assert (float(step.reward), float(step.discount)) == (-coin, 0.0)
        assert not game.legal_actions(over).any()
    last, _ = game.apply(state, jnp.int32(LOOK), jnp.int32(0))
    assert game.legal_actions(last).tolist() == [True, True, False]


def test_exact_play_stops_looking_at_a_boundary_that_closes_in():
    game = SequentialTest()
    looks = [
        game.init()._replace(looks=jnp.int32(n), heads=jnp.int32(h)) for n, h in ((0, 0), (10, 5), (20, 20))
    ]
    moves = exact_moves(table_of(game), stack(looks))
    assert moves.optimal.tolist() == [[False, False, True], [False, False, True], [False, True, False]]
    last = exact_moves(table_of(game), stack([looks[0]._replace(looks=jnp.int32(50), heads=jnp.int32(25))]))
    assert last.optimal.tolist() == [[True, True, False]]


def _pig_rules(goal, mine, theirs, turn, action, pips):
    """Points of the next player to move and of the other one, the turn's sum, whether the mover has won."""
    if action == HOLD:
        return theirs, mine + turn, 0, False
    if pips == 1:
        return theirs, mine, 0, False
    if mine + turn + pips >= goal:
        return goal, theirs, 0, True
    return mine, theirs, turn + pips, False


def test_pig_agrees_with_plain_rules():
    game, apply = Pig(12), jax.jit(Pig(12).apply)
    for mine, theirs, turn in itertools.product((0, 5, 9), (0, 11), (0, 2)):
        state = PigState(jnp.int32(mine), jnp.int32(theirs), jnp.int32(turn))
        assert game.legal_actions(state).tolist() == [turn > 0, True]
        for action, pips in ((ROLL, 1), (ROLL, 2), (ROLL, 6), *[(HOLD, 1)] * (turn > 0)):
            after, step = apply(state, jnp.int32(action), jnp.int32(pips - 1))
            *expected, won = _pig_rules(12, mine, theirs, turn, action, pips)
            assert list(map(int, after)) == expected
            passes = action == HOLD or pips == 1
            assert float(step.reward) == won
            assert float(step.discount) == (0.0 if won else -1.0 if passes else 1.0)
            assert game.legal_actions(after).any() == (not won)


def _pushed_left(rows):
    """A board of powers after a push to the left by plain rules, and what it brings."""
    brought, board = 0, []
    for row in rows:
        tiles, made = [power for power in row if power], []
        while tiles:
            if len(tiles) > 1 and tiles[0] == tiles[1]:
                made.append(tiles[0] + 1)
                brought += 2 ** made[-1]
                tiles = tiles[2:]
            else:
                made.append(tiles.pop(0))
        board.append(made + [0] * (len(row) - len(made)))
    return np.array(board), brought


def test_2048_agrees_with_plain_rules():
    game, rng = Game2048(2, 3), np.random.default_rng(0)
    apply, legal_fn = jax.jit(game.apply), jax.jit(game.legal_actions)
    turns = {"left": 0, "up": 1, "right": 2, "down": 3}
    probs_fn = jax.jit(game.outcome_probs)
    moved = 0
    for _ in range(60):
        board = rng.integers(0, 4, (2, 3))
        if (board > 0).sum() < 2:
            continue
        state = BoardState(jnp.asarray(board.ravel(), jnp.int32))
        legal = np.asarray(legal_fn(state))
        for action in range(4):
            quarter = turns[game.action_name(action)]
            pushed, brought = _pushed_left(np.rot90(board, quarter).tolist())
            pushed = np.rot90(pushed, -quarter)
            assert legal[action] == (pushed != board).any()
            free = np.flatnonzero(pushed.ravel() == 0)
            if not legal[action]:
                continue
            moved += 1
            after, step = apply(state, jnp.int32(action), jnp.int32(2 * free[-1] + 1))
            expected = pushed.ravel().copy()
            expected[free[-1]] = 2
            assert after.powers.tolist() == expected.tolist()
            assert float(step.reward) == brought
            assert float(step.discount) == float(legal_fn(after).any())
            probs = np.asarray(probs_fn(state, jnp.int32(action))).reshape(-1, 2)
            assert np.flatnonzero(probs[:, 0]).tolist() == free.tolist()
            np.testing.assert_allclose(
                probs[free], [[0.9 / len(free), 0.1 / len(free)]] * len(free), rtol=1e-6
            )
    assert moved > 60


def test_2048_begins_with_two_tiles():
    game = Game2048(2, 2)
    legal_fn, apply_fn = jax.jit(game.legal_actions), jax.jit(game.apply)
    state = game.init()
    for outcome, powers in ((0, [1, 0, 0, 0]), (7, [1, 0, 0, 2])):
        assert legal_fn(state).all()
        state, step = apply_fn(state, jnp.int32(2), jnp.int32(outcome))
        assert state.powers.tolist() == powers
        assert float(step.reward) == 0.0
    assert game.render(state) == "2 .\n. 4"
