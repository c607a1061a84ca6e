"""What past runs say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runbooks.engine.history import merged, past, usual_seconds
from runbooks.engine.record.entry import Entry, Kind, read
from runbooks.engine.record.folder import Folder
from runbooks.engine.record.home import RUNS, journal_of
from runbooks.engine.runner import Status
from runbooks.model.errors import ActRefused
from tests.runbooks.engine.toys import AGREED, World, book, marks, runner, step

if TYPE_CHECKING:
    from runbooks.engine.step import Json, Sight


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a world in which nothing is so yet."""
    return World(tmp_path / "world")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give the place of an ops home that is not there yet."""
    return tmp_path / "home"


def held(home: Path, run: str) -> list[Entry]:
    """Return the entries that say that a step was done and proven."""
    return [entry for entry in read(home / "runs" / run) if entry.kind is Kind.HELD]


def test_results_are_evidence_over_answer() -> None:
    """What a proof saw is newer than what the act answered; an answer that is no object keeps a name of its own."""
    assert merged(None, {"a": 1}) == {"a": 1}
    assert merged({"a": 0, "b": 2}, {"a": 1}) == {"a": 1, "b": 2}
    assert merged([1], {}) == {"answer": [1]}


def test_notes_of_a_step_change_nothing(home: Path, world: World) -> None:
    """Entries that say nothing about how a step ended leave it as it was."""
    entries = read(home / "runs" / runner(home).run(marks(world, "a"), arguments={}, consent=AGREED).run)
    noted = type(entries[0])(9, entries[-1].at, Kind.NOTED, "a", {"text": "a note"}, "", "")
    told, same = past([*entries[:-1], noted]), past(entries[:-1])
    assert told is not None
    assert same is not None
    assert (told.steps, told.last.kind, told.status) == (same.steps, Kind.NOTED, "")
    assert past([]) is None


def test_past_runs_give_the_times(home: Path, world: World) -> None:
    """A step is expected to take the median of the last runs that were done; damaged journals are passed over."""
    operator = runner(home)
    for name in ("a", "b"):
        operator.run(marks(world, name), arguments={}, consent=AGREED)
        (world.folder / "there" / name).unlink()
    operator.run(book(step("a", world), name="another"), arguments={}, consent=AGREED)
    operator.run(marks(world, "a"), arguments={}, consent=AGREED)
    assert operator.run(marks(world, "a", "b"), arguments={}, consent=AGREED).status is Status.DONE
    (world.folder / "there" / "b").unlink()
    Folder(home).claim_log(journal_of("9999-not-begun"))
    (home / "runs" / "9998-damaged").mkdir()
    (home / "runs" / "9998-damaged" / "journal.jsonl").write_text("damaged\n")
    usual = usual_seconds(Folder(home), "toy")
    assert set(usual) == {"a", "b"}
    assert 0 < usual["b"].least <= usual["b"].middle <= usual["b"].most
    assert usual["a"].middle in {
        step.payload["seconds"] for run in Folder(home).names(RUNS)[:3] for step in held(home, run)
    }
    assert operator.run(marks(world, "b"), arguments={}, consent=AGREED).plan.steps[0].expect == usual["b"].middle


def test_runs_are_listed(home: Path, world: World) -> None:
    """Each run says how it ended, how far it came and what to type next."""
    operator = runner(home)
    assert operator.runs() == []
    done = operator.run(marks(world, "a"), arguments={"to": "x"}, consent=AGREED)

    def refused(_sight: Sight) -> Json:
        message = "no"
        raise ActRefused(message)

    failed = operator.run(book(step("b", world, act=refused)), arguments={}, consent=AGREED)
    first, second = operator.runs()
    assert (first.run, first.status, first.next_command, first.arguments) == (done.run, "done", None, {"to": "x"})
    assert (first.steps_done, first.steps_total, first.actor, first.reason) == (1, 1, "on-call", "a test")
    assert (second.status, second.text, second.next_command) == ("failed", "no", failed.next_command)
    assert not second.unfinished
    seen: list[str] = []

    def act(sight: Sight) -> Json:
        seen.append(operator.runs()[-1].status)
        return world.act("c", sight)

    operator.run(book(step("c", world, act=act)), arguments={}, consent=AGREED)
    assert seen == ["running"]


def test_a_damaged_journal_is_listed_as_such(home: Path, world: World) -> None:
    """One damaged journal hides no other run, and says what is wrong with it."""
    operator = runner(home)
    done = operator.run(marks(world, "a"), arguments={}, consent=AGREED)
    Folder(home).claim_log(journal_of("9999-damaged"))
    Path(Folder(home).where(journal_of("9999-damaged"))).write_text("damaged\n")
    listed = operator.runs()
    assert [(run.run, run.status) for run in listed] == [(done.run, "done"), ("9999-damaged", "damaged")]
    assert "line 1: not an entry of a journal" in listed[1].text
