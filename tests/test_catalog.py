"""Games, configs and settings are found by name, and what is misspelt is answered with what is near."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from exit.catalog import config_names, game_names, load_config, load_game, with_overrides
from exit.errors import UsageError, UserError
from exit.game import Game
from games.connect_four import ConnectFour
from games.nim import Nim
from games.tic_tac_toe import TicTacToe


@dataclass(frozen=True)
class Dense:
    width: int = 8


@dataclass(frozen=True)
class Grid:
    channels: int = 4
    bfloat16: bool = False


@dataclass(frozen=True)
class Learner:
    rate: float = 0.1
    steps: int = 10
    name: str = "adam"
    limit: float | None = None
    label: str | int = "x"
    shape: tuple[int, ...] = (1, 2)
    pair: tuple[int, float] = (1, 0.5)
    schedule: Literal["flat", "cosine"] = "flat"
    folder: Path = Path("here")
    anything: Any = 3
    act_fn: type = int

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}; it must be at least 1")


@dataclass(frozen=True)
class Config:
    game: Game = field(default_factory=TicTacToe)
    network: Dense | Grid = field(default_factory=Dense)
    learner: Learner = field(default_factory=Learner)
    teacher: Learner | None = None
    seed: int = 0


@pytest.mark.parametrize(
    ("name", "game"),
    [
        ("tic_tac_toe", TicTacToe()),
        ("connect_four", ConnectFour(6, 7)),
        ("connect_four_6x7", ConnectFour(6, 7)),
        ("connect_four_5x6", ConnectFour(5, 6)),
        ("connect_four_5x1", ConnectFour(5, 1)),
        ("connect_four_4x4x3", ConnectFour(4, 4, 3)),
        ("nim", Nim((3, 4, 5))),
        ("nim_1_2", Nim((1, 2))),
    ],
)
def test_sizes_are_read_from_a_game_name(name, game):
    assert load_game(name) == game


@pytest.mark.parametrize("name", game_names())
def test_a_listed_game_loads_under_its_own_name(name):
    assert load_game(name).name == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tic_tac_to", "unknown game 'tic_tac_to'; did you mean 'tic_tac_toe'? `xit games` lists them"),
        ("qqqq", "unknown game 'qqqq'; `xit games` lists them"),
        ("", "unknown game ''; `xit games` lists them"),
        ("tic_tac_toe_3", "game 'tic_tac_toe_3' gives 1 sizes; tic_tac_toe takes none"),
        ("connect_four_4y5", "bad sizes '4y5' in game 'connect_four_4y5'; they are whole numbers"),
        ("connect_four_-4x5", "bad sizes '-4x5'"),
        ("connect_four_", "bad sizes ''"),
        ("connect_four_4x5x3x2", "gives 4 sizes; connect_four takes rows: int = 6, columns: int = 7"),
        ("connect_four_0x4", "game 'connect_four_0x4': connect_four has 1 to 31 rows and columns, got 0 x 4"),
        ("nim_0", "game 'nim_0': nim needs one or more heaps"),
    ],
)
def test_a_wrong_game_name_is_answered_with_what_is_allowed(name, message):
    with pytest.raises(UsageError) as caught:
        load_game(name)
    assert str(caught.value).startswith(message) or message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_configs_share_is_no_config():
    assert "_everywhere" not in config_names()
    with pytest.raises(UsageError, match="unknown config '_everywhere'"):
        load_config("_everywhere")


def test_every_config_loads_by_name():
    for name in config_names():
        assert isinstance(load_config(name).game, Game)


@pytest.mark.parametrize(
    ("name", "game"),
    [
        ("connect_four_5x5", ConnectFour(5, 5)),
        ("connect_four_5x6", ConnectFour(5, 6, threats=True)),
        ("connect_four_5x1", ConnectFour(5, 1, threats=True)),
        ("connect_four_4x4x3", ConnectFour(4, 4, 3, threats=True)),
    ],
)
def test_sizes_are_read_from_a_config_name(name, game):
    config = load_config(name)
    assert config.game == game
    assert config.game.name == name
    assert 0 < config.self_play.max_random_plies < game.rows * game.columns
    assert config.evaluation.exact == (name != "connect_four_5x6")


def test_a_config_file_wins_over_sizes():
    assert load_config("connect_four_4x5").evaluation.exact
    assert load_config("connect_four").game == ConnectFour(6, 7, threats=True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "tic_tac_to",
            "unknown config 'tic_tac_to'; did you mean 'tic_tac_toe'? there are bandit, bandit_history, ",
        ),
        ("nim", "unknown config 'nim'; did you mean 'nim_3_4_5'"),
        ("tic_tac_toe_3", "unknown config 'tic_tac_toe_3'; did you mean 'tic_tac_toe'"),
        ("connect_four_4y5", "unknown config 'connect_four_4y5'; did you mean 'connect_four_4x5'"),
        ("connect_four_4x5x4x2", "unknown config"),
        (
            "connect_four_0x4",
            "config 'connect_four_0x4': connect_four has 1 to 31 rows and columns, got 0 x 4",
        ),
    ],
)
def test_a_wrong_config_name_is_answered_with_what_is_near(name, message):
    with pytest.raises(UsageError) as caught:
        load_config(name)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["no_such_config", "", "os.path", "../configs"])
def test_an_unknown_config_is_refused(name):
    with pytest.raises(UsageError, match=r"no config file|unknown config"):
        load_config(name)


def test_a_config_loads_by_path(tmp_path):
    path = tmp_path / "mine.py"
    lines = ("from dataclasses import dataclass", "@dataclass", "class C:", "    a: 'int' = 1", "config = C")
    path.write_text("\n".join(lines))
    assert load_config(str(path)).a == 1


def test_a_config_file_is_read_anew_each_time(tmp_path):
    path = tmp_path / "mine.py"
    text = "import dataclasses\n\n@dataclasses.dataclass\nclass Run:\n    seed: int = {}\n\nconfig = Run\n"
    path.write_text(text.format(1))
    assert load_config(str(path)).seed == 1
    path.write_text(text.format(25))
    assert load_config(str(path)).seed == 25


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("x = 1\n", UsageError, "has no function config()"),
        ("def config():\n    return 3\n", UsageError, "returned a int; it must return a RunConfig"),
        ("def config(:\n", UserError, "failed: SyntaxError"),
        ("def config():\n    return 1 / 0\n", UserError, "failed: ZeroDivisionError: division by zero"),
    ],
)
def test_a_faulty_config_file_is_named_with_its_fault(tmp_path, text, error, message):
    path = tmp_path / "faulty.py"
    path.write_text(text)
    with pytest.raises(error) as caught:
        load_config(str(path))
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["missing.py", "folder/missing.py", "folder/missing"])
def test_a_missing_config_file_is_named(name):
    with pytest.raises(UsageError, match=f"no config file '{name}'"):
        load_config(name)


def test_a_config_file_must_be_python(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("")
    with pytest.raises(UsageError, match=r"must end in \.py"):
        load_config(str(path))


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("learner.rate=1e-3", Learner(rate=1e-3)),
        ("learner.rate=3", Learner(rate=3.0)),
        ("learner.steps=1_000", Learner(steps=1000)),
        ("learner.steps=1e6", Learner(steps=1_000_000)),
        (" learner.name = sgd ", Learner(name="sgd")),
        ("learner.name=a=b", Learner(name="a=b")),
        ("learner.limit=0.5", Learner(limit=0.5)),
        ("learner.limit=none", Learner(limit=None)),
        ("learner.label=7", Learner(label=7)),
        ("learner.label=seven", Learner(label="seven")),
        ("learner.shape=3,4,5", Learner(shape=(3, 4, 5))),
        ("learner.shape=(3,)", Learner(shape=(3,))),
        ("learner.shape=", Learner(shape=())),
        ("learner.pair=2,3", Learner(pair=(2, 3.0))),
        ("learner.schedule=cosine", Learner(schedule="cosine")),
        ("learner.folder=a/b", Learner(folder=Path("a/b"))),
        ("learner.anything=4", Learner(anything=4)),
    ],
)
def test_a_value_is_read_as_its_field_says(assignment, expected):
    learner = with_overrides(Config(), [assignment]).learner
    assert learner == expected
    assert repr(learner) == repr(expected)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("No", False), ("1", True), ("0", False)])
def test_truth_values(text, value):
    assert with_overrides(Grid(), [f"bfloat16={text}"]).bfloat16 is value


def test_all_assignments_take_effect_at_once():
    assert with_overrides(ConnectFour(), ["rows=3", "columns=3", "connect=3"]) == ConnectFour(3, 3, 3)
    assert with_overrides(Config(), ["seed=1", "seed=2"]).seed == 2
    config = with_overrides(
        Config(), ["game.rows=5", "game=connect_four", "network=Grid", "network.channels=2"]
    )
    assert (config.game, config.network) == (ConnectFour(5, 7), Grid(channels=2))
    assert with_overrides(Config(), ["game=connect_four", "game.threats=true"]).game == ConnectFour(
        threats=True
    )


def test_a_group_that_may_be_none():
    config = with_overrides(Config(), ["teacher=Learner", "teacher.steps=3"])
    assert config.teacher == Learner(steps=3)
    assert with_overrides(config, ["teacher=none"]).teacher is None


def test_no_assignment_changes_nothing():
    config = Config()
    assert with_overrides(config, []) is config
    assert with_overrides(Nim(), ["heaps=1,2"]) == Nim((1, 2))


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("learner", "'learner' is no assignment; write a.b=value"),
        ("=3", "'=3' is no assignment"),
        (
            "learner.step=3",
            "unknown setting 'learner.step'; did you mean 'steps'? learner has rate, steps, name",
        ),
        ("zzz=3", "unknown setting 'zzz'; it has game, network, learner, teacher, seed"),
        ("steps=3", "unknown setting 'steps'; did you mean 'learner.steps'?"),
        ("game.rows=3", "unknown setting 'game.rows'; game has no settings"),
        ("seed.x=3", "setting 'seed' has no fields of its own; write seed=value"),
        ("learner=3", "setting 'learner' is a group; set one of learner.rate, learner.steps"),
        ("network=Mesh", "network.width, or network itself to one of Dense, Grid"),
        ("seed=two", "bad value 'two' for setting 'seed'; expected a whole number"),
        ("seed=1.5", "expected a whole number"),
        ("seed=inf", "expected a whole number"),
        ("learner.rate=nan", "bad value 'nan' for setting 'learner.rate'; expected a number"),
        ("learner.limit=many", "expected a number or none"),
        ("learner.shape=3,x", "expected values with commas between, each a whole number"),
        ("learner.pair=1", "expected 2 values with commas between (a whole number, a number)"),
        ("learner.schedule=steep", "expected one of flat, cosine"),
        ("learner.act_fn=x", "expected nothing from the command line; set it in the config file"),
        ("learner.steps=0", "cannot set learner.steps: steps is 0; it must be at least 1"),
        ("game=tictactoe", "unknown game 'tictactoe'; did you mean 'tic_tac_toe'"),
    ],
)
def test_a_wrong_assignment_is_answered_with_what_is_allowed(assignment, message):
    with pytest.raises(UsageError) as caught:
        with_overrides(Config(), [assignment])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_does_not_go_together_is_named_alone():
    with pytest.raises(
        UsageError, match=r"^cannot set this together: self_play\.budget is .* search\.max_sim"
    ):
        with_overrides(
            load_config("tic_tac_toe"), ["search.max_simulations=1", "learner.batch_size=64", "seed=1"]
        )
