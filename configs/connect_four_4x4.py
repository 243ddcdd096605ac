"""Connect Four on 4 rows x 4 columns: 161,029 positions, a draw.

`xit train connect_four_4x4`: two to three minutes on two cores. Of all 134,289 unfinished positions the
reflex gets none wrong with seed 1, two with seed 0, four with seed 2; search at budget 64 none with the first
two; all certified from both seats. The agent of seed 1 comes with the product, under this name.
"""

from configs._everywhere import learnt_everywhere
from exit.loop import RunConfig
from exit.network import MLPConfig
from games.connect_four import ConnectFour


def config() -> RunConfig:
    return learnt_everywhere(
        ConnectFour(rows=4, columns=4),
        network=MLPConfig(width=512, num_blocks=2, hidden=128, images=2),
        max_random_plies=15,
        from_trees=False,
        capacity=1_048_576,
        num_iterations=400,
        report_every=20,
        checkpoint_every=80,
    )
