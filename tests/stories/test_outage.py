"""Cloudflare's API is down, and two operators at once, measured as drills are; and what the command line says."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from runbooks.clients import twin
from runbooks.drills.bad_release_twice import BadReleaseTwice
from runbooks.drills.control_plane_down import DOWN, ControlPlaneDown
from runbooks.drills.rig.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runbooks.drills.rig.scenario import Scenario
    from runbooks.drills.rig.stage import Stage

pytestmark = pytest.mark.twin


@contextmanager
def down(stage: Stage) -> Iterator[None]:
    """Let Cloudflare's API answer nothing but 503 until the block ends."""
    control = twin.control(stage.addresses.cloudflare)
    control.fault(DOWN)
    try:
        yield
    finally:
        control.clear_faults()
        control.transport.close()


@pytest.mark.parametrize("drill", [BadReleaseTwice(), ControlPlaneDown()], ids=lambda drill: drill.name)
def test_a_drill_is_proven(stage: Stage, drill: Scenario) -> None:
    """The real book repairs it, once; no accepted write is lost; everything that the drill looks at was as it must."""
    evidence = Bench(stage, drill).measure().evidence
    assert (evidence.passed, evidence.problems) == (True, ())
    assert evidence.detected_by[0].startswith("deploy: GET https://api.ems.example/api/bookings at ")
    assert (evidence.counts.lost, evidence.point) == (0, None)
    assert evidence.counts.kept == evidence.counts.accepted > 0


def test_the_command_says_what_is_left(stage: Stage, root: Path) -> None:
    """Typed while the API is down: exit 1, one text, and the same command as the last line."""
    words = ["rollback", f"--stack={stage.site.settings.file}", "--yes", "--reason=it throws"]
    with down(stage):
        done = subprocess.run(
            [sys.executable, "-m", "invoke", *words], cwd=root, capture_output=True, text=True, check=False
        )
    assert (done.returncode, done.stdout) == (1, "")
    text, following, last = done.stderr.rstrip("\n").rsplit("\n", 2)
    assert "(10503: no healthy upstream). Asked 6 times in " in text
    assert (
        "Nothing was changed. Users are served as before: api.ems.example/api/health answers 200 from version" in text
    )
    assert (following, last) == ("Next:", f"invoke {words[0]} {words[1]} {words[2]} '{words[3]}'")
