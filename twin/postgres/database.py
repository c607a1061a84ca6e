"""Put the parts of the database together: programs, server, gateway, cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from twin.postgres import programs
from twin.postgres.cluster import Cluster
from twin.postgres.gateway import Gateway
from twin.postgres.server import Server
from twin.postgres.services import Services

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from pathlib import Path

    from twin.home import Opened
    from twin.processes import Processes


class Database:
    """The twin's PostgreSQL as the control planes see it.

    `url` is its owner's way in, through the gateway; `inside` is the platform's own, past the network restrictions.
    """

    def __init__(self, opened: Opened, owned: Processes, public: socket.socket) -> None:
        found = programs.find(opened.home.state)
        sockets = opened.sockets / "postgres"
        sockets.mkdir(mode=0o700)
        found.own(sockets)
        self._keys = opened.keys
        self._public = public
        self.address: tuple[str, int] = public.getsockname()
        self.egress: Path = opened.sockets / "egress"
        self.url = f"postgresql://postgres:{self._keys.database}@{self.address[0]}:{self.address[1]}/postgres"
        server = Server(
            found,
            owned,
            sockets=sockets,
            log=opened.home.state / "logs" / "postgres.log",
            password=self._keys.administrator,
        )
        self.inside = f"postgresql://postgres:{self._keys.database}@/postgres?host={quote(str(sockets), safe='')}"
        self.services = Services(sockets, self._keys.administrator)
        self._gateway = Gateway(server.socket)
        self.cluster = Cluster(found, server, closed=self._gateway.close, opened=self._gateway.open)

    async def begin(self) -> None:
        """Start what takes longest and return."""
        await self.cluster.begin(self._keys.administrator)

    async def listen(self) -> None:
        """Open the ways in; until the database is up everyone is told that it is starting."""
        await self._gateway.listen(self._public, self.egress)

    async def start(self) -> None:
        """Bring the database up and let sessions in."""
        await self.cluster.start(self._keys.database)

    async def restrict(self, allowed: Sequence[str]) -> None:
        """Let only these CIDRs in; sessions of others end."""
        self._gateway.restrict(allowed)

    async def stop(self) -> None:
        """End all sessions and stop the server."""
        self._gateway.stop()
        await self.services.end()
        await self.cluster.stop()
