"""What a command says at its edge: its one JSON document, and what went wrong."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from typing import TYPE_CHECKING

import msgspec

from runbooks.commands.frame.naming import of_stack
from runbooks.engine.redaction import Redactor
from runbooks.engine.signals import StopNow
from runbooks.model.errors import Exit, OpsError

if TYPE_CHECKING:
    from pathlib import Path

    from runbooks.commands.frame.console import Console


def report(error: Exception | StopNow, console: Console | None, *, as_json: bool) -> Exit:
    """Print what went wrong and the next command on standard error; keep the details of what nobody expected."""
    redact = console.redact if console else Redactor(())
    if console is not None:
        console.show.end()
    text, code, next_command = str(error), Exit.FAILED, None
    if isinstance(error, OpsError):
        code, next_command = error.exit, error.next_command
        if error.retryable and next_command is None:  # nothing was done: it is safe to type the same again
            next_command = f"invoke {shlex.join(sys.argv[1:])}"
    elif isinstance(error, StopNow):
        text, code = f"{error.name}: stopped before a run began; nothing was changed.", Exit.REFUSED
        next_command = f"invoke {shlex.join(sys.argv[1:])}"
    else:
        text = unexpected(error, console, redact)
    next_command = of_stack(next_command, console.flags.stack) if console else next_command
    if as_json:
        status = "refused" if code is Exit.REFUSED else "failed"
        print_json(redact.json({"status": status, "exit": code, "text": text, "next_command": next_command}))
    print(redact(text), file=sys.stderr, flush=True)  # noqa: T201 - the edge speaks
    if next_command:
        print(f"Next:\n{redact(next_command)}", file=sys.stderr, flush=True)  # noqa: T201 - the edge speaks
    return code


def unexpected(error: Exception, console: Console | None, redact: Redactor) -> str:
    """Say in a line what nobody expected, and where its details are kept."""
    details = _keep(error, console, redact)
    return f"Unexpected {type(error).__name__}: {error}." + (f" Details: {details}" if details else "")


def print_json(document: object) -> None:
    """Print the one JSON document of a command."""
    text = msgspec.json.format(msgspec.json.encode(document), indent=2)
    print(text.decode(), flush=True)  # noqa: T201 - the command's own output


def _keep(error: Exception, console: Console | None, redact: Redactor) -> Path | None:
    """Write the traceback, without secrets, into the folder of this machine; None where there is none to write to."""
    if console is None:
        return None
    now = console.clock()
    file = console.settings.home / "errors" / f"{now:%Y-%m-%d-%H%M%S}-{os.getpid()}.txt"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(redact("".join(traceback.format_exception(error))), "utf-8")
    except OSError:
        return None  # the message itself is shown; a home that can't be written is the smaller trouble
    return file
