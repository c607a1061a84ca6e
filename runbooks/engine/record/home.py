"""Where operations are remembered: named bytes and named logs, in a folder or in an object store."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

JOURNAL: Final = "journal.jsonl"
RUNS: Final = "runs"
SIGNATURES: Final = "signatures"

NATO: Final = (
    *("alfa", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett", "kilo", "lima"),
    *("mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey"),
    *("xray", "yankee", "zulu"),
)


class Log(Protocol):
    """The open end of one log: whole lines are added, nothing is ever changed."""

    def append(self, line: bytes, *, durable: bool) -> None:
        """Add one whole line or nothing; when `durable`, return only once it is on disk. Raises OSError."""

    def close(self) -> None:
        """Let go of it."""


class Home(Protocol):
    """What is needed of a place. A name is a relative path with slashes: `leases/prod/00000007.json`.

    Every method but `where` raises OSError when the place cannot be reached or written.
    """

    def where(self, name: str) -> str:
        """Return where a name lies, as the operator would look it up."""

    def names(self, folder: str) -> list[str]:
        """Return what lies directly in a folder, sorted; nothing when there is no such folder."""

    def exists(self, name: str) -> bool:
        """Say whether there is anything by this name."""

    def get(self, name: str) -> bytes | None:
        """Return the content; None when there is none."""

    def put_new(self, name: str, content: bytes) -> bool:
        """Write it whole and lasting unless there is one; say whether it was us: of many callers exactly one wins."""

    def replace(self, name: str, content: bytes) -> None:
        """Write it whole over what is there."""

    def claim_log(self, name: str) -> bool:
        """Make an empty log; say False when there is one already."""

    def abandon_log(self, name: str) -> None:
        """Take away a log that nothing was written to."""

    def read_log(self, name: str) -> bytes:
        """Return all lines as one text; nothing when there is no such log."""

    def open_log(self, name: str, *, size: int) -> Log:
        """Open the end after the first `size` bytes, without what follows (a torn line); it is made if need be."""


def journal_of(run: str) -> str:
    """Return the name of a run's journal."""
    return f"{RUNS}/{run}/{JOURNAL}"


def signatures_of(run: str) -> str:
    """Return the folder of the signatures of a run's journal."""
    return f"{RUNS}/{run}/{SIGNATURES}"


def run_ids(now: datetime) -> Iterator[str]:
    """Yield ids for a run that begins now: they sort by time and can be spoken over a phone.

    The word goes by the second (26 words a minute), the digit counts; `2026-11-23-2114-tango-7`, time in UTC.
    """
    moment = now.astimezone(UTC)
    first = moment.second * len(NATO) // 60
    for word in NATO[first:]:
        for digit in range(1, 10):
            yield f"{moment:%Y-%m-%d-%H%M}-{word}-{digit}"
    yield from (f"{moment:%Y-%m-%d-%H%M}-zulu-{number}" for number in count(10))
