"""The benchmark of iterations: what it measures on."""

import sys
from typing import Any

import pytest

from benchmarks import iteration_speed


def test_cores_are_devices_before_a_config_can_start_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def compare(*_: Any) -> list[dict[str, Any]]:
        called.append("compare")
        return []

    monkeypatch.setattr(iteration_speed, "use_all_cores", lambda: called.append("cores"))
    monkeypatch.setattr(iteration_speed, "config_of", called.append)
    monkeypatch.setattr(iteration_speed, "compare", compare)
    monkeypatch.setattr(sys, "argv", ["iteration_speed.py", "tic_tac_toe"])
    iteration_speed.main()
    assert called == ["cores", "tic_tac_toe", "compare"]
