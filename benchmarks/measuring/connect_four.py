"""The solver that labels positions of 6x7 Connect Four."""

import functools

from exit.solve import Exact, exact_of_library
from games.connect_four import ConnectFour


@functools.cache
def connect_four_exact() -> Exact:
    """BitBully, through the cache of what it has solved."""
    return exact_of_library(ConnectFour())
