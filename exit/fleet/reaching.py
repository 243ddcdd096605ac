"""Whether a Ray can be at an address, asked before Ray is: it tries for a minute, or for ever."""

import os
import socket

from exit.errors import UserError

_SECONDS = 5.0
"""After which nothing listens at an address."""

# What a client of gRPC, which all of Ray's servers speak, says first, and the kind of frame that answers it
# (RFC 9113, sections 3.4 and 6.5).
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_SETTINGS = 4

_HEAD_PORT, _CLIENT_PORT = 6379, 10001
_LOOPBACK = ("localhost", "127.0.0.1")


def require_ray(address: str) -> None:
    """Raises UserError where nothing listens, or something that is no Ray."""
    host, port = _parts(address)
    try:
        with socket.create_connection((host, port), timeout=_SECONDS) as connection:
            if _is_encrypted() or _speaks_grpc(connection):
                return
    except OSError as error:
        server = "its client server (usually port 10001)" if address.startswith("ray://") else "its head"
        raise UserError(
            f"nothing listens at {address} ({_reason(error)}); start a cluster there, as `ray start --head "
            f"--port={_HEAD_PORT}` does, and give the address of {server}"
        ) from error
    raise UserError(
        f"what listens at {address} is no Ray; give the address that `ray start --head "
        f"--port={_HEAD_PORT}` told"
    )


def require_reachable_as(own_address: str, address: str) -> None:
    """Raises UserError where Ray, which takes a loopback address for this machine's own, finds nothing."""
    host, port = _parts(address)
    if address.startswith("ray://") or host not in _LOOPBACK:
        return
    try:
        socket.create_connection((own_address, port), timeout=_SECONDS).close()
    except OSError as error:
        raise UserError(
            f"Ray looks for {address} at {own_address}:{port}, where nothing listens ({_reason(error)}); "
            f"through a tunnel, join by the client server: ray://{host}:{_CLIENT_PORT}"
        ) from error


def other_port(address: str) -> str:
    """A hint, where the port is usually that of Ray's other server."""
    host, port = _parts(address)
    if address.startswith("ray://") and port == _HEAD_PORT:
        return f"{_HEAD_PORT} is usually the head's own port: try {host}:{_HEAD_PORT}, without ray://; "
    if not address.startswith("ray://") and port == _CLIENT_PORT:
        return f"{_CLIENT_PORT} is usually the port of the client server: try ray://{host}:{_CLIENT_PORT}; "
    return ""


def _parts(address: str) -> tuple[str, int]:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    return host, int(port)


def _is_encrypted() -> bool:
    return os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")


def _speaks_grpc(connection: socket.socket) -> bool:
    connection.sendall(_PREFACE)
    answer = b""
    while len(answer) < 4:
        try:
            part = connection.recv(9)
        except OSError:
            return False
        if not part:
            return False
        answer += part
    return answer[3] == _SETTINGS


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
