"""Connect Four on 5 rows x 5 columns: 69,763,700 positions, a draw.

`xit train connect_four_5x5`: 28 minutes on two cores that multiply bfloat16 (AVX-512 BF16), and 4.4 GB of
memory, 1.3 of it to solve the game once. Of 221,710 critical positions drawn from all the reflex gets 0.07 %
wrong, of as many others 0.07 and 0.06 % (two seeds).
"""

from configs._everywhere import learnt_everywhere
from exit.loop import RunConfig
from exit.network import MLPConfig
from games.connect_four import ConnectFour


def config() -> RunConfig:
    return learnt_everywhere(
        ConnectFour(rows=5, columns=5),
        network=MLPConfig(width=1024, num_blocks=2, hidden=128, bfloat16=True, images=2),
        max_random_plies=23,
        capacity=8_388_608,
        # Most positions are never met: what is said of those is better where little is held on to.
        weight_decay=0.25,
        num_iterations=2700,
        report_every=100,
        checkpoint_every=200,
    )
