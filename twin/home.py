"""Open a state folder: one twin at a time, its passwords and tokens made once, its sockets where paths are short."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import string
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from twin.world import Home, UnableError

_SOCKETS = "twin-sockets-"
_JUST_MADE = 60.0  # seconds that a folder may be without its lock
_LONGEST_FOLDER = 60  # a UNIX socket's path ends below 108 bytes (104 on macOS)


@dataclass
class Keys:
    """What is made at random the first time and kept: never printed but in the line of addresses."""

    cloudflare: str
    supabase: str
    administrator: str
    database: str
    account: str
    project: str
    zone: str


@dataclass
class Opened:
    """A state folder that is ours while the locks are open."""

    home: Home
    keys: Keys
    sockets: Path
    locks: tuple[TextIO, TextIO]

    def close(self) -> None:
        """Remove the sockets and let another twin have the state."""
        shutil.rmtree(self.sockets, ignore_errors=True)
        for lock in self.locks:
            lock.close()


def open_state(state: Path, *, account: str | None, zone: str | None, project: str | None) -> Opened:
    """Lock the folder and read or make its keys. UnableError names the running twin, or what is wrong with it."""
    try:
        state.mkdir(mode=0o755, parents=True, exist_ok=True)
        (state / "logs").mkdir(exist_ok=True)
        lock = _lock(state)
    except OSError as error:
        message = f"the state folder cannot be used: {error.strerror}: {error.filename}"
        raise UnableError(message) from None
    keys = _keys(state / "keys.json", account=account, zone=zone, project=project)
    home = Home(state=state, account=keys.account, zone=keys.zone, project=keys.project)
    home.tokens = {"CLOUDFLARE_API_TOKEN": keys.cloudflare, "SUPABASE_ACCESS_TOKEN": keys.supabase}
    sockets, held = _sockets()
    return Opened(home=home, keys=keys, sockets=sockets, locks=(lock, held))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, in one step."""
    draft = path.with_name(path.name + ".tmp")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def _lock(state: Path) -> TextIO:
    lock = (state / "lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        message = f"a twin already runs on {state} (process {lock.read().strip() or 'unknown'})"
        lock.close()
        raise UnableError(message) from None
    lock.seek(0)
    lock.truncate()
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _keys(file: Path, *, account: str | None, zone: str | None, project: str | None) -> Keys:
    if file.exists():
        kept = json.loads(file.read_text(encoding="utf-8"))
    else:
        kept = {
            "cloudflare": secrets.token_urlsafe(30),
            "supabase": "sbp_" + secrets.token_hex(20),
            "administrator": secrets.token_hex(20),
            "database": secrets.token_hex(20),
            "account": secrets.token_hex(16),
            "project": "".join(secrets.choice(string.ascii_lowercase) for _ in range(20)),
            "zone": "twin.example",
        }
    kept |= {key: given for key, given in (("account", account), ("zone", zone), ("project", project)) if given}
    write_private(file, json.dumps(kept))
    return Keys(**kept)


def _sockets() -> tuple[Path, TextIO]:
    """Make a folder with a short name, locked while we use it; remove those that killed twins left."""
    short = len(os.fsencode(tempfile.gettempdir())) <= _LONGEST_FOLDER
    root = Path(tempfile.gettempdir() if short else "/tmp")  # noqa: S108 - mkdtemp makes the folder ours
    for left in root.glob(f"{_SOCKETS}*"):
        _remove_unused(left)
    folder = Path(tempfile.mkdtemp(prefix=_SOCKETS, dir=root))
    folder.chmod(0o711)  # PostgreSQL's user passes through to its own folder inside
    held = (folder / "lock").open("w", encoding="utf-8")
    fcntl.flock(held, fcntl.LOCK_EX)
    return folder, held


def _remove_unused(folder: Path) -> None:
    with suppress(OSError):  # another user's, or just removed
        lock = folder / "lock"
        if not lock.exists() and time.time() - folder.stat().st_mtime < _JUST_MADE:
            return
        with lock.open("a", encoding="utf-8") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
