"""Elo ratings from games between many players.

Strengths after R. Bradley and M. Terry (Rank Analysis of Incomplete Block Designs, 1952), on the scale of
A. Elo: 400 points more are odds of ten to one. A draw counts as half a win.
"""

import numpy as np
from jaxtyping import Float

_POINTS_PER_NAT = 400 / np.log(10)
_DRAWN = 1.0
"""Games more, drawn, of each pair that met: whoever won all the others is rated too."""

_MAX_STEPS = 100
_CLOSE = 1e-9


def elo_ratings(points: Float[np.ndarray, "n n"]) -> Float[np.ndarray, " n"]:
    """The most likely ratings of n players if each pair that met had drawn one more game; 0 in the mean.

    Args:
      points: what the player of the row won against that of the column, a draw being half a point.

    Raises:
      ValueError: two players are not connected by games, so that nothing compares them.
    """
    met = (points + points.T) > 0
    if not _connected(met):
        raise ValueError("some players never met, not even through others; let them play each other")
    won = points + 0.5 * _DRAWN * met
    games = won + won.T
    nats = np.zeros(len(points))
    # The likelihood is concave; bounded steps keep Newton's method where it converges.
    for _ in range(_MAX_STEPS):
        expected = games / (1 + np.exp(nats[None, :] - nats[:, None]))
        gradient = (won - expected).sum(axis=1)
        spread = expected * (1 - expected / np.maximum(games, 1e-300))
        # Adding a constant to all ratings changes nothing; this matrix keeps their mean where it is.
        curvature = np.diag(spread.sum(axis=1)) - spread + 1 / len(points)
        step = np.linalg.solve(curvature, gradient)
        nats = nats + step / max(1.0, np.abs(step).max() / 2)
        if np.abs(step).max() < _CLOSE:
            break
    return (nats - nats.mean()) * _POINTS_PER_NAT


def _connected(met: np.ndarray) -> bool:
    """Whether everybody is linked to the first one through whom they met."""
    reached = np.zeros(len(met), bool)
    reached[:1] = True
    for _ in range(len(met)):
        reached |= met[reached].any(axis=0)
    return bool(reached.all())
