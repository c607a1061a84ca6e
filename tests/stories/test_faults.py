"""A sample of the fault matrix: calls of real books are broken in every way, and the next command goes on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from benchmarks.fault_matrix import FAULTS, Job, broken, jobs_of, sweep, unclear
from benchmarks.sweeping.commands import SUBJECTS
from benchmarks.sweeping.door import Moment
from benchmarks.sweeping.trial import Trial
from runbooks.clients.twin import Do

if TYPE_CHECKING:
    from benchmarks.sweeping.place import Place

SHORT = Do(silence=1.0, applied=True)  # the client would wait for 15 s: the full matrix lets it
JOB = Job(SUBJECTS["rollback"], Moment("cloudflare GET /client/v4/things", 1), "500", FAULTS["500"], Counter())
GO_ON = "invoke runs.resume --run r-1 --stack twin"
CLEAR = f"paused\nGET http://127.0.0.1/client/v4/things: got 500\nNext:\n{GO_ON}\n"


@pytest.fixture(scope="module")
def jobs(place: Place) -> list[Job]:
    """Return every call of a rollback with every fault."""
    return jobs_of(place, JOB.subject)


def of(jobs: list[Job], method: str, ending: str, *, time: int = 1) -> dict[str, Job]:
    """Return the one-time faults of one call, by name; the silence is a short one."""
    return {
        job.fault: replace(job, do=SHORT) if job.fault == "silence" else job
        for job in jobs
        if (job.call.label.split()[1], job.call.time, job.lasting) == (method, time, False)
        and job.call.label.endswith(ending)
    }


@pytest.mark.twin
def test_every_fault_at_the_one_call_that_matters(place: Place, jobs: list[Job]) -> None:
    """Whatever becomes of the request that routes the traffic, and of reads: all in all it is routed once."""
    routed = of(jobs, "POST", "/deployments")
    assert list(routed) == [fault for fault in FAULTS if fault != "stale"]
    reads = [of(jobs, "GET", "/versions", time=2)["truncated"], of(jobs, "GET", "/deployments", time=3)["stale"]]
    found = sweep([place], [*routed.values(), *reads], report=lambda _: None)["rollback"]
    assert (found.problems, found.lost, found.repeated, found.stuck) == ([], 0, 0, 0)
    assert (found.points, found.missed, found.endings) == (10, 0, {"done": 10})


@pytest.mark.twin
def test_a_provider_that_is_down_for_good(place: Place, jobs: list[Job]) -> None:
    """Nothing was done, the same command is named, and works when all is well; what happened is really compared."""
    job = replace(of(jobs, "GET", "/versions")["502"], lasting=True)
    assert (job.broken().times, job.broken().after) == (None, 0)
    found = broken(place, replace(job, wanted=job.wanted + Counter(["more"]) - Counter(["live: old"])))
    assert (found.endings, found.lost, found.repeated, found.stuck) == ({"failed": 1}, 1, 1, 0)
    (problem,) = found.problems
    assert "for good): lost {'more': 1}, repeated {'live: old': 1}; invoke rollback" in problem


@pytest.mark.twin
def test_a_deploy_whose_upload_is_lost(place: Place) -> None:
    """The program finds the version and the deployment whose answers it never got: each is made once."""
    lost = [job for job in jobs_of(place, SUBJECTS["deploy"]) if job.fault == "reset after" and not job.lasting]
    found = sweep([place], lost, report=lambda _: None)["deploy"]
    assert (found.problems, found.endings) == ([], {"done": 3})


def test_an_unclear_end_is_a_problem() -> None:
    """A traceback, a call that is not named, no next command, an exit code that nobody knows: each is told."""
    assert unclear(JOB, 3, CLEAR) == []
    assert unclear(JOB, 0, "done") == []
    assert unclear(JOB, None, "Traceback (most recent call last)") == [
        "ended as hung",
        "a traceback",
        "GET …/things is not named",
        "the last line is 'Traceback (most recent call last)'",
    ]
    assert unclear(JOB, -9, CLEAR) == ["ended as exit -9"]


def test_what_is_typed_next() -> None:
    """The last line with consent; after a failed proof first a second look; after the way back the book anew."""
    trial = Trial(["rollback", "--yes"], words=["rollback", "--yes"], code=3, shown=CLEAR)
    words = ["runs.resume", "--run", "r-1", "--stack", "twin", "--yes", "--reason=a sweep"]
    assert trial.next() == words
    undo = f"no health; to look again: {GO_ON}\nNext:\ninvoke runs.undo --run r-1"
    trial.code, trial.shown = 5, undo
    assert trial.next() == words
    trial.words = words
    assert trial.next() == ["runs.undo", "--run", "r-1", "--yes", "--reason=a sweep"]
    trial.code, trial.words = 0, trial.next()
    assert trial.next() == ["rollback", "--yes"]
    trial.words = words
    assert trial.next() == []
    trial.code, trial.shown = 1, "nothing more to say"
    assert trial.next() == []
