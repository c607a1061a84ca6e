"""Say which calls are broken, and how: slow, refused, silent, cut before or after their effect, stale, cut short."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any

_KEYS = {"provider", "method", "path", "after", "times", "do"}


@dataclass(frozen=True, kw_only=True)
class Action:
    """What happens to a call.

    `delay` seconds pass first. Then the call is answered with `status`, in the provider's error envelope around `code`
    and `message` and with `retry_after` (seconds) as a header; or with `silence` of so many seconds and a closed
    connection; or the process that makes it is killed (`kill`, SIGKILL). None of the three has an effect, unless
    `applied`. `reset` cuts the connection "before" or "after" the effect. `truncate` closes it after this share of the
    body (0: headers only). `stale` lets a GET up to so many seconds after the last write answer what it did before it.
    `skew` moves the Date header and every time of day in the body by so many seconds.
    """

    status: int | None = None
    code: int | str | None = None
    message: str = "injected fault"
    delay: float = 0.0
    reset: str | None = None
    applied: bool = False
    truncate: float | None = None
    retry_after: int | None = None
    silence: float = 0.0
    stale: float = 0.0
    kill: bool = False
    skew: float = 0.0

    @property
    def prevents(self) -> bool:
        """Tell whether the call has no effect."""
        instead = self.status is not None or self.silence > 0 or self.kill
        return self.reset == "before" or (instead and not self.applied)

    @property
    def cuts(self) -> bool:
        """Tell whether nothing is answered."""
        return self.reset is not None or self.silence > 0 or self.kill

    def check(self) -> None:
        """Raise ValueError for what can't happen."""
        if self.reset not in {None, "before", "after"}:
            message = f'reset is "before" or "after", not {self.reset!r}'
            raise ValueError(message)
        if self.truncate is not None and (self.truncate is True or not 0 <= self.truncate < 1):
            message = f"truncate is a share of the body from 0 to below 1, not {self.truncate!r}"
            raise ValueError(message)


@dataclass
class Fault:
    """Which calls are broken: by provider, method ("" is any) and a regular expression found in the path.

    `after` that many matches go well, the next `times` (None: all) do not. `seen` counts matches, `struck` those that
    something happened to.
    """

    provider: str
    method: str
    path: re.Pattern[str]
    after: int
    times: int | None
    action: Action
    seen: int = 0
    struck: int = 0

    @classmethod
    def read(cls, given: dict[str, Any]) -> Fault:
        """Read a fault as it is posted. ValueError or KeyError says what is wrong with it."""
        unknown = given.keys() - _KEYS or given["do"].keys() - {known.name for known in fields(Action)}
        if unknown:
            message = f"unknown keys: {', '.join(sorted(unknown))}"
            raise ValueError(message)
        action = Action(**given["do"])
        action.check()
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

    def told(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {**asdict(self), "path": self.path.pattern}


@dataclass
class Faults:
    """The faults in force, oldest first; the first that hits decides."""

    active: list[Fault] = field(default_factory=list)

    def strike(self, provider: str, method: str, path: str) -> Fault | None:
        """Return the fault of this call, or None."""
        struck = [fault for fault in self.active if fault.hits(provider, method, path)]
        return struck[0] if struck else None
