"""Pins in the stack file: nothing else moves."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from runbooks.clients.cloudflare import Origin
from runbooks.engine.step import No, NoUndo, Sight, Yes
from runbooks.model.errors import ActError, Refused
from runbooks.model.settings import read_stack
from runbooks.steps.pins import pin_database, pin_release, read_pins, refuse_unwritable, unpin_release, write_pins
from tests.runbooks.engine.test_disk import files_of_at_most

if TYPE_CHECKING:
    from pathlib import Path

    from runbooks.engine.step import Step

VERSION = "4f1c2b6e-0000-4000-8000-000000000001"


@pytest.fixture
def stack_file(root: Path, tmp_path: Path) -> Path:
    """Give a copy of the twin's stack file, comments and all."""
    file = tmp_path / "Pulumi.twin.yaml"
    file.write_bytes((root / "Pulumi.twin.yaml").read_bytes())
    return file


def _clock() -> datetime:
    return datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def test_a_pin_changes_one_line(stack_file: Path) -> None:
    """Pinning changes the pins' own value and no other byte of the file, the comment behind it included."""
    before = stack_file.read_text("utf-8").splitlines()
    step = pin_release(stack_file, "api", version=VERSION, reason="throws on “bookings”: «été»", clock=_clock)
    assert isinstance(step.holds(Sight()), No)
    step.act(Sight(run="2026-11-23-1000-alfa-1"))
    after = stack_file.read_text("utf-8").splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1
    assert "}} # written by `invoke rollback`, removed by `invoke rollback --unpin`" in changed[0][1]
    assert isinstance(step.holds(Sight()), Yes)
    pin = read_pins(stack_file)["api"]
    assert (pin.version, pin.since, pin.run) == (VERSION, "2026-11-23T10:00:00+00:00", "2026-11-23-1000-alfa-1")
    assert pin.reason == "throws on “bookings”: «été»"


def test_pin_then_unpin_gives_the_same_file(stack_file: Path) -> None:
    """Taking the pin away leaves the file as it was, to the byte."""
    before = stack_file.read_bytes()
    pin_release(stack_file, "api", version=VERSION, reason="r", clock=_clock).act(Sight())
    step = unpin_release(stack_file, "api")
    assert isinstance(step.holds(Sight()), No)
    step.act(Sight())
    assert stack_file.read_bytes() == before
    assert isinstance(step.holds(Sight()), Yes)


def test_undo_restores_the_pin_that_was_seen(stack_file: Path) -> None:
    """The undo of a pin is the pin of before."""
    pin_release(stack_file, "api", version="older", reason="r", clock=_clock).act(Sight(run="r1"))
    step = pin_release(stack_file, "api", version=VERSION, reason="r", clock=_clock)
    before = step.holds(Sight())
    step.act(Sight(run="r2"))
    assert callable(step.undo)
    step.undo(Sight(before=before.evidence))
    assert read_pins(stack_file)["api"].version == "older"


def test_a_database_is_pinned_with_its_server(stack_file: Path) -> None:
    """Another server of the same name is another database; the undo gives the pin of before, or says why it cannot."""
    first, second = (Origin(host, 5432, "app_1", "owner") for host in ("one.example", "two.example"))
    notes: list[str] = []

    def pinning(origin: Origin, stays: str = "") -> Step:
        return pin_database(stack_file, origin, reason="moved", stays=stays, clock=_clock, name="pin the database")

    pinning(first).act(Sight(run="r1", note=notes.append))
    assert notes == ["commit Pulumi.twin.yaml: whoever deploys needs its pin"]
    assert isinstance(pinning(first).holds(Sight()), Yes)
    step = pinning(second)
    before = step.holds(Sight())
    assert isinstance(before, No)
    got = "got app_1 owner@one.example:5432"
    assert before.why == f"Pulumi.twin.yaml, ems-ops:pins.database: expected app_1 owner@two.example:5432, {got}"
    step.act(Sight(run="r2"))
    assert read_pins(stack_file)["database"].address == "postgresql://owner:…@two.example:5432/app_1"
    assert callable(step.undo)
    step.undo(Sight(before=before.evidence))
    assert read_pins(stack_file)["database"].run == "r1"
    assert pinning(second, "it stays").undo == NoUndo("it stays")


@pytest.mark.parametrize(
    "written",
    [
        "ems-ops:pins: {}",
        "ems-ops:pins: {} # a comment",
        "ems-ops:pins:\n    api:\n      version: a\n      since: b # when\n      reason: c\n      run: d\n  # more",
        'ems-ops:pins: {api: {version: a, since: b, reason: "x: #y", run: d}}   # z',
    ],
)
def test_any_way_of_writing_pins_is_understood(stack_file: Path, written: str) -> None:
    """Pins in flow or block style, with comments around: replaced in place, everything else stays."""
    text = stack_file.read_text("utf-8")
    head, _, tail = text.partition("ems-ops:pins:")
    rest = tail.partition("\n")[2]
    stack_file.write_text(f"{head}{written}\n{rest}", "utf-8")
    write_pins(stack_file, {})
    result = stack_file.read_text("utf-8")
    assert result.startswith(head)
    assert read_stack(stack_file).pins == {}
    for comment in ("# a comment", "# more", "# z"):
        assert (comment in written) == (comment in result)


def test_a_disk_that_is_full_leaves_the_file_as_it_was(stack_file: Path) -> None:
    """What cannot be written is said with where; neither the file nor its folder has changed."""
    before = stack_file.read_bytes()
    with files_of_at_most(len(before) // 2), pytest.raises(ActError) as failed:
        write_pins(stack_file, {})
    assert str(failed.value) == f"{stack_file}: the pins could not be written: File too large. It is as it was."
    assert failed.value.next_command == f"ls -ld {stack_file.parent}"
    assert stack_file.read_bytes() == before
    assert [path.name for path in stack_file.parent.iterdir()] == [stack_file.name]


def test_a_folder_that_cannot_be_written_is_refused_beforehand(stack_file: Path, tmp_path: Path) -> None:
    """A restore that would pin is told so while users are still served."""
    refuse_unwritable(stack_file)
    gone = tmp_path / "gone" / "Pulumi.twin.yaml"
    with pytest.raises(Refused) as refused:
        refuse_unwritable(gone)
    assert str(refused.value).endswith(f"{gone.parent} cannot be written. Nothing was begun.")


def test_no_draft_is_left_and_the_mode_stays(stack_file: Path) -> None:
    """The file is replaced whole: no other file stays behind, permissions are those of before."""
    stack_file.chmod(0o640)
    write_pins(stack_file, {})
    assert os.listdir(stack_file.parent) == [stack_file.name]  # noqa: PTH208 - names only
    assert stack_file.stat().st_mode & 0o777 == 0o640
