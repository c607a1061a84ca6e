"""Read a stack file into the configuration that Pulumi would hand to the program."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from twin.apply.errors import ApplyError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class StackFile:
    """The stack's name and its configuration: every value a text, structured ones as JSON."""

    name: str
    config: dict[str, str]


def read(file: Path) -> StackFile:
    """Read `Pulumi.<name>.yaml`; raise ApplyError with file and key."""
    try:
        document = YAML(typ="safe", pure=True).load(file.read_text("utf-8"))
    except OSError as error:
        message = f"{file}: {error.strerror}"
        raise ApplyError(message) from None
    except (YAMLError, UnicodeDecodeError) as error:
        message = f"{file}: expected YAML, got: {error}"
        raise ApplyError(message) from None
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        message = f"{file}: config: expected the stack's values under it, got none"
        raise ApplyError(message)
    name = file.stem.removeprefix("Pulumi.")
    return StackFile(name, {str(key): _text(file, str(key), value) for key, value in config.items()})


def _text(file: Path, key: str, value: Any) -> str:  # noqa: ANN401 - YAML of any shape
    if _is_secure(value):
        message = (
            f"{file}: {key}: an encrypted value can only be read by the Pulumi CLI; pass secrets in the environment"
        )
        raise ApplyError(message)
    if value is None:
        return ""  # as the CLI does (3.260, with a warning)
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _is_secure(value: object) -> bool:
    if isinstance(value, dict):
        return set(value) == {"secure"} or any(_is_secure(inner) for inner in value.values())
    return isinstance(value, list) and any(_is_secure(inner) for inner in value)
