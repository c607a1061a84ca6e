"""A copy of a server on its way to a point: it replays WAL up to there, stops, and can be looked at, read-only.

Nobody else reaches it: it listens on a socket in a folder that only its user may enter. It archives nothing, follows
the timeline of its base, and has a target always. That it takes sessions proves nothing; what it says of its recovery
does.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from runbooks.clients import child
from runbooks.clients.scratch.folder import private_folder
from runbooks.clients.scratch.programs import within_reach
from runbooks.clients.selfhosted.wal import spoken
from runbooks.model.errors import ActError, OpsError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from runbooks.clients.postgres import Postgres
    from runbooks.clients.selfhosted.installed import Installed

PORT: Final = 5432
POLL: Final = 0.01
STOPS_WITHIN: Final = 300.0  # seconds for its last checkpoint
FATAL: Final = re.compile(
    r"(?:FATAL|PANIC):\s+(?!\s|the database system is )(.*)"
)  # that is said to who asks meanwhile
STATE: Final = """
select pg_is_in_recovery(), case when pg_is_in_recovery() then pg_get_wal_replay_pause_state() end,
       pg_last_wal_replay_lsn() - '0/0'
"""
HELD: Final = """
select distinct coalesce(c.oid::regclass::text, l.relation::text)
  from pg_locks l left join pg_class c on c.oid = l.relation
 where l.granted and l.mode = 'AccessExclusiveLock' and l.locktype = 'relation' and l.pid <> pg_backend_pid()
   and pg_is_in_recovery()
 order by 1
