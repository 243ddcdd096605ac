"""Training past one machine, on Ray: actors play, a learner learns, and nothing is lost when parts die.

Ray stays inside this folder. `training.py` runs the single-machine loop on games that actors play with the
same self-play: `cluster.py` joins a Ray or starts one, `crew.py` keeps its actors busy and replaces those
that die, `player.py` is what an actor does, `batch.py` what it sends, `ledger.py` accounts for every batch.
"""

from exit.fleet.cluster import ActorGroup, FleetConfig, group_of, parse_resources

__all__ = ["ActorGroup", "FleetConfig", "group_of", "parse_resources"]
