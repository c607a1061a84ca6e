"""Open a state folder: one twin at a time, its passwords and tokens made once, its sockets where paths are short."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import string
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from twin.world import Home, UnableError

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
    """A state folder that is ours while `lock` is open."""

    home: Home
    keys: Keys
    sockets: Path
    lock: TextIO


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
    return Opened(home=home, keys=keys, sockets=_sockets(), lock=lock)


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


def _sockets() -> Path:
    short = len(os.fsencode(tempfile.gettempdir())) <= _LONGEST_FOLDER
    folder = Path(tempfile.mkdtemp(prefix="twin-", dir=None if short else "/tmp"))  # noqa: S108 - mkdtemp makes it ours
    folder.chmod(0o711)  # PostgreSQL's user passes through to its own folder inside
    return folder
