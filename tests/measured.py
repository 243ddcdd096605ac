"""Figures as `xit bench`, `frontier`, `coherence` and `foresee` write them, made up and small."""

from typing import Any

_MOVES = [
    {"action": a, "name": str(a), "exact": a - 1.0, "optimal": a == 2, "prior": 0.25, "weight": 0.5}
    | {"qvalue": 0.125, "visits": 3, "backups": [0.5, -0.25]}
    for a in range(3)
]
BOARD = "X 1 O\n3 X 5\nO 7 8"


def bench() -> dict[str, Any]:
    bins = [{"from": -1.0, "to": 1.0, "count": 3, "claimed": 0.5, "true": 0.25}]
    row = {"mistake_rate": 0.5, "critical_mistake_rate": 0.75, "mean_regret": 0.3125, "max_regret": 2.0}
    row |= {"value_mae": 0.1, "mean_simulations": 3.0, "exploitability": 0.5, "certified": False}
    row |= {"by_ply": [{"ply": 1, "critical": 2, "critical_mistake_rate": 0.5, "ci95": {}}]}
    calibration = {"value": bins, "policy": bins, "value_error": 0.0625, "policy_error": None}
    stretch = {"from": 0, "to": 1, "changed": 7, "helped": 5, "hurt": 1}
    stretch |= {"regret_removed": 0.5, "regret_added": 0.125}
    shown = {"board": BOARD, "value": 1.0, "played": {"0": 1}, "search_value": 0.5, "reflex_value": -0.5}
    return {
        "game": "tic_tac_toe",
        "solver": "rules",
        "positions": {"kind": "all", "count": 4520, "critical": 3191},
        "budgets": [
            row | {"budget": budget, "calibration": calibration, "ci95": {"mistake_rate": None}}
            for budget in (0, 16)
        ],
        "amortization_gap": 0.25,
        "returns": None,
        "overrides": stretch | {"budget": 16, "positions": 4520, "simulations": [stretch]},
        "wrong_at_every_budget": {"count": 51, "shown": [shown | {"actions": _MOVES, "line": [4, 2]}]},
        "provenance": {"command": "xit bench a"},
    }


def frontier(run_name: str = "a") -> dict[str, Any]:
    rows = [
        {"budget": budget, "mean_regret": regret, "mistake_rate": regret / 2, "mean_simulations": budget / 2}
        | {"promised_regret": regret + 0.125, "flops": 1e6 * (1 + budget), "ms_per_state": 0.1 * (1 + budget)}
        | {"latency_ms": {"median": 1.0 + budget, "p95": 2.0 + budget}, "ci95": {"mean_regret": None}}
        | {"elo": 128.0 * (budget - 5)}
        for budget, regret in ((0, 1.0), (1, 0.75), (4, 0.02), (16, 0.0))
    ]
    agent = {"run": run_name, "iteration": 20, "training": None, "budgets": rows}
    return {
        "game": "tic_tac_toe",
        "hardware": "a machine",
        "positions": {"kind": "critical, all", "count": 3191},
        "agents": [agent],
        "exchange": {"slope": -0.75, "r2": 0.875, "points": 12},
        "elo": {"openings": 8, "games": 96},
        "exchange_elo": {"slope": -1.25, "r2": 0.625, "points": 12},
        "provenance": {"command": "xit frontier a"},
    }


def coherence() -> dict[str, Any]:
    depth = {"depth": 1, "mean_abs_value_residual": 0.5, "value_mae": 0.375, "backup_mae": 0.25}
    return {
        "game": "tic_tac_toe",
        "positions": {"all": {"kind": "critical, all", "count": 3191}},
        "by_ply": [{"ply": 1, "mean_abs_value_residual": 0.5, "mistake_rate": 0.25}],
        "depths": [
            depth | {"mean_policy_residual": 0.0625},
            depth | {"depth": 2, "mean_policy_residual": 1.0},
        ],
        "control": {"depths": [depth, depth]},
        "detection": {
            "all": {"measures": [{"measure": "entropy", "auc": 0.75, "ci95": {"auc": [0.5, 1.0]}}]}
        },
        "worst": [{"board": BOARD, "exact": -1.0, "value": 0.5, "backups": [0.25, 0.125], "actions": _MOVES}],
        "provenance": {"command": "xit coherence a"},
    }


def foresee() -> dict[str, Any]:
    bins = [{"predicted": x, "found": x / 2, "count": 5, "ci95": {"found": [0.0, x]}} for x in (0.25, 0.5)]
    row = {"error": 0.1875, "ci95": {"error": [0.0, 0.25]}, "bins": bins}
    rows = {"value_error": row, "gain_16": row}
    return {
        "game": "tic_tac_toe",
        "budgets": [16],
        "positions": {kind: {"kind": f"{kind}, held out", "count": 10} for kind in ("all", "own")},
        "calibration": {"all": rows, "own": rows},
        "provenance": {"command": "xit foresee a"},
    }
