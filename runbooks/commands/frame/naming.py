"""Commands that are told to type next are about the stack that was asked about."""

from __future__ import annotations

import shlex
from typing import Final

USUAL: Final = "prod"
"""The stack that commands are about when none is named."""
OF_NO_STACK: Final = ("--stack", "--help", "--list", "invoke check", "&&")


def of_stack(command: str | None, stack: str) -> str | None:
    """Return a command with the stack that it is about, where it names none and that is not the usual one."""
    if command is None or stack == USUAL or not command.startswith("invoke "):
        return command
    return command if any(word in command for word in OF_NO_STACK) else f"{command} --stack {shlex.quote(stack)}"
