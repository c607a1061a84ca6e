"""Read one stack file and the environment: everything that a run must know before it starts.

The only module of the runbooks that is handed the environment. Works without Pulumi and without its backend.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from infra.services.unknown import explained
from infra.shapes import SECRET_PREFIX
from infra.stack import Stack
from runbooks.model.database_url import is_database_url, passwords_in
from runbooks.model.errors import Refused
from runbooks.model.misfit import found, named
from runbooks.model.object_store import ObjectStore, below, object_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PROJECT: Final = "ems-ops"
"""The project's name in Pulumi.yaml, and so the prefix of its keys."""

DUMPS: Final = "dumps"
"""Where own backups lie below the ops home."""

KEYS_OF_THE_CLI: Final = ("config", "encryptionsalt", "secretsprovider", "encryptedkey", "environment")
"""Top-level keys that the Pulumi CLI (3.259) writes into a stack file by itself."""

VARIABLES: Final = {
    "CLOUDFLARE_API_TOKEN": "a Cloudflare API token that may edit Workers, Pages and DNS",
    "SUPABASE_ACCESS_TOKEN": "a Supabase personal access token with backups and network restrictions",
    "EMS_DATABASE_URL": "postgresql://user:password@host:port/database of the operated database",
    "AWS_ACCESS_KEY_ID": "the id of a key that may read and write the ops home's bucket (S3, or R2's S3 API)",
    "AWS_SECRET_ACCESS_KEY": "the secret of that key",
    "AWS_SESSION_TOKEN": "the session of that key, where it is a temporary one",
    "EMS_BACKUP_KEY": "the X25519 private key that opens own backups: 32 bytes in base64 (openssl rand -base64 32)",
    "EMS_WEBHOOK_SECRET": "what the receiver of `ems-ops:alerts.webhook` knows Cloudflare by",
    "EMS_LOGPUSH_ACCESS_KEY_ID": "the id of a key that may write the bucket of `ems-ops:logpush`",
    "EMS_LOGPUSH_SECRET_ACCESS_KEY": "the secret of that key",
    "EMS_SIGNING_KEY": "the Ed25519 key that signs how runs end: 32 bytes in base64 (openssl rand -base64 32)",
}
"""The secrets, which only the environment holds, and what each one is."""


DATABASE_URL: Final = "EMS_DATABASE_URL"

OPTIONAL: Final = {field.name for field in msgspec.structs.fields(Stack) if not field.required}
"""Keys that an older stack file may lack."""


@dataclass(frozen=True)
class Settings:
    """One stack, whole: its file, its typed values, and the secrets of the environment.

    `root` is the repository's root: relative paths of the stack file start there. `file` is the stack file.
    """

    name: str
    argument: str
    file: Path
    root: Path
    stack: Stack
    environment: Mapping[str, str]

    @property
    def home(self) -> Path:
        """Return the folder of this machine: the ops home itself, unless that lies in an object store.

        Then this folder holds what stays here: copies of the database, drills, details of errors, and what could not
        be sent.
        """
        if self.object_store is None:
            return self.root / self.stack.ops_home
        return self.root / (self.stack.local_folder or f".ops/{self.name}")

    @property
    def object_store(self) -> ObjectStore | None:
        """Return where the ops home lies when it is not a folder."""
        return object_store(self.stack.ops_home)

    @property
    def backup_store(self) -> ObjectStore | None:
        """Return where own backups lie when that is not a folder: where they are told to, or below the ops home."""
        told = self.stack.backups.store
        if told is not None:
            return object_store(told)
        home = self.object_store
        return below(home, DUMPS) if home else None

    @property
    def backup_folder(self) -> Path:
        """Return the folder of own backups; where they lie in an object store, of what is on its way there."""
        told = self.stack.backups.store
        return self.root / told if told is not None and self.backup_store is None else self.home / DUMPS

    @property
    def twin_state(self) -> Path:
        """Return the folder of this stack's local twin."""
        return self.root / self.stack.twin.state

    def require(self, variable: str) -> str:
        """Return a secret of the environment, or raise Refused that names it and says what it is."""
        value = self.environment.get(variable, "")
        if not value:
            message = f"{variable} is not set. Expected in the environment: {VARIABLES[variable]}."
            raise Refused(message, next_command=f"export {variable}=…")
        if variable == DATABASE_URL and not is_database_url(value):
            message = f"{variable}: expected {VARIABLES[variable]}, got something else."
            raise Refused(message, next_command=f"export {variable}=…")
        return value

    def worker_secrets(self) -> dict[str, str]:
        """Return the values of the Worker's declared secrets that the environment holds, by the secret's own name."""
        found = {name: self.environment.get(SECRET_PREFIX + name, "") for name in self.stack.api.secrets}
        return {name: value for name, value in found.items() if value}

    def secrets(self) -> tuple[str, ...]:
        """Return every secret value that must never be printed or written, a database URL's password included."""
        values = [value for name, value in self.environment.items() if is_secret(name) and value]
        return (*values, *passwords_in(self.environment.get(DATABASE_URL, "")))


