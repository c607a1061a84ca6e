"""Break chosen calls of the control planes: slow, refused, cut before or after their effect, answered by half."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

_ACTIONS = {"status", "code", "message", "delay", "reset", "applied", "truncate", "retry_after"}
_KEYS = {"provider", "method", "path", "after", "times", "do"}


@dataclass(frozen=True)
class Action:
    """What happens to a call.

    `delay` seconds pass first. `status` answers with the provider's error envelope around `code` and `message`, and
    with `retry_after` as a header; the effect does not happen, unless `applied`. `reset` cuts the connection
    "before" or "after" the effect. `truncate` cuts it in the middle of the answer.
    """

    status: int | None = None
    code: int | str | None = None
    message: str = "injected fault"
    delay: float = 0.0
    reset: str | None = None
    applied: bool = False
    truncate: bool = False
    retry_after: int | None = None


@dataclass
class Fault:
    """Which calls are broken: by provider, method ("" is any) and a regular expression found in the path.

    `after` that many matches go well, the next `times` (None: all) do not.
    """

    provider: str
    method: str
    path: re.Pattern[str]
    after: int
    times: int | None
    action: Action
    seen: int = 0

    @classmethod
    def read(cls, given: dict[str, Any]) -> Fault:
        """Read a fault as it is posted. ValueError or KeyError says what is wrong with it."""
        unknown = given.keys() - _KEYS or given["do"].keys() - _ACTIONS
        if unknown:
            message = f"unknown keys: {', '.join(sorted(unknown))}"
            raise ValueError(message)
        action = Action(**given["do"])
        if action.reset not in {None, "before", "after"}:
            message = f'reset is "before" or "after", not {action.reset!r}'
            raise ValueError(message)
        return cls(
            provider=given.get("provider", ""),
            method=given.get("method", "").upper(),
            path=re.compile(given.get("path", "")),
            after=given.get("after", 0),
            times=given.get("times"),
            action=action,
        )

    def hits(self, provider: str, method: str, path: str) -> bool:
        """Count a call that matches and say whether this one is broken."""
        if self.provider not in {"", provider} or self.method not in {"", method} or not self.path.search(path):
            return False
        self.seen += 1
        return self.after < self.seen and (self.times is None or self.seen <= self.after + self.times)


@dataclass
class Faults:
    """The faults in force, oldest first; the first that hits decides."""

    active: list[Fault] = field(default_factory=list)

    def strike(self, provider: str, method: str, path: str) -> Action | None:
        """Return what happens to this call, or None."""
        struck = [fault for fault in self.active if fault.hits(provider, method, path)]
        return struck[0].action if struck else None
