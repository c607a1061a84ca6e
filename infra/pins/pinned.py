"""Pins in the stack file: what a rollback or a restore did, which the program must not undo."""

from __future__ import annotations

import hashlib
import re
from typing import Final

import msgspec

from infra.shapes import Frozen

PROJECT: Final = re.compile(r"(?:^|\.)(?P<ref>[a-z]{20})(?:\.|$)")
"""Supabase's reference of a project: in its host (`db.<ref>.supabase.co`), or in a pooler's user (`postgres.<ref>`)."""
DATABASE: Final = "database"
"""The key of the pin that a restore writes: the database that the API must go on using."""


class Pin(Frozen, frozen=True, omit_defaults=True):
    """What `pulumi up` must leave in place: written by a rollback or a restore, with who, when and why.

    `version` is a release, or the name of a database; then `server` is `user@host:port`. `declared` is the digest of
    the records that the stack file may declare meanwhile.
    """

    version: str
    since: str
    reason: str
    run: str
    declared: str = ""
    server: str = ""

    @property
    def address(self) -> str:
        """Return the address of the pinned database, with dots for its password."""
        user, _, where = (self.server or "user@host:port").rpartition("@")
        return f"postgresql://{user}:…@{where}/{self.version}"

    @property
    def known_as(self) -> str:
        """Return what the pinned database's server is known by, "" where any will do."""
        user, _, where = self.server.rpartition("@")
        return project_of(where.rpartition(":")[0], user) or where


def declared(records: tuple[Frozen, ...]) -> str:
    """Return the digest of what a stack file declares as records, 12 hexadecimal digits."""
    return hashlib.sha256(msgspec.json.encode(records, order="sorted")).hexdigest()[:12]


def against_pin(pin: Pin | None, records: tuple[Frozen, ...]) -> str:
    """Return why the program may not be applied while the records are pinned; "" when it may.

    Records have no release that could be uploaded and held back: applied is live. So a pin of theirs holds as long as
    the file declares what it declared when the pinned state was taken; with that, nothing of it is undone.
    """
    if pin is None or pin.declared in ("", declared(records)):
        return ""
    return (
        f"ems-ops:records: pinned to {pin.version} since {pin.since} ({pin.reason}; run {pin.run}): expected what was "
        f"declared then ({pin.declared}), got something else ({declared(records)})"
    )


def server_of(host: str, port: int, user: str) -> str:
    """Return what a server is known by: Supabase's reference of its project, else its host and port."""
    return project_of(host, user) or f"{host}:{port}"


def project_of(host: str, user: str) -> str:
    """Return Supabase's reference of the project that an address leads to, "" where it leads to none."""
    found = PROJECT.search(host) or PROJECT.search(user)
    return found["ref"] if found else ""


def against_database_pin(pin: Pin | None, *, server: str, database: str) -> str:
    """Return why the program may not be applied with this database (`server` as in `server_of`); "" when it may.

    A restore that could not rename the database has moved the API to another one: with the address of before, the
    program would move it back, and nobody would be told.
    """
    if pin is None or (pin.version == database and pin.known_as in ("", server)):
        return ""
    return (
        f"ems-ops:pins.{DATABASE}: pinned to {pin.version} on {pin.known_as} since {pin.since} ({pin.reason}; run "
        f"{pin.run}): expected EMS_DATABASE_URL to name it, got {database} on {server}"
    )
