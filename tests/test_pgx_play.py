"""Larger games of Pgx: checked against the protocol, trained and asked."""

import json
from pathlib import Path

import pytest

from exit.cli import run
from exit.conformance import check_game
from games.pgx import make

TINY = (
    "network=MLPConfig",
    "network.width=16",
    "self_play.max_random_plies=1",
    "self_play.num_games=4",
    "self_play.num_steps=2",
    "self_play.budget=2",
    "replay.capacity=8",
    "learner.batch_size=8",
    "learner.num_updates=1",
    "search.max_simulations=4",
    "evaluation.budget=2",
    "evaluation.exact=false",
    "num_iterations=1",
    "report_every=1",
    "checkpoint_every=1",
)


@pytest.mark.slow
def test_a_game_is_trained_and_acts(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = [word for setting in TINY for word in ("--set", setting)]
    assert run(["train", "pgx:connect_four", *settings]) == 0
    positions, answers = tmp_path / "positions.jsonl", tmp_path / "answers.jsonl"
    positions.write_text('{"moves": []}\n')
    asked = ["--budget", "3", "--positions", str(positions), "--out", str(answers)]
    assert run(["act", "runs/pgx:connect_four", *asked]) == 0
    (answer,) = map(json.loads, answers.read_text().splitlines())
    assert answer["simulations"] == 3
    assert str(answer["action"]) in answer["action_weights"]


@pytest.mark.slow
def test_a_game_of_chance_keeps_the_protocol():
    check_game(make("2048"), num_games=1, max_plies=4000)
