"""What a way back to a point provides, and which one is taken: the first that can, with its reason.

To add one: a module beside this one with a class like `Pitr`, its facts added to `Reached`, and a line in the book.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - msgspec reads it from the annotations
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import msgspec

from runbooks.clients.cloudflare import Origin  # noqa: TC001 - msgspec reads it from the annotations
from runbooks.model.errors import OpsError, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from runbooks.engine.step import Sight, Step
    from runbooks.steps.database.present import Present
    from runbooks.steps.hazards.plan import Holding

STRATEGIES: Final = ("auto", "pitr", "dump", "archive")


class ByPitr(msgspec.Struct, frozen=True, tag="pitr"):
    """The provider recovers the whole project in place, to the second."""

    at: datetime


class ByDump(msgspec.Struct, frozen=True, tag="dump"):
    """An own backup is loaded beside the present and takes its place. `at` is when it was made.

    `fresh` is the database that it is loaded into, `former` what the present one is called afterwards; None where it
    keeps its name, because sessions that we cannot end are in it. `moves_from` is what Hyperdrive connects to now, None
    where it stays as it is. `pins`: the stack file must name the new one, or the program would send the API back.
    `passed_over` names newer backups that are not good, and why.
    """

    at: datetime
    backup: str
    current: str
    fresh: str
    former: str | None
    origin: Origin
    moves_from: Origin | None
    proven: datetime | None
    passed_over: tuple[str, ...]
    rows: dict[str, int]
    pins: bool = False


class ByArchive(msgspec.Struct, frozen=True, tag="archive"):
    """A base backup of a server of our own, and its archived WAL up to the last transaction before `at`.

    `timeline` is the base's, `server_timeline` that of the server, None where it does not answer. With `waits` the
    WAL of the point must be archived first. `last` is when the last transaction ended that is known to be kept.
    `ending` names the folder of the recovery. `passed_over` names newer bases that do not reach the point, and why.
    `lost`: the server's data folder is not there any more.
    """

    at: datetime
    base: str
    timeline: int
    server_timeline: int | None
    waits: bool
    last: datetime | None
    bytes: int
    segments: int
    ending: str
    passed_over: tuple[str, ...]
    lost: bool = False


Reached: TypeAlias = ByPitr | ByDump | ByArchive


@dataclass(frozen=True)
class Around:
    """What the book says of itself: after a proof that failed, and of the way back from a present that was given up.

    `after_failure` gives the command to type then, and the one that serves nevertheless; `noted` is where the present's
    definitions were noted. `holding` holds back what a recovery brings to life: each strategy says in which database.
    `still` is what proves, where that is needed, that nobody has got in meanwhile: each strategy says when.
    """

    after_failure: Callable[[Sight], tuple[str, str]]
    way_back: str
    noted: Path | None
    holding: Holding
    still: tuple[Step, ...] = ()


class Strategy(Protocol):
    """One way back. Everything but its steps only reads; an error of `reach` says why this way cannot be taken."""

    @property
    def name(self) -> str:
        """Return the word by which it is asked for."""

    @property
    def copies_present(self) -> bool:
        """Tell whether the present is given up, so that it must be copied before."""

    @property
    def program(self) -> str:
        """Return the program for the database that must be on this machine, nothing where it needs none."""

    def exists(self) -> str:
        """Return in one line what there is to go back to this way: what a refusal lists."""

    def reach(self) -> tuple[Reached, str]:
        """Return what it would take the database back to, and why it can. Raises Refused when it cannot."""

    def losses(self, reached: Reached, present: Present | None) -> tuple[str, ...]:
        """Return what is lost, a line each."""

    def before(self, reached: Reached, present: Present | None, around: Around) -> tuple[Step, ...]:
        """Return the steps before anything is stopped."""

    def recovering(self, reached: Reached, present: Present | None, around: Around) -> tuple[Step, ...]:
        """Return the steps between the stop and the restart, their proof included."""

    def keeps(self, reached: Reached, copied: str) -> str:
        """Return what stays of the present; `copied` is what is said of its copy."""

    def afterwards(self, reached: Reached) -> str | None:
        """Return the command that is still to be typed when all was done, None where there is none."""


def choose(asked: str, ways: Sequence[Strategy], *, project: str, retry: str) -> tuple[Strategy, Reached, str]:
    """Return the way that was asked for, or the first that can, what it reaches, and the reason.

    Raises Refused naming what exists. `retry` is the command without its strategy.
    """
    if asked not in STRATEGIES:
        message = f"--strategy={asked}: expected one of {', '.join(STRATEGIES)}."
        raise Refused(message, next_command=retry)
    if asked != "auto":
        return _asked(asked, ways, retry=retry)
    reasons: list[tuple[Strategy, Refused]] = []
    for way in ways:
        try:
            reached, why = way.reach()
        except Refused as error:
            reasons.append((way, error))
            continue
        instead = "".join(f"; {other.name} cannot: {error}" for other, error in reasons)
        return way, reached, why + instead.rstrip(".")
    if len(reasons) == 1 or all(str(error) == str(reasons[0][1]) for _, error in reasons):
        raise reasons[0][1]
    said = "".join(f"\n{way.name}: {error}" for way, error in reasons)
    first = next((error for _, error in reasons if error.next_command), None)
    dashboard = f"open https://supabase.com/dashboard/project/{project}"
    message = f"Nothing here can reach that point.{said}\nWhat exists: {_exists(ways)}."
    raise Refused(message, next_command=(first.next_command if first else None) or dashboard)


def _asked(asked: str, ways: Sequence[Strategy], *, retry: str) -> tuple[Strategy, Reached, str]:
    way = next((way for way in ways if way.name == asked), None)
    if way is None:
        why = " (database.archive is not declared)" if asked == "archive" else ""
        message = f"--strategy={asked}: not available for this project yet{why}. What exists: {_exists(ways)}."
        raise Refused(message, next_command=f"{retry} --strategy={ways[0].name}")
    try:
        reached, why = way.reach()
    except Refused as error:
        error.next_command = error.next_command or f"{retry} --dry-run"  # whether another way can, is seen by that
        raise
    return way, reached, f"as asked; {why}"


def _exists(ways: Sequence[Strategy]) -> str:
    """Return what each way has; one that cannot be asked has nothing to say."""
    said = []
    for way in ways:
        try:
            said.append(way.exists())
        except OpsError as error:
            said.append(f"{way.name}: not known, {error}")
    return "; ".join(said)
