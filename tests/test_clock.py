"""What counts as time of training."""

import pytest

from exit import clock as clock_module
from exit.clock import Clock


def test_neither_compiling_nor_measuring_counts_as_training(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(clock_module.time, "perf_counter", lambda: now)
    clock = Clock(100.0, 5, begun=now)

    def seconds(iteration: int) -> float:
        return clock.figures(iteration, num_iterations=10, examples=30)["seconds"] or 0.0

    # The first iteration compiles for 40 seconds; each takes 2, and measuring 7.
    now += 42
    clock.end_first()
    clock.pause()
    assert seconds(6) == 100
    assert clock.figures(6, num_iterations=10, examples=30)["seconds_left"] is None
    now += 7
    clock.go_on()
    now += 4
    clock.pause()
    assert seconds(8) == pytest.approx(106)
    figures = clock.figures(8, num_iterations=10, examples=30)
    assert figures["positions_per_second"] == pytest.approx(15)
    assert figures["seconds_left"] == pytest.approx(4)
    # A quicker one makes nothing of what has passed undone.
    clock.go_on()
    now += 0.5
    clock.pause()
    assert seconds(9) == pytest.approx(106.5)
