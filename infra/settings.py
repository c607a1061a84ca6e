"""Read everything that the program must know: the stack file through `pulumi.Config`, secrets from the environment.

The only reader of `pulumi.Config` and of the environment in this package.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec
import pulumi

from infra.outputs import LIVE_VERSION
from infra.pins.pinned import DATABASE, Pin, against_database_pin, against_pin, server_of
from infra.services.unknown import explained
from infra.shapes import SECRET_PREFIX
from infra.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT: Final = Path(__file__).resolve().parent.parent
"""The repository's root. Pulumi runs the program in `infra/`, so no path may start at the working directory."""

PROJECT: Final = "ems-ops"
"""The prefix of the stack file's keys: the project's name in Pulumi.yaml."""

TEXTS: Final = frozenset({"account", "zone", "ops_home", "local_folder"})
"""The keys whose value is a string; every other one is structured."""

POSTGRES_PORT: Final = 5432


@dataclass(frozen=True)
class Origin:
    """Where Hyperdrive finds the database. The password is shown by nothing that prints this."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """One stack, whole: its values, the database behind Hyperdrive, and the version that keeps the traffic, if any."""

    stack: Stack
    origin: Origin
    environment: Mapping[str, str] = field(repr=False)
    live_version: str | None = None

    def require(self, variable: str, what: str) -> pulumi.Output[str]:
        """Return a value of the environment as a secret; raise RunError that names it and says `what` it is."""
        value = self.environment.get(variable, "")
        if not value:
            message = f"{variable}: expected {what} in the environment, got nothing"
            raise pulumi.RunError(message)
        return pulumi.Output.secret(value)


def load() -> Settings:
    """Read the current stack's settings.

    Raises pulumi.RunError with the file, the key and what was expected.
    """
    stack = read_stack()
    if against := against_pin(stack.pins.get("dns"), stack.records):
        message = f"Pulumi.{pulumi.get_stack()}.yaml: {against}; `invoke rollback --service=dns --unpin` ends the pin"
        raise pulumi.RunError(message)
    origin = read_origin(os.environ.get("EMS_DATABASE_URL", ""))
    _refuse_another_database(stack.pins.get(DATABASE), origin)
    return Settings(stack, origin, os.environ, live_version=os.environ.get(LIVE_VERSION) or None)


def read_stack() -> Stack:
    """Build the typed stack from Pulumi's configuration; raise RunError with file, key and expectation."""
    base_url = pulumi.Config("cloudflare").get("baseUrl")
    if base_url is None:
        _refuse("cloudflare:baseUrl", "is missing; expected the address of Cloudflare's API")
    config = pulumi.Config(PROJECT)
    fields: dict[str, Any] = {"base_url": base_url}
    for field_ in msgspec.structs.fields(Stack):
        name = field_.name
        if name == "base_url":
            continue
        text = config.get(name)
        if not text and not field_.required:
            continue  # the CLI (3.260) hands on a null as an empty text
        if text is None:
            _refuse(f"{PROJECT}:{name}", "is missing; both stack files hold the same keys")
        fields[name] = text if name in TEXTS else _structured(name, text)
    try:
        return msgspec.convert(fields, Stack)
    except msgspec.ValidationError as error:
        expected, _, path = str(error).partition(" - at ")
        key = path.strip("`").removeprefix("$.")
        expected = explained(expected, key, Stack)
        if not key:  # two keys that do not fit; the text begins with one of them
            key, _, expected = expected.partition(": ")
        _refuse("cloudflare:baseUrl" if key == "base_url" else f"{PROJECT}:{key}", expected)


def read_origin(url: str) -> Origin:
    """Split a `postgresql://user:password@host:port/database` address; raise RunError, never showing the address."""
    try:
        parts = urlsplit(url)
        port = parts.port or POSTGRES_PORT
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), 0
    database = unquote(parts.path.strip("/"))
    complete = parts.hostname and parts.username and parts.password and database
    if parts.scheme not in ("postgres", "postgresql") or not complete:
        message = "EMS_DATABASE_URL: expected postgresql://user:password@host:port/database in the environment, got "
        raise pulumi.RunError(message + ("something else" if url else "nothing"))
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Origin(parts.hostname or "", port, database, user, password)


def read_token() -> str:
    """Return the Cloudflare API token of the environment; raise RunError when there is none."""
    token = os.environ.get("CLOUDFLARE_API_TOKEN", "")
    if not token:
        message = "CLOUDFLARE_API_TOKEN: expected a token that may edit Pages in the environment, got nothing"
        raise pulumi.RunError(message)
    return token


def read_worker_secrets(names: Iterable[str]) -> dict[str, str]:
    """Return the values of the Worker's secrets that the environment holds, by the secret's own name."""
    values = {name: os.environ.get(SECRET_PREFIX + name, "") for name in names}
    return {name: value for name, value in values.items() if value}


def _refuse_another_database(pin: Pin | None, origin: Origin) -> None:
    server = server_of(origin.host, origin.port, origin.user)
    against = against_database_pin(pin, server=server, database=origin.database)
    if pin is not None and against:
        stack = pulumi.get_stack()
        message = (
            f"Pulumi.{stack}.yaml: {against}. Nothing was done; next: export EMS_DATABASE_URL='{pin.address}' "
            f"(`invoke runs.undo --run {pin.run} --stack {stack}` goes back to the database of before; for another one "
            f"on purpose, take {DATABASE} out of ems-ops:pins in that file)"
        )
        raise pulumi.RunError(message)


def _structured(name: str, text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        _refuse(f"{PROJECT}:{name}", f"expected structured values, got the text {text!r}")


def _refuse(key: str, expectation: str) -> NoReturn:
    message = f"Pulumi.{pulumi.get_stack()}.yaml: {key}: {expectation}"
    raise pulumi.RunError(message) from None
