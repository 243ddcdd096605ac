"""What is known of single games of Pgx beyond what its interface tells."""

from collections.abc import Mapping
from typing import NamedTuple

HIDDEN = ("bridge_bidding", "kuhn_poker", "leduc_holdem", "mahjong", "sparrow_mahjong")
"""Games whose players do not see all of the state."""

NO_NAMES: Mapping[int, str] = {}


class Facts(NamedTuple):
    """One game. What is left out costs memory or comfort, never correctness, but for `value_bounds`.

    Attributes:
      ranges: least and greatest entry of fields of Pgx's state that need less than 32 bits an entry.
      num_states: positions that can be reached, history not counted; of most games a published estimate.
      value_bounds: least and greatest return, to the player to move.
      planes: what a cell shows whose first planes of the observation are set, one text a plane.
      shown: fields of Pgx's state to show in text; all that matter if there are neither planes nor these.
      action_names: of actions that a number tells too little of.
    """

    ranges: Mapping[str, tuple[int, int]] = {}
    num_states: int | None = None
    value_bounds: tuple[float, float] = (-1.0, 1.0)
    planes: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    action_names: Mapping[int, str] = NO_NAMES


_STONES = ("x", "o")
_CHESS_PIECES = (*"PNBRQKpnbrqk",)
_SHOGI_PIECES = (*"PLNSBRGK", "+P", "+L", "+N", "+S", "+B", "+R")
_ORDER = {"_player_order": (0, 1)}


def _go(size: int, num_states: int) -> Facts:
    """Go; chains are known by the number of a stone, positive or negative."""
    cells = size * size
    ranges = {
        **_ORDER,
        "_x.step_count": (0, 2 * cells + 1),
        "_x.board": (-cells, cells),
        "_x.board_history": (-1, 2),
        "_x.consecutive_pass_count": (0, 3),
    }
    return Facts(ranges, num_states, planes=_STONES, action_names={cells: "pass"})


def _backgammon_action(action: int) -> str:
    """Points by their distance from the end, as players count them."""
    source, die = action // 6, action % 6 + 1
    if source == 0:
        return f"no move {die}"
    return f"{'bar' if source == 1 else 26 - source} by {die}"


FACTS: Mapping[str, Facts] = {
    # The smaller board of 4 x 3 has 1,152,817,492,752 states already (Yamashita et al. 2022). A board cannot
    # hold more than the tiles 4, 8, ..., 131072; merging them out of tiles of 2 scores (n - 1) 2^n for 2^n.
    "2048": Facts(
        {"_board": (0, 31)},
        10**12,
        value_bounds=(0.0, float(sum((n - 1) * 2**n for n in range(2, 18)))),
        planes=(".", *(str(2**n) for n in range(1, 31))),
        action_names={0: "left", 1: "up", 2: "right", 3: "down"},
    ),
    # T. Tanaka 2009.
    "animal_shogi": Facts(
        {
            "_step_count": (0, 256),
            "_turn": (0, 1),
            "_board": (-1, 9),
            "_hand": (0, 2),
            "_board_history": (-1, 9),
            "_hand_history": (0, 2),
            "_rep_history": (0, 255),
        },
        246_803_167,
        planes=(*"CEGLHceglh",),
        shown=("_hand",),
    ),
    # G. Tesauro 1995.
    "backgammon": Facts(
        {"_board": (-15, 15), "_dice": (0, 5), "_playable_dice": (-1, 5), "_played_dice_num": (0, 4)},
        10**20,
        value_bounds=(-3.0, 3.0),
        shown=("_board", "_playable_dice"),
        action_names={action: _backgammon_action(action) for action in range(156)},
    ),
    # J. Tromp.
    "chess": Facts(
        {
            **_ORDER,
            "_x.color": (0, 1),
            "_x.board": (-6, 6),
            "_x.en_passant": (-1, 63),
            "_x.halfmove_count": (0, 100),
            "_x.board_history": (-6, 6),
            "_x.step_count": (0, 512),
        },
        10**44,
        planes=_CHESS_PIECES,
    ),
    # J. Tromp.
    "connect_four": Facts({"_x.color": (0, 1), "_x.board": (-1, 1)}, 4_531_985_219_092, planes=_STONES),
    # M. Mhalla, F. Prost 2013.
    "gardner_chess": Facts(
        {
            "_step_count": (0, 256),
            "_turn": (0, 1),
            "_board": (-6, 6),
            "_halfmove_count": (0, 100),
            "_board_history": (-6, 6),
            "_possible_piece_positions": (-1, 24),
        },
        9 * 10**18,
        planes=_CHESS_PIECES,
    ),
    # J. Tromp, G. Farnebäck 2007; J. Tromp 2016.
    "go_9x9": _go(9, 10**38),
    "go_19x19": _go(19, 2 * 10**170),
    # C. Browne 2000.
    "hex": Facts(
        {**_ORDER, "_x.step_count": (0, 122), "_x.board": (-121, 121)},
        10**56,
        planes=_STONES,
        action_names={121: "swap"},
    ),
    # V. Allis 1994.
    "othello": Facts({"_x.board": (-1, 1)}, 10**28, planes=_STONES, action_names={64: "pass"}),
    # V. Allis 1994.
    "shogi": Facts(
        {
            **_ORDER,
            "_x.step_count": (0, 512),
            "_x.color": (0, 1),
            "_x.board": (-1, 27),
            "_x.hand": (0, 18),
        },
        10**71,
        planes=_SHOGI_PIECES,
        shown=("_x.hand",),
    ),
    "tic_tac_toe": Facts({"_x.color": (0, 1), "_x.board": (-1, 1)}, 5478, planes=_STONES),
}
