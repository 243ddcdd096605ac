"""Hex on 4 x 4 cells, or on the size in the name: 9,386,235 positions, won by the first player.

xit train hex_4

Eight minutes on two cores that multiply bfloat16 (AVX-512 BF16), and 4 GB of memory. Of all 8,188,705
unfinished positions, 4,336,607 of them critical, the reflex gets 14 wrong with seed 0, 20 with seed 1;
certified from both seats with each. The agent of seed 0 comes with the product as `hex_4`, and
computes in float32 (`network.bfloat16=false`), as wrong as before.
"""

from configs._everywhere import learnt_everywhere
from exit.loop import RunConfig
from exit.network import MLPConfig
from games.hex import make


def config(size: int = 4, swap: int = 0) -> RunConfig:
    return learnt_everywhere(
        make(size, swap),
        network=MLPConfig(width=1024, num_blocks=2, hidden=128, bfloat16=True, images=2),
        max_random_plies=3 * size * size // 4,
        capacity=4_194_304 if size == 4 else 524_288,
        exact=size <= 4,
        num_iterations=600,
        report_every=50,
        checkpoint_every=100,
    )
