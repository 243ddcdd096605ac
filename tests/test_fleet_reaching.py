"""Addresses at which no Ray can be are refused before Ray is asked; no Ray runs here."""

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from exit.errors import UserError
from exit.fleet import joining, reaching
from exit.fleet.reaching import other_port, require_ray, require_reachable_as

_SETTINGS_FRAME = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


@pytest.fixture
def answering(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a server on 127.0.0.1 alone that answers whoever speaks with some bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            # The test may be over before anything is accepted or answered.
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    connection.recv(100)
                    connection.sendall(request.param)
                    # Until the other side has had enough.
                    connection.recv(100)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


@pytest.mark.parametrize("answering", [_SETTINGS_FRAME], indirect=True)
def test_a_server_that_may_be_ray_is_left_to_ray(answering: int) -> None:
    require_ray(f"127.0.0.1:{answering}")


@pytest.mark.parametrize("answering", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""], indirect=True)
def test_other_servers_are_told_from_ray(answering: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "_SECONDS", 0.3)
    address = f"127.0.0.1:{answering}"
    with pytest.raises(UserError, match=f"what listens at {address} is no Ray; give the address that"):
        require_ray(address)


@pytest.mark.parametrize("answering", [b""], indirect=True)
def test_what_listens_for_loopback_alone_is_not_where_ray_looks(answering: int) -> None:
    address = f"127.0.0.1:{answering}"
    require_reachable_as("127.0.0.1", address)
    # Linux gives a machine all of 127.0.0.0/8.
    with pytest.raises(UserError, match=rf"Ray looks for {address} at 127.0.0.2:{answering}, where nothing"):
        require_reachable_as("127.0.0.2", address)
    require_reachable_as("127.0.0.2", f"ray://{address}")
    require_reachable_as("127.0.0.2", f"192.0.2.1:{answering}")


def test_while_ray_joins_a_signal_ends_the_process_as_it_is() -> None:
    heard: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, frame: heard.append(number)) for number in numbers]
    try:
        with joining._ending_at_once():
            assert [signal.getsignal(number) for number in numbers] == [signal.SIG_DFL] * 2
        for number in numbers:
            signal.raise_signal(number)
        assert heard == list(numbers)
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def test_the_port_of_the_other_server_is_pointed_out() -> None:
    assert "try ray://head:10001; " in other_port("head:10001")
    assert "try head:6379, without ray://; " in other_port("ray://head:6379")
    assert other_port("head:6379") == other_port("ray://head:10001") == ""
