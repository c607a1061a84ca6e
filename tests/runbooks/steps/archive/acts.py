"""The acts on a server of our own, each ready to be done once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from benchmarks.databases.selfhosted import ROOT, SelfHosted
from runbooks.engine.step import Sight, Step, Yes
from runbooks.steps.archive.own import Own
from runbooks.steps.archive.places import drop_folder, exchange_folders, start_server, stop_server
from runbooks.steps.archive.recovering import (
    WHOLE,
    Recovery,
    end_the_recovery,
    find_whole,
    let_the_wal_arrive,
    recover_beside,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


def own_of(server: SelfHosted) -> Own:
    """Return a server as the steps know it."""
    return Own(server.told, ROOT, dict(os.environ), server.door)


def recovery_to(server: SelfHosted, point: datetime, *, base: str = "first", ending: str = "x") -> Recovery:
    """Return a recovery of it to a point."""
    timeline = int(server.run("select timeline_id from pg_control_checkpoint()")[0][0])
    return Recovery(own_of(server), base, point, timeline, ending)


def sight_of(recovery: Recovery) -> Sight:
    """Return what the steps after the proof of base and WAL may look at."""
    held = find_whole(recovery).holds(Sight())
    assert isinstance(held, Yes)
    return Sight(results={WHOLE: dict(held.evidence)}, run="r")


class Acts:
    """A server of our own with a base, a point, and a transaction after it in the archive."""

    def __init__(self, server: SelfHosted) -> None:
        self.server = server
        self.own = own_of(server)
        if not server.bases.joinpath("first").exists():
            server.base("first")
            server.run("create table lost (id int)")
        server.archive()
        self.recovery = recovery_to(server, server.at())

    def arrived(self) -> Step:
        """Return what lets the WAL of a point arrive."""
        return let_the_wal_arrive(self.recovery, name="identify")

    def recovered(self) -> Step:
        """Return what recovers a copy, without the proof before it."""
        self.server.archive()
        step, sight = recover_beside(self.recovery, name="recover"), sight_of(self.recovery)
        self.recovery.work.remove()
        return Step(
            name=step.name, title=step.title, effect=step.effect, holds=step.holds, act=lambda _: step.act(sight),
            undo=step.undo,
        )  # fmt: skip

    def ended(self) -> Step:
        """Return what makes a recovered copy a server of its own."""
        self.recovered().act(Sight())
        return end_the_recovery(self.recovery, name="prepare")

    def stopped(self) -> Step:
        """Return what stops the server."""
        return stop_server(self.own, name="stop")

    def exchanged(self) -> Step:
        """Return what exchanges the folders of a server that is stopped."""
        self.ended().act(Sight())
        self.stopped().act(Sight())
        return exchange_folders(self.own, self.recovery.work, name="exchange")

    def started(self) -> Step:
        """Return what starts the server on the recovered folder."""
        self.exchanged().act(Sight())
        return start_server(self.own, self.recovery.work, name="start")

    def dropped(self) -> Step:
        """Return what removes a copy that was never used."""
        self.recovered().act(Sight())
        self.recovery.copy.stop()
        return drop_folder(self.own, self.recovery.work, what="a copy", name="drop")


MAKERS: Final[dict[str, Callable[[Acts], Step]]] = {
    "recovering.let_the_wal_arrive": Acts.arrived,
    "recovering.recover_beside": Acts.recovered,
    "recovering.end_the_recovery": Acts.ended,
    "places.stop_server": Acts.stopped,
    "places.exchange_folders": Acts.exchanged,
    "places.start_server": Acts.started,
    "places.drop_folder": Acts.dropped,
}
