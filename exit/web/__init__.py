"""The page: agents that think in view, and the truth beside them."""

from exit.web.app import Limits, make_app
from exit.web.desk import Desk
from exit.web.server import Server, bind, desks_of, find_exact, in_background, warm_up, warm_up_rest

__all__ = [
    "Desk",
    "Limits",
    "Server",
    "bind",
    "desks_of",
    "find_exact",
    "in_background",
    "make_app",
    "warm_up",
    "warm_up_rest",
]