def is_secret(variable: str) -> bool:
    """Tell whether an environment variable holds a secret: one of ours, or a value for the Worker."""
    return variable in VARIABLES or variable.startswith(SECRET_PREFIX)


def load(stack: str, *, root: Path, environ: Mapping[str, str]) -> Settings:
    """Read `Pulumi.<stack>.yaml` in `root`, or the stack file whose path is given, and check every value.

    Raises Refused with the file, the key and what was expected.
    """
    file = root / stack if stack.endswith((".yaml", ".yml")) else root / f"Pulumi.{stack}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(p.name.split(".")[1] for p in root.glob("Pulumi.*.yaml")))
        message = f"There is no stack file {file}. Expected the name of a stack ({known}) or a file's path."
        raise Refused(message, next_command="invoke --list")
    values = read_stack(file)
    name = file.name.removeprefix("Pulumi.").removesuffix(".yml").removesuffix(".yaml")
    environment = {key: value for key, value in environ.items() if is_secret(key) and value}
    settings = Settings(name=name, argument=stack, file=file, root=root, stack=values, environment=environment)
    return _with_twin_credentials(settings)


def read_stack(file: Path) -> Stack:
    """Turn a stack file into typed data; raise Refused with file, key and expectation where it can't be."""
    return stack_of(_mapping(file), file)


def stack_of(document: dict[str, Any], file: Path) -> Stack:
    """Turn a stack file's parsed content into typed data; `file` is named in errors."""
    for key in document:
        if key not in KEYS_OF_THE_CLI:
            raise _refusal(file, key, f"is not a key of a stack file; expected one of {', '.join(KEYS_OF_THE_CLI)}")
    config = document.get("config")
    if not isinstance(config, dict):
        raise _refusal(file, "config", "is missing; expected the stack's values under it")
    fields: dict[str, Any] = {}
    known = {"cloudflare:baseUrl": "base_url"} | {
        f"{PROJECT}:{field}": field for field in Stack.__struct_fields__ if field != "base_url"
    }
    for key, value in config.items():
        if value in (None, "") and known.get(key) in OPTIONAL:
            continue  # the CLI (3.260) writes "" over a null
        if key in known:
            fields[known[key]] = _plain(value, file, key)
        else:
            guess = difflib.get_close_matches(str(key), known, n=1)
            raise _refusal(file, str(key), "is not known" + (f"; did you mean {guess[0]}" if guess else ""))
    for key, field in known.items():
        if field not in fields and field not in OPTIONAL:
            raise _refusal(file, key, "is missing")
    return _with_places(_convert(fields, known, file), file)


