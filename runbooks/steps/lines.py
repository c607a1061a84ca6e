"""Logs of the ops home that are only appended to, one line of JSON a fact: whole lines count, a torn one never was."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from runbooks.model.errors import AnswerLost, Refused, Unreachable

if TYPE_CHECKING:
    from runbooks.engine.record.home import Home

LineT = TypeVar("LineT", bound=msgspec.Struct)


def read_lines(home: Home, name: str, shape: type[LineT], what: str) -> list[LineT]:
    """Return every whole line of a log, oldest first; none when there is no such log yet. `what` names one line.

    A line cut off by a crash is no fact. Raises Refused for any other damage, Unreachable where the home is silent.
    """
    *whole, _torn = _content(home, name).split(b"\n")
    lines = []
    for number, text in enumerate(whole, 1):
        try:
            lines.append(msgspec.json.decode(text, type=shape))
        except msgspec.MsgspecError as error:
            if "truncated" in str(error):
                continue  # the write that a crash cut off; what it would have said is found by its step again
            log = home.where(name)
            message = f"{log}, line {number}: expected {what}, got {error}"
            raise Refused(message, next_command=f"edit {log}") from None
    return lines


def add_line(home: Home, name: str, line: msgspec.Struct) -> None:
    """Add one line and put it on disk, without what a crash left of the line before. Raises AnswerLost."""
    whole = _content(home, name).rfind(b"\n") + 1
    try:
        log = home.open_log(name, size=whole)
        try:
            log.append(msgspec.json.encode(line) + b"\n", durable=True)
        finally:
            log.close()
    except OSError as error:
        message = f"{home.where(name)}: it is not sure that a line was added ({error.strerror or error})."
        raise AnswerLost(message) from error


def _content(home: Home, name: str) -> bytes:
    try:
        return home.read_log(name)
    except OSError as error:
        message = f"{home.where(name)}: it cannot be read ({error.strerror or error})."
        raise Unreachable(message) from error
