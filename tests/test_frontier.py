"""What thinking buys: sampled states, intervals, the exchange rate, promises, and the two commands."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from exit.agent import Agent
from exit.cli import run
from exit.cli.frontier import _interval
from exit.cli.recommend import _in_time
from exit.cost import flops_of
from exit.errors import UsageError
from exit.evaluate import (
    Strength,
    check_promises,
    critical_states,
    exchange_rate,
    percentile_interval,
    promised_mean,
    regret_strength,
    resample,
    resampled_means,
)
from exit.recommend import PRICES, Limits
from exit.solve import exact_of
from games.tic_tac_toe import TicTacToe
from tests.small_run import train_small

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_small(tmp_path_factory)


def test_all_critical_states_are_found_or_each_ply_has_its_share() -> None:
    exact = exact_of(TicTacToe())
    everything = critical_states(exact, 10_000)
    assert (everything.kind, len(everything.keys)) == ("all", 3191)
    some = critical_states(exact, 400, seed=1)
    assert (some.kind, len(some.keys)) == ("stratified", 400)
    assert len({key.tobytes() for key in some.keys}) == 400
    assert exact.moves_fn(some.keys).critical.all()
    shares = [np.bincount(each.stratum, minlength=9) / len(each.keys) for each in (everything, some)]
    np.testing.assert_allclose(shares[0], shares[1], atol=1.01 / 400)
    assert (critical_states(exact, 400, seed=2).keys != some.keys).any()


def test_strata_are_drawn_again_each_by_itself() -> None:
    stratum = np.repeat([3, 7], [10, 30])
    counts = resample(stratum, 50)
    np.testing.assert_array_equal(counts[:, :10].sum(1), 10)
    np.testing.assert_array_equal(counts[:, 10:].sum(1), 30)
    # What is the same throughout a stratum does not vary.
    np.testing.assert_allclose(resampled_means(stratum[None].astype(float), counts), 6.0)


def test_the_interval_of_a_mean_is_as_wide_as_theory_says() -> None:
    sample = np.random.default_rng(0).exponential(size=2000)
    low, high = percentile_interval(resampled_means(sample, resample(np.zeros(2000, int))))
    assert low < sample.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * sample.std() / math.sqrt(2000), rel=0.1)


def _planted(slope: float, per_decade: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Agents whose strength obeys log10(test) = slope log10(train) + per_decade strength + 4."""
    train, test = np.logspace(9, 12, 4), np.logspace(5, 8, 6)
    strength = (np.log10(test) - slope * np.log10(train)[:, None] - 4) / per_decade
    means = 2 / (1 + 10**strength)
    # One half of the states gives away a little more, the other a little less.
    off = np.where(np.arange(200) % 2, 0.9, 1.1)
    return train, np.broadcast_to(test, (4, 6)), means[..., None] * off


def test_the_exchange_rate_is_the_planted_one() -> None:
    train, test, regret = _planted(-0.8, 1.5)
    counts, usable = resample(np.zeros(200, int), 100), np.ones((4, 6), bool)
    fit = exchange_rate(train, test, regret_strength(regret, 2.0, counts), usable)
    assert fit is not None
    assert fit["slope"] == pytest.approx(-0.8)
    assert fit["strength_coefficient"] == pytest.approx(1.5)
    assert fit["r2"] == pytest.approx(1.0)
    low, high = fit["slope_ci95"]
    assert low - 1e-9 <= fit["slope"] <= high + 1e-9
    # Points that have become perfect tell nothing, and those at the reflex's cost are not asked.
    regret[3, 5] = 0
    usable[:, 0] = False
    strength = regret_strength(regret, 2.0, counts)
    fit = exchange_rate(train, test, strength, usable)
    assert fit is not None
    assert (fit["points"], fit["saturated"]) == (19, 1)
    assert fit["slope"] == pytest.approx(-0.8)
    alone = Strength(*(each[:1] for each in strength))
    assert exchange_rate(train[:1], test[:1], alone, usable[:1]) is None


@pytest.mark.parametrize("limit", [0.03, 0.09])
def test_promises_hold_for_rare_and_large_regret(limit: float) -> None:
    rng = np.random.default_rng(0)
    # One state in a hundred loses a whole game: a sample of a few hundred may show almost none of it.
    regret = np.where(rng.random(600) < 0.01, 2.0, 0.0)

    def choose(rows: np.ndarray) -> int | None:
        return 0 if promised_mean(regret[None, rows], 2.0)[0] <= limit else None

    def choose_rashly(rows: np.ndarray) -> int | None:
        return 0 if regret[rows].mean() <= regret.mean() else None

    def holds(index: int, rows: np.ndarray, most: float = limit) -> bool:
        return bool(regret[rows].mean() <= most)

    check = check_promises(600, choose, holds, splits=1000)
    assert check.promised - check.held <= 0.05 * check.splits
    assert (check.promised > 900) == (limit == 0.09)
    rash = check_promises(600, choose_rashly, lambda i, rows: holds(i, rows, regret.mean()), splits=1000)
    assert rash.promised - rash.held > 0.2 * rash.splits


