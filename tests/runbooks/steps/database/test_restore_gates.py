"""What a restore asks before it begins: is there a way, which release comes back, what did an earlier run leave."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import pytest

from runbooks.engine.record.folder import Folder
from runbooks.engine.step import Book, Effect, No, NoUndo, Sight, Step, Yes
from runbooks.model.errors import Refused
from runbooks.steps.cloudflare.maintenance import edge_is_stopped, serving_release
from runbooks.steps.journals import first_change, left_stopped

if TYPE_CHECKING:
    from pathlib import Path

    from tests.runbooks.desk import Desk
    from tests.runbooks.stand_in import StandIn

Answer: TypeAlias = tuple[int, dict[str, str], Any]


def test_the_release_that_served_is_found_behind_a_stop(desk: Desk, stand_in: StandIn) -> None:
    """A maintenance version in front is no release to go back to; nothing but it is None."""
    cloudflare = desk.cloudflare
    assert serving_release(cloudflare, "api") is None
    stopped = stand_in.upload(message="maintenance")
    stand_in.deploy(stopped)
    assert serving_release(cloudflare, "api") is None
    app = stand_in.upload()
    stand_in.deploy(app)
    assert serving_release(cloudflare, "api") == app
    stand_in.deploy(stopped)
    assert serving_release(cloudflare, "api") == app


def test_stopped_is_what_users_see(desk: Desk, stand_in: StandIn) -> None:
    """503 from exactly the maintenance version counts; 200, another 503 and another version do not."""
    step = edge_is_stopped(desk.edge, "api.example.com", "/api/health", version="m1", name="see it stopped")
    good: Answer = (503, {}, {"status": "maintenance", "version": "m1"})
    wrong: tuple[Answer, ...] = (
        (200, {}, {"status": "ok"}),
        (503, {}, b"<html>"),
        (503, {}, {"status": "maintenance", "version": "m0"}),
    )
    for bad in wrong:
        stand_in.next.append(bad)
        assert isinstance(step.holds(Sight()), No)
    stand_in.next.extend([good, good, (200, {}, {})])
    assert isinstance(step.holds(Sight()), No)
    stand_in.next.extend([good] * 3)
    assert isinstance(step.holds(Sight()), Yes)


class Left(msgspec.Struct, frozen=True):
    """Facts of a toy book."""

    live: str


class Other(msgspec.Struct, frozen=True):
    """Facts of another shape."""

    target: int


def a_book(*, works: bool) -> Book[Left]:
    """Return a book named restore with one step, which may not work."""
    done: list[bool] = []

    def act(_sight: Sight) -> None:
        if not works:
            message = "broken"
            raise Refused(message)
        done.append(True)

    step = Step(
        name="change",
        title="change something",
        effect=Effect.WRITE,
        holds=lambda _: Yes({}) if done else No({}, "not yet"),
        act=act,
        undo=NoUndo("a toy"),
    )
    return Book(name="restore", facts_type=Left, gather=lambda: Left("4f1c"), steps=lambda _: (step,), summary=str)


def test_what_a_broken_run_left_is_known_until_one_ends_well(desk: Desk, tmp_path: Path) -> None:
    """Facts of the newest run count while it did not end well; a good run, another stack or shape count nothing."""
    home = Folder(desk.settings.home)
    assert left_stopped(home, "restore", "twin", Left) is None
    desk.run(a_book(works=False))
    assert left_stopped(home, "restore", "twin", Left) == Left("4f1c")
    assert left_stopped(home, "restore", "prod", Left) is None
    assert left_stopped(home, "restore", "twin", Other) is None
    desk.run(a_book(works=True))
    assert left_stopped(home, "restore", "twin", Left) is None
    assert left_stopped(Folder(tmp_path / "nowhere"), "restore", "twin", Left) is None


def test_the_moment_before_a_run_is_that_of_its_first_change(desk: Desk) -> None:
    """`before:<run>` is when its first change began; a run that is not there or changed nothing has none."""
    before = datetime.now(UTC)
    done = desk.run(a_book(works=True))
    assert before <= first_change(Folder(desk.settings.home), done.run) <= datetime.now(UTC)
    with pytest.raises(Refused, match="before:never: there is no run of that id") as raised:
        first_change(Folder(desk.settings.home), "never")
    assert raised.value.next_command == "invoke runs"
    so = a_book(works=True)
    so.steps(Left("x"))[0].act(Sight())
    nothing = desk.run(so)
    with pytest.raises(Refused, match="that run changed nothing"):
        first_change(Folder(desk.settings.home), nothing.run)