def _convert(fields: dict[str, Any], known: dict[str, str], file: Path) -> Stack:
    try:
        return msgspec.convert(fields, Stack)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        path = named(fields, where.rstrip("`"), Stack)
        what = explained(what, path, Stack)
        field = path.split(".")[0].split("[")[0]
        if not field:  # two keys that do not fit; the text begins with one of them
            raise _refusal(file, f"{PROJECT}:{what.rstrip('.')}", "") from None
        key = next((key for key, name in known.items() if name == field), field)
        got = found(fields, path)
        got = got and (f" {got}" if ", got" in what else f", got {got}")
        raise _refusal(file, key + path.removeprefix(field), f"is not right: {what}{got}") from None


def _with_places(stack: Stack, file: Path) -> Stack:
    for key, place in (("ops_home", stack.ops_home), ("backups.store", stack.backups.store)):
        try:
            object_store(place or "")
        except ValueError as error:
            raise _refusal(file, f"{PROJECT}:{key}", f"is not right: {error}") from None
    return stack


def _mapping(file: Path) -> dict[str, Any]:
    try:
        document = _parsed(file.read_text("utf-8"))
    except MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}" if error.problem_mark else "somewhere"
        raise _refusal(file, line, f"is not YAML: {error.problem}") from None
    except (YAMLError, ValueError, OSError) as error:  # ValueError: not UTF-8, or a date that does not exist
        raise _refusal(file, "the file", f"can't be read: {error}") from None
    if not isinstance(document, dict):
        raise _refusal(file, "the file", "is not a mapping; expected `config:` at its top")
    return document


@lru_cache(maxsize=16)
def _parsed(text: str) -> Any:  # noqa: ANN401 - YAML holds anything; callers only read it
    """Return a document; a run reads the same stack file often, and parsing it takes a while."""
    return (
        YAML(typ="safe", pure=True).constructor.construct_document(node)
        if (node := composed(text)) is not None
        else None
    )


@lru_cache(maxsize=2)
def composed(text: str) -> Any:  # noqa: ANN401 - nodes of an untyped library; callers only read them
    """Return the nodes of a document, which know where in the text they stand. Raises what a wrong text raises."""
    return YAML(typ="safe", pure=True).compose(text)


def _plain(value: Any, file: Path, key: str) -> Any:  # noqa: ANN401 - YAML holds anything; typed right after
    """Return the value as JSON-like data; dates that YAML made of plain text become text again."""
    if isinstance(value, dict):
        if set(value) == {"secure"}:
            raise _refusal(
                file, key, "is encrypted (`secure:`); expected plain text, secrets come from the environment"
            )
        return {str(name): _plain(item, file, f"{key}.{name}") for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, file, f"{key}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, str) and "\0" in value:
        raise _refusal(file, key, "holds a character of code 0; expected text without")
    return value.isoformat() if hasattr(value, "isoformat") else value


def _refusal(file: Path, key: str, what: str) -> Refused:
    return Refused(f"{file.name}: {key} {what}.", next_command=f"edit {file}")


def _addresses(stack: Stack) -> Iterator[str]:
    yield stack.base_url
    yield stack.endpoints.supabase
    if stack.endpoints.edge:
        yield stack.endpoints.edge


def is_local(stack: Stack) -> bool:
    """Tell whether every provider of this stack answers on this machine's loopback: the twin."""
    local = ("127.0.0.1", "::1", "localhost")
    return stack.endpoints.edge is not None and all(urlsplit(url).hostname in local for url in _addresses(stack))


def _with_twin_credentials(settings: Settings) -> Settings:
    """Fill in what the local twin wrote beside its state: its tokens open nothing but itself."""
    note = settings.twin_state / "twin.json"
    try:
        if not is_local(settings.stack) or not note.is_file():
            return settings
        twin = json.loads(note.read_text("utf-8"))
    except (ValueError, OSError) as error:
        message = f"{note} can't be read: {error}. Expected what `invoke twin.up` wrote there."
        raise Refused(message, next_command="invoke twin.down && invoke twin.up") from None
    found = {**twin["tokens"], "EMS_DATABASE_URL": twin["database_url"]}
    merged = {**{key: found[key] for key in VARIABLES if key in found}, **settings.environment}
    return replace(settings, environment=merged)