"""
CONFIGURATION: Final = {
    "listen_addresses": "",
    "archive_command": "",  # what it will have to archive stays marked, for the server that starts on it later
    "archive_library": "",
    "archive_cleanup_command": "",
    "recovery_end_command": "",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "hot_standby": "on",
    "recovery_target": "",
    "recovery_target_lsn": "",
    "recovery_target_name": "",
    "recovery_target_time": "",
    "recovery_target_xid": "",
    "recovery_target_timeline": "current",  # `latest` follows whoever once recovered into the same archive
    "recovery_target_action": "pause",
    "shared_preload_libraries": "",  # nothing may begin to work by itself
    "ssl": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": "",
    "autovacuum": "off",
    "checkpoint_timeout": "1d",  # points to begin again from would only be written for nothing
    "max_wal_size": "64GB",
    "external_pid_file": "",
    "cluster_name": "ems-ops",
    **({"recovery_init_sync_method": "syncfs"} if sys.platform == "linux" else {}),
}


@dataclass(frozen=True)
class Target:
    """Where a recovery stops: at the record there, after it if `inclusive`. Without one: as soon as it is whole."""

    lsn: int | None
    inclusive: bool

    @property
    def settings(self) -> dict[str, str]:
        """Return it as the server takes it."""
        if self.lsn is None:
            return {"recovery_target": "immediate"}
        return {
            "recovery_target_lsn": spoken(self.lsn),
            "recovery_target_inclusive": "on" if self.inclusive else "off",
        }


@dataclass
class Paused:
    """One copy of a server. `like` is the way into the present one: the same user and database are used here.

    `settings` are the server's own: the limits that the WAL asks for.
    """

    data: Path
    wal: Path
    installed: Installed
    like: Postgres
    settings: Mapping[str, str]
    _ends: ExitStack = field(default_factory=ExitStack)
    _server: subprocess.Popen[bytes] | None = None
    _said: IO[bytes] | None = None
    _door: Postgres | None = None

    @property
    def door(self) -> Postgres:
        """Return the way into it while it runs."""
        if self._door is None:
            message = "the copy of the server does not run"
            raise ActError(message)
        return self._door

    @property
    def runs(self) -> bool:
        """Tell whether it runs."""
        return self._server is not None and self._server.poll() is None

    def start(self, target: Target, report: Callable[[int], None] = lambda _position: None) -> None:
        """Start it, and return once it has stopped at the target. Raises ActError with the server's words.

        `report` gets the position in the WAL that it has come to.
        """
        self.stop()
        folder = self._ends.enter_context(private_folder())
        folder.chmod(0o711)
        room = folder / "s"
        room.mkdir(mode=0o700)
        self._give(room)
        (room / "postgresql.conf").touch(mode=0o644)
        (room / "pg_hba.conf").write_text("local all all trust\n")
        (room / "pg_hba.conf").chmod(0o644)
        programs = within_reach(self.installed.prefix, self.installed.owner, folder)
        given = {**CONFIGURATION, **self.settings, **self._places(room)}
        # the target comes last: no other may be told, not even as empty, after it
        words = [
            word for name, value in (*given.items(), *target.settings.items()) for word in ("-c", f"{name}={value}")
        ]
        self._said = self._ends.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
        self._server = child.start(
            [str(programs / "postgres"), "-D", str(self.data), *words],
            folder=room, environment=self.installed.seen, stderr=self._said, owner=self.installed.owner,
        )  # fmt: skip
        self._door = _through(room, self.like)
        try:
            while not self._has_stopped(report):
                time.sleep(POLL)
        except BaseException:
            self.stop()
            raise

    def free_tables(self) -> list[str]:
        """Have every table readable; return those that transactions held which were under way at the target.

        A paused recovery keeps their locks. To be rid of them it must end, in which nothing else becomes otherwise.
        """
        with self.door.reading() as session:
            held = [name for (name,) in session.rows(HELD)]
        if held:
            self.end_recovery()
        return held

    def end_recovery(self) -> int:
        """Let it become a server of its own, at the target; return its timeline. It goes on running."""
        if self._state()[0]:
            with self._superuser().reading() as session:  # a server in recovery opens no other session
                session.rows("select pg_wal_replay_resume()")
        while self._state()[0] is not False:
            time.sleep(POLL)
        with self.door.reading() as session:
            return int(session.value("select timeline_id from pg_control_checkpoint()"))

    def stop(self, *, in_order: bool = True) -> None:
        """Stop it, without waiting for anybody. Not `in_order`, what it has replayed is replayed again at its start.

        In order takes a second: that long a paused recovery does not look up.
        """
        server, self._server, self._door = self._server, None, None
        if server is not None:
            server.send_signal(signal.SIGINT if in_order else signal.SIGQUIT)
            with suppress(subprocess.TimeoutExpired):
                server.wait(STOPS_WITHIN)
            child.stop(server)
        self._ends.close()

    def _places(self, room: Path) -> dict[str, str]:
        archive = shlex.quote(str(self.wal)).replace("%", "%%")
        return {
            "config_file": str(room / "postgresql.conf"),
            "hba_file": str(room / "pg_hba.conf"),
            "data_directory": str(self.data),
            "unix_socket_directories": str(room),
            "port": str(PORT),
            "restore_command": f"cp {archive}/%f %p",
        }

    def _superuser(self) -> Postgres:
        with self.door.reading() as session:
            name = session.value("select rolname from pg_roles where oid = 10")
        parts = urlsplit(self.door.url)
        return replace(self.door, url=urlunsplit(parts._replace(netloc=f"{quote(str(name), safe='')}@")))

    def _has_stopped(self, report: Callable[[int], None]) -> bool:
        """Tell whether it stands at its target."""
        in_recovery, state, position = self._state()
        if in_recovery is False:
            message = "the copy of the server ended its recovery by itself, it cannot be told where"
            raise ActError(message)
        if position is not None:
            report(position)
        return bool(state == "paused")

    def _state(self) -> tuple[bool | None, str | None, int | None]:
        if not self.runs:
            message = f"the copy of the server ended: {self._last_words()}"
            raise ActError(message)
        try:
            with self.door.reading() as session:
                in_recovery, state, position = session.rows(STATE)[0]
                return bool(in_recovery), state, None if position is None else int(position)
        except Unreachable:
            return None, None, None
        except OpsError as error:
            message = f"the copy of the server cannot be asked: {error}"
            raise ActError(message) from None

    def _last_words(self) -> str:
        text = child.tail(self._said) if self._said else ""
        fatal = FATAL.findall(text)
        return fatal[-1] if fatal else text.splitlines()[-1]

    def _give(self, path: Path) -> None:
        if self.installed.owner is not None:
            os.chown(path, self.installed.owner.uid, self.installed.owner.gid)


def _through(room: Path, like: Postgres) -> Postgres:
    parts = urlsplit(like.url)
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    query = urlencode({"host": str(room), "port": PORT})
    return replace(like, url=urlunsplit(("postgresql", f"{user}@", parts.path, query, "")))
