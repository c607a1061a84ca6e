"""Take the twin's ports before anything is started, so that a taken one is told at once."""

from __future__ import annotations

import errno
import socket

from twin.world import UnableError

ADDRESS = "127.0.0.1"
_TRIES = 20


def take(part: str, port: int) -> socket.socket:
    """Return a TCP socket bound to the port (0: a free one) and listening. UnableError names a taken port."""
    return _bound(part, port, socket.SOCK_STREAM)


def take_pair(part: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Return a UDP and a TCP socket on one port, as DNS needs them."""
    for _ in range(_TRIES):
        stream = _bound(part, port, socket.SOCK_STREAM)
        try:
            return _bound(part, stream.getsockname()[1], socket.SOCK_DGRAM), stream
        except UnableError:
            stream.close()
            if port:
                raise
    message = f"no port is free for {part} over both UDP and TCP"
    raise UnableError(message)


def _bound(part: str, port: int, kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.setblocking(False)
    if kind == socket.SOCK_STREAM:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((ADDRESS, port))
        if kind == socket.SOCK_STREAM:
            made.listen(1024)
    except OSError as error:
        made.close()
        reason = "is taken by another program" if error.errno == errno.EADDRINUSE else str(error.strerror)
        message = f"port {port} for {part} {reason}"
        raise UnableError(message) from None
    return made
