"""How far a solution is."""

from collections.abc import Callable

ProgressFn = Callable[[str, int, int], None]
"""Called with the phase, the layer, and the states done so far in that phase.

Phases are "enumerate" and "solve", called once a layer, when it is done, and on the way through long ones;
and where positions repeat "approach", "settle" and "prove", called once a sweep over the states.
"""

_STATES_BETWEEN = 1 << 21


class Report:
    """Calls a `ProgressFn`, not too often."""

    def __init__(self, progress_fn: ProgressFn | None) -> None:
        self._progress_fn = progress_fn
        self._last = 0

    def on_the_way(self, phase: str, layer: int, num_states: int) -> None:
        """Some states of a layer are done."""
        if abs(num_states - self._last) >= _STATES_BETWEEN:
            self.done(phase, layer, num_states)

    def done(self, phase: str, layer: int, num_states: int) -> None:
        """A layer is done."""
        self._last = num_states
        if self._progress_fn is not None:
            self._progress_fn(phase, layer, num_states)
