"""Find the process at the other end of a connection on this machine, to kill it. Needs Linux's /proc."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


class UnknownCallerError(Exception):
    """Nobody was killed: it can't be told who calls, or it is somebody else's process."""


def caller(ours: socket.socket | None) -> int:
    """Return the one process of our own user that holds the other end of our socket. Raises UnknownCallerError."""
    if ours is None or ours.family != socket.AF_INET:
        message = "kill: expected a caller on TCP over IPv4, nobody was killed"
        raise UnknownCallerError(message)
    inode = _inode(ours.getpeername(), ours.getsockname())
    found = [pid for pid in _own_processes() if inode and _holds(pid, f"socket:[{inode}]")]
    if len(found) != 1 or found[0] == os.getpid():
        message = (
            f"kill: expected one process of user {os.geteuid()} at the other end, found {found}; nobody was killed"
        )
        raise UnknownCallerError(message)
    return found[0]


def kill(pid: int) -> None:
    """End it as a power cut would."""
    os.kill(pid, signal.SIGKILL)


def _inode(local: tuple[str, int], remote: tuple[str, int]) -> str:
    """Return the inode of the socket from `local` to `remote`; "" when this machine has none."""
    table = _PROC / "net" / "tcp"
    wanted = [_written(local), _written(remote)]
    lines = table.read_text("ascii").splitlines()[1:] if table.exists() else []
    return next((words[9] for words in map(str.split, lines) if words[1:3] == wanted), "")


def _written(address: tuple[str, int]) -> str:
    """Return an address as the kernel writes it: the four bytes in the machine's own order."""
    return f"{int.from_bytes(socket.inet_aton(address[0]), 'little'):08X}:{address[1]:04X}"


def _own_processes() -> list[int]:
    entries = [entry for entry in _PROC.iterdir() if entry.name.isdigit()] if _PROC.exists() else []
    return [int(entry.name) for entry in entries if _owner(entry) == os.geteuid()]


def _owner(entry: Path) -> int | None:
    try:
        return entry.stat().st_uid
    except OSError:  # it has just ended
        return None


def _holds(pid: int, link: str) -> bool:
    try:
        return any(_target(held) == link for held in (_PROC / str(pid) / "fd").iterdir())
    except OSError:
        return False


def _target(held: Path) -> str:
    try:
        return str(held.readlink())
    except FileNotFoundError:  # closed since it was listed
        return ""