def test_snapshots_are_agents_of_their_iteration(run_dir: Path) -> None:
    with pytest.raises(UsageError, match=r"it keeps \[1, 2, 4, 8, 16, 17\]"):
        Agent.load(run_dir, step=3)
    early, late = Agent.load(run_dir, step=1), Agent.load(run_dir, step=16)
    assert (early.step, early.source) == (1, run_dir)
    leaves = zip(jax.tree.leaves(early.params), jax.tree.leaves(late.params), strict=True)
    assert any((before != after).any() for before, after in leaves)


def test_the_frontier_shows_training_and_thinking_pay(
    run_dir: Path, tmp_path: Path, capsys: Captured
) -> None:
    figures, picture = tmp_path / "frontier.json", tmp_path / "frontier.png"
    command = ["frontier", str(run_dir), "--snapshots", "--budgets", "64,0,4,16", "--max-positions", "300"]
    command += ["--calls", "6", "--elo", "12"]
    assert run([*command, "--json", str(figures), "--out", str(picture)]) == 0
    shown = capsys.readouterr().out
    assert "at equal strength by the logit of regret" in shown
    assert "at equal strength by Elo" in shown
    assert "without regret left out)" in shown
    assert "ms in batches: of searches with room for 64 simulations" in shown
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(figures.read_text())
    assert found["positions"] == {"kind": "critical, stratified", "count": 300, "strata": 7}
    assert [agent["iteration"] for agent in found["agents"]] == [1, 2, 4, 8, 16, 17]
    first, last = found["agents"][0], found["agents"][-1]
    assert last["training"]["positions"] == 17 * 256
    assert last["training"]["examples"] == 17 * 512
    assert last["training"]["flops"] > 10 * first["training"]["flops"]
    for agent in found["agents"]:
        rows = agent["budgets"]
        assert [row["budget"] for row in rows] == [0, 4, 16, 64]
        for row in rows:
            low, high = row["ci95"]["mean_regret"]
            assert low <= row["mean_regret"] <= high
            assert row["latency_ms"]["median"] <= row["latency_ms"]["p95"]
            spent = agent["flops"]["evaluation"] + agent["flops"]["simulation"] * row["mean_simulations"]
            assert row["flops"] == pytest.approx(spent)
        # A simulation evaluates the network once, and the tree is not free.
        assert agent["flops"]["simulation"] > agent["flops"]["evaluation"] > 2 * 32 * 32
        assert rows[-1]["mean_regret"] < 0.5 * rows[0]["mean_regret"]
    assert last["budgets"][0]["mean_regret"] < first["budgets"][0]["mean_regret"]
    _assert_rated(found)


def test_agents_that_round_to_bfloat16_are_charged_the_same(run_dir: Path) -> None:
    agent = Agent.load(run_dir)
    network = replace(agent.config.network, bfloat16=True)
    half = replace(agent, config=replace(agent.config, network=network))
    assert flops_of(half) == flops_of(agent)


def _assert_rated(found: dict[str, Any]) -> None:
    """Games among the agents say that training and thinking pay; random moves would be rated alike."""
    elo = np.array([[row["elo"] for row in agent["budgets"]] for agent in found["agents"]])
    assert elo.mean() == pytest.approx(0, abs=1e-6)
    assert elo[-1, -1] > elo[0, 0] + 100
    assert elo[:, -1].mean() > elo[:, 0].mean() + 50
    for agent in found["agents"]:
        for row in agent["budgets"]:
            low, high = row["ci95"]["elo"]
            assert low < high
    assert found["elo"] == {"openings": 12, "games": 2 * 12 * (23 + 22 + 20 + 16)}
    # Both fits are over the same points, those with regret.
    assert found["exchange_elo"]["points"] == found["exchange"]["points"] <= elo[:, 1:].size
    assert found["exchange_elo"]["strength_coefficient"] > 0


def test_the_recommended_budget_keeps_its_promise(run_dir: Path, tmp_path: Path, capsys: Captured) -> None:
    figures = tmp_path / "recommended.json"
    command = ["recommend", str(run_dir), "--budgets", "0,1,4,16,64", "--max-positions", "300"]
    command += ["--json", str(figures)]
    assert run([*command, "--max-regret", "0.3"]) == 0
    found = json.loads(figures.read_text())
    assert found["budget"] > 0
    assert found["mean_regret"] <= found["promised_regret"] <= 0.3
    rows = found["budgets"]
    assert [row["budget"] for row in rows if row["rule"] == "fixed"] == [0, 1, 4, 16, 64]
    assert [(row["budget"], row["price"]) for row in rows if row["rule"] == "auto"] == [
        (64, p) for p in PRICES
    ]
    quicker = [row for row in rows if row["mean_simulations"] < found["mean_simulations"]]
    assert all(row["promised_regret"] > 0.3 for row in quicker)
    check = found["check"]
    assert (check["splits"], check["promised"] > 0) == (40, True)
    assert check["held"] >= 0.95 * check["promised"]
    said = capsys.readouterr().out.splitlines()
    thinks = {"fixed": f"budget {found['budget']}", "auto": f"budget auto at a price of {found['price']}, "}
    assert any(line.startswith(thinks[found["rule"]]) for line in said)
    # A price that pays off beats the fixed budget that gives away as much.
    fixed = [row for row in rows if row["rule"] == "fixed" and row["promised_regret"] <= 0.3]
    assert found["mean_simulations"] <= min(row["mean_simulations"] for row in fixed)
    assert run([*command, "--max-mean-simulations", "3"]) == 0
    found = json.loads(figures.read_text())
    assert found["mean_simulations"] <= 3
    assert found["check"]["held"] == 40


