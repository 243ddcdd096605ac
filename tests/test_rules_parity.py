"""Rules held against those of Pgx and OpenSpiel; `benchmarks/rules_parity.py` does the same at length."""

import functools

import pytest

from benchmarks.measuring.parity import openspiel_rules, pgx_rules
from benchmarks.measuring.parity.games import differences, random_games
from benchmarks.measuring.parity.pairs import PAIRS, Pair, compare, nim_actions
from games.connect_four import ConnectFour
from games.hex import Hex
from games.nim import Nim
from games.othello import Othello


@pytest.mark.parametrize(
    "pair",
    [pytest.param(pair, marks=pytest.mark.slow if pair.program == "pgx" else ()) for pair in PAIRS],
    ids=lambda pair: f"{pair.program}-{pair.game.name}",
)
def test_the_rules_are_those_of_others(pair):
    found = compare(pair, 256, 0)
    assert found.moves > 1000
    assert found.total == 0


def test_random_games_hold_what_is_rare():
    """Swaps in Hex, passes in Othello."""
    swaps = random_games(Hex(11, swap=True), 256, 0, likely=(121,))
    assert 64 < (swaps.action[1] == 121).sum() < 192
    passes = random_games(Othello(8), 256, 0)
    assert ((passes.action == 64) & passes.running).sum() > 100


def test_random_games_end():
    played = random_games(ConnectFour(4, 4), 64, 0)
    assert (played.over.sum(axis=0) == 1).all()
    assert (played.running.sum(axis=0) == played.over.argmax(axis=0) + 1).all()
    assert (played.rewards.sum(axis=2) == 0).all()
    assert set(played.rewards.sum(axis=0)[:, 0].tolist()) == {-1.0, 0.0, 1.0}


@pytest.mark.parametrize(
    ("ours", "theirs", "actions", "wrong"),
    [
        (Nim((3, 4, 5)), "nim(pile_sizes=3;4;5,is_misere=True)", nim_actions((3, 4, 5)), {"rewards"}),
        (ConnectFour(6, 7, 5), "connect_four", None, {"legal", "player", "rewards", "over"}),
    ],
    ids=["misere", "five in a line"],
)
def test_rules_that_differ_are_found_out(ours, theirs, actions, wrong):
    replay = functools.partial(openspiel_rules.replay, name=theirs, actions=actions)
    found = compare(Pair("openspiel", ours, replay), 64, 0)
    assert {kind for kind in ("legal", "player", "rewards", "over") if getattr(found, kind)} == wrong


@pytest.mark.slow
def test_pgx_asks_for_the_passes_that_end_othello():
    """The one difference in rules there is, which the replay makes up for."""
    # One random game in two hundred ends before the board is full; of these, four do.
    ours = random_games(Othello(8), 256, 12)
    placed = ((ours.action < 64) & ours.running).sum(axis=0)
    found = differences(ours, pgx_rules.replay(ours, env_id="othello"))
    assert found.legal == found.player == 0
    assert found.over == (placed < 60).sum() > 0
    assert differences(ours, pgx_rules.replay(ours, env_id="othello", closing_action=64)).total == 0
