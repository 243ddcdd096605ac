"""Time that training takes."""

import time
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Wall time of training, over all the processes of a run, without measuring and compiling."""

    seconds: float
    iterations: int
    begun: float = field(default_factory=time.perf_counter)
    here: float = 0.0
    first: float = 0.0
    compiling: float | None = None

    def pause(self) -> None:
        self.here += time.perf_counter() - self.begun

    def go_on(self) -> None:
        self.begun = time.perf_counter()

    def end_first(self) -> None:
        """The first iteration of a process is over: it also compiled, and says nothing of those to come."""
        self.first = time.perf_counter() - self.begun

    def figures(self, iteration: int, *, num_iterations: int, examples: int) -> dict[str, float | None]:
        """Speed since this process compiled its programs, and what it makes of the rest; None if unknown yet.

        Args:
          num_iterations: of the whole run.
          examples: of one iteration.
        """
        done, left = iteration - self.iterations, num_iterations - iteration
        per_iteration = (self.here - self.first) / (done - 1) if done > 1 else self.here
        if done > 1 and self.compiling is None:
            self.compiling = max(0.0, self.first - per_iteration)
        # The first iteration alone does not tell how much of it was compiling.
        trained = 0.0 if self.compiling is None else self.here - self.compiling
        return {
            "positions_per_second": examples / max(per_iteration, 1e-9),
            "seconds": self.seconds + trained,
            "seconds_left": per_iteration * left if done > 1 or not left else None,
        }
