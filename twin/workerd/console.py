"""Write what Workers log, with script and version, one JSON object a line; keep no line back for long."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_FLUSH = 0.1


class Lines:
    """A file of JSON lines, written behind: the caller never waits for the disk."""

    def __init__(self, file: Path) -> None:
        self._file: IO[str] = file.open("a", encoding="utf-8")
        self._waiting: list[dict[str, Any]] = []

    def add(self, line: dict[str, Any]) -> None:
        """Append one object; it is in the file a tenth of a second later."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(_FLUSH, self._flush)
        self._waiting.append(line)

    def close(self) -> None:
        """Write what waits and close the file."""
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        if self._waiting:
            self._file.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in self._waiting))
            self._file.flush()
            self._waiting.clear()


def instant(milliseconds: float) -> str:
    """Return a Unix time in milliseconds as RFC 3339."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def console_lines(script: str, version: str, event: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an event of the tail worker as log lines: one a console call, one an uncaught exception."""
    about = {
        "script": script,
        "version": version,
        "outcome": event["outcome"],
        "request": event["request"],
        "ray": event["ray"],
        "cron": event["cron"],
    }
    logs = [
        {"at": instant(log["timestamp"]), "level": log["level"], "message": _message(log["message"])}
        for log in event["logs"]
    ]
    exceptions = [
        {
            "at": instant(thrown["timestamp"]),
            "level": "error",
            "message": f"Uncaught {thrown['name']}: {thrown['message']}",
            "stack": thrown.get("stack"),
        }
        for thrown in event["exceptions"]
    ]
    return [line | about for line in (*logs, *exceptions)]


def _message(said: Any) -> Any:  # noqa: ANN401 - a Worker may log anything
    """Return a lone argument as itself, several as the list that they are."""
    return said[0] if isinstance(said, list) and len(said) == 1 else said
