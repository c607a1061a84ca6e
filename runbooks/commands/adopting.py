"""What `deploy.import` does: look for what the account has already, and write it down for `pulumi import`."""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from runbooks.clients.inventory import Inventory, registrations
from runbooks.model.errors import CheckError, Exit, Refused
from runbooks.model.settings import is_secret
from runbooks.steps.cloudflare.adoption import adopt, import_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runbooks.commands.frame.console import Console
    from runbooks.steps.cloudflare.adoption import Adoption


def write_import(console: Console, *, file: str) -> Exit:
    """Write what was found, say what was not, and print the command that takes it over."""
    settings = console.settings
    target = Path(file) if file else settings.file.with_name(f"Pulumi.{settings.name}.import.json")
    _refuse_to_overwrite(target)
    inventory = Inventory(console.cloudflare.transport, {})
    zones = inventory.rows(f"/zones?name={settings.stack.zone}")
    if not zones:
        message = f"Zone {settings.stack.zone}: expected it in account {settings.stack.account}, the token sees none."
        raise Refused(message, next_command=f"edit {settings.file}")
    environment = {name: value for name, value in console.environ.items() if not is_secret(name)}
    registered = registrations(settings.file, root=settings.root, environment=environment)
    adoption = adopt(inventory, registered, zone_id=zones[0]["id"])
    if not adoption.found:
        message = f"Account {settings.stack.account}: nothing of what {settings.file.name} declares is there."
        raise Refused(message, next_command=f"invoke deploy --stack {shlex.quote(settings.argument)}")
    _write(target, import_file(adoption, registered))
    command = _next_command(console, target)
    if console.flags.json:
        console.print_json({"file": str(target), **msgspec.to_builtins(adoption), "next_command": command})
    else:
        for line in (*_lines(adoption, target), f"Next: {command}"):
            print(console.redact(line))  # noqa: T201 - the command's own output
    return Exit.DONE


def _lines(adoption: Adoption, target: Path) -> Iterator[str]:
    """Yield the result for people."""
    for found in adoption.found:
        note = f"   ({found.note})" if found.note else ""
        yield f"found    {_short(found.type):<28} {found.name:<44} {found.id}{note}"
    for missing in adoption.missing:
        yield f"not      {_short(missing.type):<28} {missing.name:<44} {missing.why}"
    whole = len(adoption.found) + len(adoption.missing)
    yield f"{len(adoption.found)} of {whole} resources are in {target}"


def _next_command(console: Console, target: Path) -> str:
    """Return the command that takes over what was found; the program itself says what is protected."""
    settings = console.settings
    words = ["pulumi", "import", "--file", str(target), "--stack", settings.name]
    words += ["--config-file", str(settings.file), "--generate-code=false", "--protect=false"]
    return shlex.join(words)


def _refuse_to_overwrite(target: Path) -> None:
    if os.path.lexists(target):
        message = f"{target}: expected no file there, got one. It may hold what a person has corrected, so it stays."
        raise Refused(message, next_command=f"rm {shlex.quote(str(target))}")


def _write(target: Path, document: dict[str, Any]) -> None:
    """Write the file whole or not at all, and over nobody's."""
    text = json.dumps(document, indent=2) + "\n"
    try:
        with tempfile.NamedTemporaryFile("w", dir=target.resolve().parent, prefix=f".{target.name}-") as draft:
            draft.write(text)
            draft.flush()
            os.fsync(draft.fileno())
            os.link(draft.name, target)
    except FileExistsError:
        _refuse_to_overwrite(target)
    except OSError as error:
        message = f"{target}: it cannot be written ({error.strerror or error})."
        raise CheckError(message) from None


def _short(type_: str) -> str:
    return type_.rpartition(":")[2]
