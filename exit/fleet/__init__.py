"""Training past one machine, on Ray: actors play, a learner learns, and nothing is lost when parts die.

Ray stays inside this folder. `train_on_fleet` runs the single-machine loop on games that actors play with
the same self-play: `cluster.py` joins a Ray or starts one, `crew.py` keeps its actors busy and replaces those
that die, `player.py` is what an actor does, `ledger.py` accounts for every batch of games.
"""

from exit.fleet.cluster import ActorGroup, FleetConfig, group_of, parse_resources
from exit.fleet.training import train_on_fleet

__all__ = ["ActorGroup", "FleetConfig", "group_of", "parse_resources", "train_on_fleet"]
