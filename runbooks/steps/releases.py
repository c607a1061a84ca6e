"""What is known of releases: which were proven good, which were rolled back from. Evidence, kept in the ops home.

One line of JSON a fact in `releases.jsonl`, only ever appended: the last lines tell what a rollback may go back to.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Sight, Step, Yes
from runbooks.steps.lines import add_line, read_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.engine.record.home import Home

LEDGER: Final = "releases.jsonl"
APPEND_ONLY: Final = "the ledger is only appended to: a later line overrules it"

Service: TypeAlias = Literal["api", "web", "dns"]


class Standing(StrEnum):
    """What a line says of a version."""

    VERIFIED = "verified"
    QUARANTINED = "quarantined"
    RELEASED = "released"
    """The pin is gone: the next deploy may send traffic elsewhere."""


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One fact. `at` is RFC 3339 UTC; `to` is where a rollback sends the traffic, `needs` the migration of a version.

    `run` is the run that noted it, `request` the act by which it did: a line whose answer was lost is found by it.
    """

    service: Service
    version: str
    standing: Standing
    at: str
    run: str
    to: str = ""
    needs: str = ""
    request: str = ""
    proof: dict[str, Any] = {}


class Releases(msgspec.Struct, frozen=True):
    """What the ledger says of one service. `verified` is oldest first, each version once, at its latest proof."""

    verified: tuple[str, ...]
    quarantined: tuple[str, ...]
    quarantined_by: dict[str, str]
    """The run that quarantined each of those, at last."""
    rolled_back_to: str | None
    """The version that the latest rollback chose, until another one is verified or the pin is taken away."""
    proofs: dict[str, dict[str, Any]] = {}
    """What was seen when a version was last verified, by proof."""
    needs: dict[str, str] = {}
    """Which migration a version needs, where whoever deployed it has said so."""

    @property
    def good(self) -> tuple[str, ...]:
        """Return what a rollback may go back to by itself, oldest first: proven, and never rolled back from."""
        return tuple(version for version in self.verified if version not in self.quarantined)


def read_releases(home: Home, service: str) -> Releases:
    """Fold the ledger of one service. A line cut off by a crash is no fact.

    Raises Refused for any other damage, Unreachable where the ops home doesn't answer.
    """
    verified: dict[str, None] = {}
    quarantined: dict[str, str] = {}
    rolled_back_to: str | None = None
    proofs: dict[str, dict[str, Any]] = {}
    needs: dict[str, str] = {}
    for line in _lines(home):
        if line.service != service:
            continue
        if line.needs:
            needs[line.version] = line.needs
        if line.standing is Standing.VERIFIED:
            verified.pop(line.version, None)
            verified[line.version] = None
            proofs[line.version] = line.proof
            rolled_back_to = rolled_back_to if line.version == rolled_back_to else None
        elif line.standing is Standing.QUARANTINED:
            quarantined[line.version] = line.run
            rolled_back_to = line.to
        else:
            rolled_back_to = None
    return Releases(tuple(verified), tuple(quarantined), quarantined, rolled_back_to, proofs, needs)


def sent_to(home: Home, service: Service, moment: datetime) -> str:
    """Return the version that the ledger knows to have been live at a moment: verified, or rolled back to; else ""."""
    told = [one for one in _lines(home) if one.service == service and datetime.fromisoformat(one.at) <= moment]
    live = [one.to or one.version for one in told if one.standing is not Standing.RELEASED]
    return live[-1] if live else ""


def record_verified(
    home: Home,
    service: Service,
    *,
    version: Callable[[Sight], str],
    proofs: tuple[str, ...],
    clock: Callable[[], datetime],
    name: str = "record",
    needs: str = "",
    code_of: str = "",
) -> Step:
    """Return the step that notes a version as verified good, with what the steps `proofs` saw as its evidence.

    It `needs` that migration, or the one of the version that it has its code from (`code_of`).
    """

    def so(releases: Releases, sight: Sight) -> bool:
        return releases.verified[-1:] == (version(sight),)

    def line(sight: Sight) -> Line:
        proof = {step: sight.results.get(step) for step in proofs}
        needed = needs or read_releases(home, service).needs.get(code_of, "")
        return Line(service, version(sight), Standing.VERIFIED, _now(clock), sight.run, needs=needed, proof=proof)

    return _note(home, service, so, line, name=name, title=f"record the {service} release as verified good")


def quarantine(
    home: Home,
    service: Service,
    *,
    version: str | Callable[[Sight], str],
    to: str | Callable[[Sight], str],
    clock: Callable[[], datetime],
    name: str = "quarantine",
) -> Step:
    """Return the step that notes that `version` is rolled back from, in favour of `to`: it is no target any more."""

    def bad(sight: Sight) -> str:
        return version if isinstance(version, str) else version(sight)

    def favoured(sight: Sight) -> str:
        return to if isinstance(to, str) else to(sight)

    def so(releases: Releases, sight: Sight) -> bool:
        return bad(sight) in releases.quarantined and releases.rolled_back_to == favoured(sight)

    def line(sight: Sight) -> Line:
        return Line(service, bad(sight), Standing.QUARANTINED, _now(clock), sight.run, to=favoured(sight))

    which = f"{service} release {version[:8]}" if isinstance(version, str) else f"the new {service} release"
    return _note(home, service, so, line, name=name, title=f"quarantine {which}")


def note_unpinned(
    home: Home, service: Service, *, version: str, clock: Callable[[], datetime], name: str = "note"
) -> Step:
    """Return the step that notes that the pin on `version` is gone: the rollback to it is over."""

    def so(releases: Releases, _sight: Sight) -> bool:
        return releases.rolled_back_to is None

    def line(sight: Sight) -> Line:
        return Line(service, version, Standing.RELEASED, _now(clock), sight.run)

    return _note(home, service, so, line, name=name, title=f"note that the {service} pin on {version[:8]} is gone")


def _note(
    home: Home,
    service: Service,
    so: Callable[[Releases, Sight], bool],
    line: Callable[[Sight], Line],
    *,
    name: str,
    title: str,
) -> Step:
    """Return a step that appends one line unless the ledger says so already."""

    def holds(sight: Sight) -> Held:
        ours = bool(sight.request) and any(line.request == sight.request for line in _lines(home))
        if ours or so(read_releases(home, service), sight):
            return Yes({"ledger": LEDGER})
        return No({}, f"{LEDGER} doesn't say so yet")

    def act(sight: Sight) -> Json:
        noted = msgspec.structs.replace(line(sight), request=sight.request)
        add_line(home, LEDGER, noted)
        return {"version": noted.version, "standing": noted.standing, "at": noted.at}

    return Step(
        name=name, title=title, effect=Effect.WRITE, holds=holds, act=act, undo=NoUndo(APPEND_ONLY), expect=0.01
    )


def _lines(home: Home) -> list[Line]:
    return read_lines(home, LEDGER, Line, "a release's standing")


def _now(clock: Callable[[], datetime]) -> str:
    return clock().isoformat()
