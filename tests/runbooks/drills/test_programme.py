"""Which drills are run."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from runbooks.drills.programme import SCENARIOS, USUAL, Report, chosen, missing, rehearse
from runbooks.drills.rehearsal import Keeper, Rehearsal
from runbooks.drills.rig.stages import Stages
from runbooks.engine.record.folder import Folder
from runbooks.engine.redaction import Redactor
from runbooks.engine.runner import Runner
from runbooks.engine.signals import StopNow
from runbooks.model.canonical import digest
from runbooks.model.errors import Exit, HeldByOther, NotSo, Refused
from runbooks.model.evidence import DRILLS
from runbooks.model.settings import load, read_stack
from tests.runbooks.desk import Silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runbooks.drills.rig.bench import Measured


@dataclass(frozen=True)
class Trips(Rehearsal):
    """A drill that comes to no end."""

    name: str = "trips"
    error: BaseException = field(default_factory=lambda: NotSo("the fault did not wait for s3cret"))

    def measure(self, keeper: Keeper) -> Measured:  # noqa: ARG002 - as every drill is asked
        """Trip."""
        raise self.error


def tripped(root: Path, home: Path, drills: Sequence[Trips]) -> Report:
    """Run such drills for the twin's stack, with an ops home of their own."""
    redact, show = Redactor(["s3cret"]), Silent()
    runner = Runner(home=Folder(home), stack="twin", stack_argument="twin", actor="olga", show=show, redact=redact)
    settings = load("twin", root=root, environ={})
    keeper = Keeper(settings, runner, lambda: pytest.fail("nobody asks for backups"), redact, {})
    return rehearse(keeper, drills, Stages(settings, {}, show, "olga", None, redact), explain=str)


def test_one_that_cannot_be_measured_stops_no_other(root: Path, tmp_path: Path) -> None:
    """Whatever a drill trips over, the next one is run; each is recorded as not measured, without secrets."""
    report = tripped(root, tmp_path, [Trips("first"), Trips("second", error=KeyError("bookings")), Trips("third")])
    assert (report.exit, report.passed, report.unproven) == (Exit.FAILED, False, ["first", "second", "third"])
    recorded = {drill.name: drill for drill in (tmp_path / DRILLS).iterdir()}
    for drilled in report.drills:
        where = Path(str(drilled.attestation))
        attested = json.loads(where.read_text("utf-8"))
        assert attested.pop("sha256") == digest(attested)
        assert (attested["drill"], attested["verdict"]) == (drilled.evidence.drill, "not measured")
        assert (attested["run"], attested["measured"], attested["actor"]) == (None, {}, "olga")
        assert json.loads(where.with_name("drill.json").read_text("utf-8"))["measured"] is False
        assert recorded.pop(where.parent.name)
    assert recorded == {}
    assert report.drills[0].evidence.problems == ("the fault did not wait for ●●●",)
    assert "s3cret" not in "".join(file.read_text("utf-8") for file in tmp_path.rglob("*.*"))


@pytest.mark.parametrize(
    ("error", "why", "code"),
    [
        (StopNow("SIGINT"), "stopped by SIGINT", Exit.PAUSED),
        (HeldByOther("olga on ops is at it"), "olga on ops is at it", Exit.HELD),
    ],
)
def test_a_signal_or_a_held_stack_stops_at_once(
    root: Path, tmp_path: Path, error: BaseException, why: str, code: Exit
) -> None:
    """What comes later is not run, and is recorded as that; a failure before it weighs more than the stop."""
    report = tripped(root, tmp_path, [Trips("first", error=error), Trips("second")])
    later = "not run: the drill before it was stopped"
    assert [drilled.evidence.problems for drilled in report.drills] == [(why,), (later,)]
    assert (report.exit, report.unproven) == (code, ["first", "second"])
    assert len(list(tmp_path.rglob("attestation.txt"))) == 2
    assert tripped(root, tmp_path, [Trips("zeroth"), Trips("first", error=error)]).exit is Exit.FAILED


def test_what_cannot_be_recorded_is_said(root: Path, tmp_path: Path) -> None:
    """A disk that takes nothing hides no drill."""
    (tmp_path / DRILLS).write_text("in the way")
    (drilled,) = tripped(root, tmp_path, [Trips("first")]).drills
    assert (drilled.attestation, drilled.evidence.verdict) == (None, "not measured")
    assert "this could not be recorded: [Errno" in drilled.evidence.problems[1]


def test_without_a_name_the_quick_ones_are_run() -> None:
    """The usual two for nothing, each by its name in the order of the programme, every one when asked for."""
    assert tuple(scenario.name for scenario in chosen(())) == USUAL
    assert [scenario.name for scenario in chosen(("lost-table", "bad-dns"))] == ["bad-dns", "lost-table"]
    assert chosen((), every=True) == SCENARIOS
    assert SCENARIOS[-1].name == "lost-database"  # what moves the product away


def test_an_unknown_drill_is_refused_with_those_that_are_known() -> None:
    """A typo names what could have been meant."""
    with pytest.raises(Refused, match="drill bad-site2: expected one of bad-release, bad-release-twice, ") as raised:
        chosen(("bad-site2",))
    assert raised.value.next_command == "invoke drill --list"


def test_a_product_has_something_for_each_drill_or_it_is_told_by_the_key(root: Path) -> None:
    """Without a site there is none to break; records can be changed as long as one is the product's own."""
    whole = read_stack(root / "Pulumi.twin.yaml")
    assert [missing(scenario, whole) for scenario in SCENARIOS if missing(scenario, whole)] == []
    alone = msgspec.structs.replace(whole, web=None)
    told = {scenario.name: why for scenario in SCENARIOS if (why := missing(scenario, alone))}
    assert told == {"bad-site": "ems-ops:web is null: there is no site to break"}
    bare = msgspec.structs.replace(alone, records=())
    told = {scenario.name: why for scenario in SCENARIOS if (why := missing(scenario, bare))}
    assert told["bad-dns"] == "ems-ops:web is null and ems-ops:records is []: there is no record of ours to change"
