"""What the control planes and the engines of the twin tell each other: plain data, no behaviour of its own.

The Cloudflare store answers the edge's questions (`Routing`); the engines act on what the control planes decide.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path


class UnableError(Exception):
    """What cannot be done and why, in one sentence for the person who started the twin."""


@dataclass(frozen=True)
class Module:
    """One module of a Worker version: `kind` is its content type on the wire."""

    name: str
    kind: str
    body: bytes


@dataclass(frozen=True)
class Runnable:
    """A Worker version with everything resolved that workerd needs.

    `bindings` are the provider's binding objects; secrets carry their `text`, a hyperdrive binding carries `origin`
    (scheme, host, port, database, user, password) beside its `id`. `classes` are its Durable Objects: name, id of
    what they keep, whether they have SQL.
    """

    script: str
    version: str
    main_module: str
    modules: tuple[Module, ...]
    bindings: tuple[dict[str, Any], ...]
    compatibility_date: str
    compatibility_flags: tuple[str, ...]
    classes: tuple[tuple[str, str, bool], ...] = ()
    tag: str = ""
    created_on: str = ""


@dataclass(frozen=True)
class WorkerTarget:
    """A host name or route that a Worker serves: version ids with their percentages, 100 in all."""

    script: str
    split: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class SiteTarget:
    """A host name that a Pages deployment serves."""

    project: str
    deployment: str
    host: str = field(default="", compare=False)


@dataclass(frozen=True)
class Asset:
    """What a Pages deployment answers: status, headers, body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True)
class Rules:
    """What guards a zone: the rules of each phase as the API keeps them, and whether its cache is left out.

    They are other than before only when `revision` is.
    """

    zone: str
    revision: int
    phases: dict[str, list[dict[str, Any]]]
    development: bool = False


class UnrunnableError(Exception):
    """A version cannot be started: raised by `Engines.switch`, its text is the runtime's. The API answers 10021."""


@dataclass(slots=True)
class Handled:
    """One request or cron event as the twin itself saw it; what the Worker did inside comes from the runtime.

    `key` is what both have in common: the ray, or version, expression and time of a cron event. `at` is a Unix time,
    spans are in seconds, `size` is the answer's body in bytes. `site`: files answered, no code ran. `public` is False
    for what another Worker sent.
    """

    key: str
    at: float
    outcome: str
    service: str = ""
    version: str = ""
    site: bool = False
    public: bool = True
    wall: float = 0.0
    cpu: float = 0.0
    first: float = 0.0
    method: str = ""
    host: str = ""
    path: str = ""
    status: int = 0
    size: int = 0
    content: str = ""
    visitor: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    cron: str = ""


class Traffic(Protocol):
    """Where the edge and cron say what flowed, and the runtime what it did. Returns at once, writes later."""

    def handled(self, one: Handled) -> None:
        """Take what the twin saw."""

    def ran(self, version: str, event: dict[str, Any]) -> None:
        """Take an event of the tail worker (`workerd/tail.js`)."""


class Routing(Protocol):
    """What the edge, DNS and cron ask the Cloudflare store. All answers come from memory, none waits."""

    def target(self, host: str, path: str) -> WorkerTarget | SiteTarget | None:
        """Return who serves this host and path, or None: the most specific route, then custom domain, then Pages."""

    def rules(self, host: str) -> Rules | None:
        """Return what guards the zone that this host lies in, None when it lies in none."""

    def live(self, script: str) -> tuple[tuple[str, float], ...]:
        """Return version ids and percentages of the script's newest deployment; empty when it has none."""

    def runnable(self, script: str, version: str) -> Runnable:
        """Return the version with bindings resolved. KeyError when there is none."""

    def asset(self, site: SiteTarget, path: str) -> Asset:
        """Return the file (or redirect, or 404) of a deployment, headers of `_headers` included."""

    def static(self, script: str, version: str, path: str, *, host: str, navigates: bool, bound: bool) -> Asset | None:
        """Return what a Worker's static assets answer to a path with its query, None: its code answers.

        `navigates`: a browser asks for a page; `bound`: the Worker itself asks, through its binding.
        """

    def crons(self) -> tuple[tuple[str, str], ...]:
        """Return (script, cron expression) of every schedule."""

    def records(self) -> tuple[dict[str, Any], ...]:
        """Return every DNS record of every zone as the API shows it, proxied hosts and custom domains included."""


@dataclass
class Engines:
    """The real programs behind the control planes, as callables: what the API handlers may ask for.

    `switch` makes sure that the versions a script's live deployment names are running, before it answers.
    `prove` starts a version (script, id) without traffic and returns the milliseconds that took.
    `recover` starts a point-in-time recovery of the database to a Unix second and returns at once; `database_state`
    says how far it is: "running", "recovering", "failed: <text>", "stopped".
    `interrupt` stops the database, `resume` starts it on the data it has; `empty` takes the customer's schemas away.
    `purge` forgets what the edge keeps of a zone, by its name and what was asked, and says how many answers that were.
    `restrict` sets the addresses (CIDR) that may connect to the database; it cuts connections of all others.
    """

    switch: Callable[[str], Awaitable[None]]
    recover: Callable[[int], Awaitable[None]]
    interrupt: Callable[[], Awaitable[None]]
    resume: Callable[[], Awaitable[None]]
    empty: Callable[[], Awaitable[None]]
    database_state: Callable[[], str]
    restrict: Callable[[tuple[str, ...]], Awaitable[None]]
    earliest_point: Callable[[], float | None]
    latest_point: Callable[[], float | None]
    fire_cron: Callable[[str, str], Awaitable[None]]
    prove: Callable[[str, str], Awaitable[float]]
    purge: Callable[[str, dict[str, Any]], int]
    database_url: str = ""


@dataclass
class Home:
    """Where the twin keeps what it must remember, and what its clients must know.

    `account` is 32 hex digits, `zone` a domain name, `project` a Supabase reference of 20 letters.
    """

    state: Path
    account: str = ""
    zone: str = ""
    project: str = ""
    addresses: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
