"""The conformance check passes what is sound and names what is broken."""

import pytest

from exit.catalog import game_names, load_game
from exit.conformance import GameError, check_game
from games.connect_four import ConnectFour
from tests.broken import BROKEN
from tests.planted import SOUND

SIZES = ("connect_four_4x4x3", "hex_3_1", "nim_2_2_2", "nim_70_70_70_70_70_70")
BETWEEN = ("connect_four_4x4", "connect_four_4x5", "connect_four_5x5", "hex_4", "othello_6", "nim_1_3_5_7")
"""Sizes of games of which a smaller and a larger one are checked."""


@pytest.mark.parametrize("name", sorted({*game_names(), *SIZES} - {*BETWEEN}))
def test_every_game_keeps_the_protocol(name):
    check_game(load_game(name), num_games=8)


def test_what_the_network_sees_besides_keeps_the_protocol():
    check_game(ConnectFour(4, 5, threats=True), num_games=8)


@pytest.mark.parametrize("game", SOUND, ids=lambda game: game.name)
def test_planted_games_keep_the_protocol(game):
    check_game(game, num_games=8)


@pytest.mark.parametrize(("game", "fault"), BROKEN, ids=lambda case: type(case).__name__)
def test_a_broken_rule_is_named(game, fault):
    with pytest.raises(GameError) as caught:
        check_game(game, num_games=4, max_plies=50)
    message = str(caught.value)
    assert fault in message
    assert "\n" not in message
    assert message.startswith(game.name or type(game).__name__)


def test_a_broken_rule_is_named_with_its_position():
    game = next(game for game, _ in BROKEN if type(game).__name__ == "EndEarly")
    with pytest.raises(GameError, match=r"at key \[5\]: PairState\(left=.*1.*, side=.*2"):
        check_game(game, num_games=16)


def test_what_is_no_game_is_told_what_it_lacks():
    class Nothing:
        name = "nothing"

    with pytest.raises(GameError, match="Nothing is no Game: it has no version, num_actions"):
        check_game(Nothing())


@pytest.mark.parametrize("count", [{"num_games": 0}, {"max_plies": 0}])
def test_counts_must_be_positive(count):
    with pytest.raises(ValueError, match="at least 1"):
        check_game(SOUND[0], **count)
