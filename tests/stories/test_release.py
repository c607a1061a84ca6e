"""A release gets its traffic stage by stage, is taken back by itself when it is bad, and survives a kill anywhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import pytest

from runbooks.clients import twin
from runbooks.clients.edge import Edge
from runbooks.model.settings import read_stack
from runbooks.steps.releases import LEDGER
from tests.stories.conftest import Operator
from tests.stories.test_deploy_and_rollback import break_the_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.sweeping.place import Place
    from runbooks.clients.cloudflare import Deployment

pytestmark = pytest.mark.twin
PATIENCE = 60.0  # seconds


@dataclass
class Team:
    """An operator with a stack file of their own on the shared twin, and a look at what is live."""

    place: Place
    operator: Operator
    began: str = ""

    @property
    def live(self) -> Deployment:
        """Return the live deployment."""
        site = self.place.stage.site
        live = site.cloudflare.live(site.settings.stack.api.name)
        assert live is not None
        return live

    @property
    def shares(self) -> list[float]:
        """Return the percentages that are live."""
        return [share.percentage for share in self.live.versions]

    @property
    def moved(self) -> list[list[float]]:
        """Return how the book has split the traffic since the story began, oldest first."""
        site = self.place.stage.site
        splits: list[list[float]] = []
        for deployment in site.cloudflare.deployments(site.settings.stack.api.name):
            if deployment.id == self.began:
                break
            if " · request " in deployment.annotations.message:
                splits.insert(0, [share.percentage for share in deployment.versions])
        return splits

    def until(self, so: Callable[[], bool]) -> None:
        """Wait until it is so."""
        end = time.monotonic() + PATIENCE
        while not so():
            assert time.monotonic() < end, self.shares
            time.sleep(0.01)

    def kill_when(self, so: Callable[[], bool]) -> None:
        """Deploy in a process of its own, and kill it -9 as soon as it is so."""
        operator = self.operator
        words = ["deploy", f"--stack={operator.stack_file}", "--yes", "--reason=a story"]
        process = subprocess.Popen(
            [sys.executable, "-m", "invoke", *words],
            cwd=operator.root,
            env=operator.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self.until(so)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


@dataclass
class Users:
    """Somebody who asks one route all the time. `seen` are the statuses."""

    operator: Operator
    seen: list[int] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self.ask)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def ask(self) -> None:
        """Ask until it is over."""
        stack = read_stack(self.operator.stack_file)
        edge = Edge(self.operator.addresses.edge)
        while not self.over.wait(0.01):
            self.seen.append(edge.get(stack.api.host, stack.drill.bad_release.path).status)
        edge.close()


@pytest.fixture
def team(place: Place, root: Path) -> Iterator[Team]:
    """Give a team whose repository holds code that is not live yet."""
    place.rest()
    point = place.direct(RELEASE=f"story {place.points}")
    control = twin.control(place.stage.addresses.cloudflare)
    operator = Operator(root, point.stack_file, place.stage.addresses, dict(os.environ), control)
    operator.edit("ems-ops:release", on_failure="rollback")
    team = Team(place, operator)
    team.began = team.live.id
    yield team
    control.transport.close()
    place.rest()


def stages(team: Team, *traffic: float, bake_seconds: float = 0) -> None:
    """Let the stack file give a release its traffic in these stages."""
    team.operator.edit("ems-ops:release", traffic=list(traffic), bake_seconds=bake_seconds)


def test_a_good_release_gets_its_traffic_in_stages(team: Team) -> None:
    """0 %, 10 %, all: nobody sees an error, the record has the proof of each stage, and the program knows of it."""
    stages(team, 0, 10, 100, bake_seconds=1)  # in which five requests are sent
    with Users(team.operator) as users:
        done = team.operator.consents("deploy")
    assert (done.code, done.document["status"]) == (0, "done"), done.text
    results = done.document["results"]
    new = results["health"]["version"]
    assert team.live.version == new
    assert new != team.place.new
    assert set(users.seen) == {200}
    assert results["watch at 10 %"]["requests"] == 5
    assert team.moved == [[0, 100], [10, 90], [100]]
    ledger = (team.operator.stack_file.parent / "ops" / LEDGER).read_text("utf-8").splitlines()
    assert new in ledger[-1]
    assert '"smoke at 0 %":{"passed"' in ledger[-1]
    stages(team, 100)
    planned = team.operator.types("deploy", "--dry-run")
    assert planned.document["plan"]["facts"]["changes"] == [], planned.text


def test_a_bad_release_is_taken_back_at_its_first_stage(team: Team, tmp_path: Path) -> None:
    """It fails its smoke check at 10 %: few users see it, it goes by itself, and does not come back."""
    break_the_code(team.operator, tmp_path)
    stages(team, 10, 100)
    with Users(team.operator) as users:
        bad = team.operator.consents("deploy")
    assert (bad.code, bad.document["status"]) == (5, "taken back"), bad.text
    assert "expected 200, got 500; it was taken back" in bad.document["text"]
    assert bad.document["next_command"] == f"invoke rollback --unpin --stack {team.operator.stack_file}"
    assert team.live.version == team.place.new
    assert team.moved == [[10, 90], [100]]
    assert len(users.seen) > 50
    assert users.seen.count(500) < len(users.seen) / 4
    assert users.seen[-1] == 200
    pin = read_stack(team.operator.stack_file).pins["api"]
    assert (pin.version, pin.run) == (team.place.new, bad.document["run"])
    assert "If a check fails after something was changed, by itself:" in bad.text
    assert team.operator.types("runs.verify").code == 0

    assert team.operator.consents("rollback", "--unpin").code == 0
    again = team.operator.consents("deploy")
    assert (again.code, again.document["status"]) == (2, "refused"), again.text
    assert f"which run {bad.document['run']} quarantined. Nothing was done." in again.text
    assert team.moved == [[10, 90], [100]]


def test_a_kill_between_two_stages_goes_on(team: Team) -> None:
    """Killed at 10 %, the resume goes on from there: each stage is deployed once."""
    stages(team, 10, 50, 100, bake_seconds=0.6)
    team.kill_when(lambda: team.shares == [10, 90])
    assert team.operator.types("runs").document["runs"][-1]["status"] == "unfinished"
    done = team.operator.consents("runs.resume")
    assert (done.code, done.document["status"]) == (0, "done"), done.text
    assert team.moved == [[10, 90], [50, 50], [100]]
    assert team.live.version == done.document["results"]["health"]["version"]


def test_a_kill_on_the_way_back_goes_on(team: Team, tmp_path: Path) -> None:
    """Killed as soon as the traffic is back, the resume pins and proves it: the run ends as taken back."""
    break_the_code(team.operator, tmp_path)
    stages(team, 10, 100)
    team.kill_when(lambda: team.moved == [[10, 90], [100]])
    back = team.operator.consents("runs.resume")
    assert (back.code, back.document["status"]) == (5, "taken back"), back.text
    assert (team.live.version, team.moved) == (team.place.new, [[10, 90], [100]])
    assert read_stack(team.operator.stack_file).pins["api"].version == team.place.new
