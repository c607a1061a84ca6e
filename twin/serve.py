"""Start every part of the twin in one process, tell the addresses, run until told to stop.

What takes longest is started first: PostgreSQL is being created while the HTTP servers are still being imported.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

from twin import processes
from twin.home import open_state, write_private
from twin.postgres.database import Database
from twin.world import UnableError

if TYPE_CHECKING:
    import argparse

    from twin.home import Opened

_PARENT_POLL = 0.25
_ADDRESS = "127.0.0.1"
_TRIES = 20


def main(given: argparse.Namespace) -> int:
    """Serve until a signal or the parent's end. UnableError when it cannot start."""
    if os.geteuid() == 0:
        os.umask(0o022)  # PostgreSQL's own user reads what we write; what is secret is 0600 by itself
    state = given.state.expanduser().absolute()
    opened = open_state(state, account=given.account, zone=given.zone, project=given.project)
    logging.basicConfig(
        filename=state / "logs" / "twin.log", level=logging.INFO, format="%(asctime)s %(name)s %(message)s"
    )
    try:
        processes.end_leftovers(state)
        asyncio.run(_serve(opened, given))
    finally:
        opened.close()
    return 0


async def _serve(opened: Opened, given: argparse.Namespace) -> None:
    stopping = asyncio.Event()
    _stop_on_signals(stopping, outlive=given.outlive_parent)
    taken = {part: _take(part, getattr(given, f"{part}_port")) for part in ("cloudflare", "supabase", "edge")}
    taken["postgres"] = _take("postgres", given.postgres_port)
    dns = _take_pair("dns", given.dns_port)
    owned = processes.Processes(opened.home.state, opened.sockets)
    database = Database(opened, owned, taken["postgres"])
    try:
        await database.begin()
        # While PostgreSQL starts, see above.
        from twin import packages  # noqa: PLC0415
        from twin.parts import Parts  # noqa: PLC0415

        workerd = packages.workerd()
        parts = Parts(opened, owned, database, workerd)
        try:
            line = await parts.start(taken, dns)
            write_private(opened.home.state / "twin.json", line + "\n")
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
            await stopping.wait()
        finally:
            await parts.stop()
    finally:
        await database.stop()
        opened.home.state.joinpath("twin.json").unlink(missing_ok=True)


def _stop_on_signals(stopping: asyncio.Event, *, outlive: bool) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if outlive:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        return
    loop.add_signal_handler(signal.SIGHUP, stopping.set)
    parent = os.getppid()

    def look() -> None:
        # Polled, not asked of the kernel (PR_SET_PDEATHSIG): that signal comes when the starting *thread* ends.
        if os.getppid() != parent:
            stopping.set()
        else:
            loop.call_later(_PARENT_POLL, look)

    look()


def _take(part: str, port: int) -> socket.socket:
    """Return a TCP socket bound to the port (0: a free one) and listening. UnableError names a taken port."""
    return _bound(part, port, socket.SOCK_STREAM)


def _take_pair(part: str, port: int) -> tuple[socket.socket, socket.socket]:
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
    made.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    if kind == socket.SOCK_STREAM:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((_ADDRESS, port))
        if kind == socket.SOCK_STREAM:
            made.listen(1024)
    except OSError as error:
        made.close()
        reason = "is taken by another program" if error.errno == errno.EADDRINUSE else str(error.strerror)
        message = f"port {port} for {part} {reason}"
        raise UnableError(message) from None
    return made
