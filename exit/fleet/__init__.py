"""Past one machine, on Ray: actors play, search or train, and nothing is lost when parts die.

Ray stays inside this folder. `cluster.py` joins a Ray or starts one; `actors.py` is what all actors share.
`training.py` runs the single-machine loop on games that actors play with the same self-play: `crew.py` keeps
its actors busy and replaces those that die, `player.py` is what an actor does, `batch.py` what it sends,
`ledger.py` accounts for every batch, `staleness.py` tells what comes of old weights. `acting.py` measures
agents with actors that search (`searchers.py`); `tasks.py` spreads independent pieces of work.
"""

from exit.fleet.cluster import ActorGroup, FleetConfig, group_of, parse_resources

__all__ = ["ActorGroup", "FleetConfig", "group_of", "parse_resources"]
