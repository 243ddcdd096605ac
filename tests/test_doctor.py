"""`xit doctor` and `xit serve` on the command line."""

import json
import socket
from pathlib import Path

import pytest

from exit.cli import doctor, run


def test_doctor_tells_versions_devices_and_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(doctor._EXTRAS, "pgx", ("no-such-distribution", "the games of Pgx"))
    assert run(["doctor", "--json", str(tmp_path / "doctor.json")]) == 0
    found = json.loads((tmp_path / "doctor.json").read_text())
    assert found["libraries"]["jax"]
    assert found["devices"]["list"]
    assert found["extras"]["pgx"] is None
    assert "pip install 'xit[pgx]' adds the games of Pgx" in found["advice"]
    assert "connect_four" in found["agents"]
    assert "-> pip install 'xit[pgx]'" in capsys.readouterr().out


def test_serve_says_what_is_wrong_with_a_port_or_an_agent(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run(["serve", "--port", str(port)]) == 1
    assert f"cannot serve on 127.0.0.1:{port}" in capsys.readouterr().err
    assert run(["serve", "no_such_run", "--port", "0"]) == 2
    assert "there is no run in no_such_run" in capsys.readouterr().err