def test_a_sample_without_regret_is_not_shown_as_certain() -> None:
    row = {"mean_regret": 0.0, "promised_regret": 0.02, "ci95": {"mean_regret": [0.0, 0.0]}}
    assert _interval(row) == "0.00000 to 0.02000"
    assert _interval(row | {"mean_regret": 0.1, "ci95": {"mean_regret": [0.05, 0.2]}}) == "0.05000 to 0.20000"
    assert _interval(row | {"ci95": {"mean_regret": None}}) == "exact"


def test_calls_that_were_late_are_told_with_a_remedy() -> None:
    assert _in_time(0.96) == "96.00% of 24 new calls were in time"
    assert _in_time(0.9).endswith("fewer than 95.00%: give a shorter --deadline-ms to be sure")


def test_where_every_position_is_measured_the_mean_itself_is_promised(
    run_dir: Path, tmp_path: Path, capsys: Captured
) -> None:
    figures, positions = tmp_path / "recommended.json", tmp_path / "positions.jsonl"
    command = ["recommend", str(run_dir), "--budgets", "0,32", "--json", str(figures)]
    assert run([*command, "--max-regret", "0.3"]) == 0
    found = json.loads(figures.read_text())
    assert found["positions"] == {"kind": "critical, all", "count": 3191}
    assert found["check"] is None
    assert all(row["promised_regret"] == row["mean_regret"] for row in found["budgets"])
    said = capsys.readouterr().out
    assert f"mean regret {found['mean_regret']:.5f} over all 3,191 positions in which a move is" in said
    assert "others" not in said
    # What it says to type is what answers so.
    (line,) = [line for line in said.splitlines() if line.startswith("to use it: xit ")]
    positions.write_text('{"moves": [0]}\n')
    assert run([*line.removeprefix("to use it: xit ").split(), "--positions", str(positions)]) == 0
    assert json.loads(capsys.readouterr().out)["simulations"] <= found["budget"]
    assert run([*command, "--max-regret", "0"]) == 1
    assert "no budget keeps mean regret within 0; the best is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "give a limit: --max-regret, --deadline-ms or --max-mean-simulations"),
        (["--max-regret", "-1"], 2, "--max-regret is -1.0; it must be a number from 0"),
        (["--deadline-ms", "nan"], 2, "--deadline-ms is nan; it must be a number from 0"),
        (["--deadline-ms", "0"], 1, "no budget from 0 to 64 answers within 0 ms; the quickest is"),
        (["--deadline-ms", "1e-4"], 1, "no budget from 0 to 64 answers within 0.0001 ms; the quickest is"),
        (["--max-regret", "0"], 1, "can be promised: measure more positions (--max-positions), allow that"),
        (["--max-regret", "0", "--budgets", "0"], 1, "can be promised: allow that much, give larger budgets"),
        (
            ["--max-regret", "0", "--max-mean-simulations", "1"],
            1,
            "the best of those within 1 simulations is 0, with",
        ),
        (["--max-regret", "0", "--max-mean-simulations", "1"], 1, "raise --max-mean-simulations, or train"),
        (["--max-regret", "0", "--deadline-ms", "9e9"], 1, "larger budgets or a longer --deadline-ms, or"),
    ],
)
def test_limits_that_cannot_be_kept_are_named(
    run_dir: Path, arguments: list[str], code: int, words: str, capsys: Captured
) -> None:
    command = ["recommend", str(run_dir), "--budgets", "0,64", "--max-positions", "300"]
    assert run([*command, *arguments]) == code
    assert words in capsys.readouterr().err


def test_why_there_is_no_slope_is_said(run_dir: Path, capsys: Captured) -> None:
    command = ["frontier", str(run_dir), "--snapshots", "--budgets", "0,4", "--max-positions", "50"]
    assert run([*command, "--calls", "0"]) == 0
    said = capsys.readouterr().out
    assert "no slope is fitted: it takes 6 or more points above budget 0 with regret left" in said
    assert "of 6 points" in said


def test_what_cannot_be_compared_is_named(run_dir: Path, capsys: Captured) -> None:
    assert run(["frontier", str(run_dir), "connect_four"]) == 2
    assert "the agents play connect_four, tic_tac_toe; give agents of one game" in capsys.readouterr().err
    assert run(["frontier", "connect_four", "--snapshots"]) == 2
    assert "keeps no snapshots; train with --set snapshots=true" in capsys.readouterr().err
    with pytest.raises(UsageError, match="give a limit"):
        Limits()
