"""The accounts of a fleet: what became of every batch of games that was asked for, each counted once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Identity(NamedTuple):
    """Which batch of games: no two of a run have the same.

    Attributes:
      actor: number of the actor; a replacement has a new one.
      sequence: of the actor's batches, from 0.
    """

    actor: int
    sequence: int


@dataclass
class Ledger:
    """Batches by what became of them: `asked` is the sum of the others and of those still out.

    Attributes:
      asked: calls made.
      ingested: in the replay, once.
      stale: played by weights older than allowed, and dropped.
      lost: gone with their actor, its node or an earlier learner, before they arrived.
      games: finished within the batches that were ingested.
      stale_games: finished within those that were dropped.
      refused: arrived again or unasked, and were not counted; none of them is among those asked for.
      actors_started: so far; numbers the next one.
      actors_lost: that died.
      out: asked for, and neither arrived nor lost.
    """

    asked: int = 0
    ingested: int = 0
    stale: int = 0
    lost: int = 0
    games: int = 0
    stale_games: int = 0
    refused: int = 0
    actors_started: int = 0
    actors_lost: int = 0
    out: set[Identity] = field(default_factory=set)

    def ask(self, identity: Identity) -> None:
        """A batch was asked for."""
        self.asked += 1
        self.out.add(identity)

    def ingest(self, identity: Identity, num_games: int) -> bool:
        """Whether an arrived batch is to be used: it was asked for and did not arrive before."""
        if not self._settle(identity):
            return False
        self.ingested += 1
        self.games += num_games
        return True

    def drop(self, identity: Identity, num_games: int) -> None:
        """A batch arrived that is too old to be used."""
        if self._settle(identity):
            self.stale += 1
            self.stale_games += num_games

    def lose(self, identity: Identity) -> None:
        """A batch will never arrive."""
        if self._settle(identity):
            self.lost += 1

    def _settle(self, identity: Identity) -> bool:
        if identity not in self.out:
            self.refused += 1
            return False
        self.out.remove(identity)
        return True

    @property
    def balances(self) -> bool:
        """Whether every batch asked for is accounted for, once."""
        return self.asked == self.ingested + self.stale + self.lost + len(self.out)

    def figures(self) -> dict[str, int]:
        """For a report; `from_report` makes the ledger of it again."""
        named = {name: getattr(self, name) for name in _FIGURES}
        return {_FIGURES[name]: count for name, count in named.items()} | {"batches_out": len(self.out)}

    @classmethod
    def from_report(cls, row: Mapping[str, Any]) -> "Ledger":
        """The accounts that a learner goes on with: what was out when its forerunner reported is lost."""
        counts = {name: int(row.get(figure) or 0) for name, figure in _FIGURES.items()}
        ledger = cls()
        for name, count in counts.items():
            setattr(ledger, name, count)
        ledger.lost += int(row.get("batches_out") or 0)
        return ledger


_FIGURES = {
    "asked": "batches_asked",
    "ingested": "batches_ingested",
    "stale": "batches_stale",
    "lost": "batches_lost",
    "refused": "batches_refused",
    "games": "games_ingested",
    "stale_games": "games_stale",
    "actors_started": "actors_started",
    "actors_lost": "actors_lost",
}
"""Names in a report."""
