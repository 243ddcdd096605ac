"""Othello on 4 x 4 cells, or on the size in the name: 58,533 positions, won by the second player.

xit train othello_4

Three to four minutes on two cores. Of all 53,651 unfinished positions the reflex gets none wrong with seed 1,
four with seeds 0 and 2; search at budget 64 none; all certified from both seats. The agent of seed 1 comes
with the product as `othello_4`.
"""

from configs._everywhere import learnt_everywhere
from exit.loop import RunConfig
from exit.network import MLPConfig
from games.othello import Othello


def config(size: int = 4) -> RunConfig:
    return learnt_everywhere(
        Othello(size),
        network=MLPConfig(width=512, num_blocks=2, hidden=128, images=4),
        max_random_plies=3 * size * size // 4,
        random_moves=0.9,
        capacity=2_097_152 if size == 4 else 1_048_576,
        exact=size == 4,
        num_iterations=400,
        report_every=20,
        checkpoint_every=80,
    )
