"""A broken site and broken records, measured as drills are: the real book repairs them, and a real browser sees it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from runbooks.drills.bad_dns import BadDns
from runbooks.drills.bad_site import BadSite
from runbooks.drills.rig.bench import Bench
from tests.stories.browser import NEEDED, PROGRAM, Browser, browsing

if TYPE_CHECKING:
    from runbooks.drills.rig.bench import Measured
    from runbooks.drills.rig.scenario import Broken, Repaired, Scene
    from runbooks.drills.rig.stage import Stage

pytestmark = pytest.mark.twin

SEEN = """({
  title: document.title,
  header: getComputedStyle(document.querySelector('header')).display,
  paper: getComputedStyle(document.body).backgroundColor,
  state: document.querySelector('.state').textContent,
  image: document.querySelector('img.hero').naturalWidth > 0,
})"""
WHOLE = {
    "title": "Écurie des Ormes",
    "header": "flex",
    "paper": "rgb(253, 250, 244)",
    "state": "API opérationnelle",
    "image": True,
}
RAN = "document.querySelector('.state').textContent !== 'Vérification…'"


@dataclass
class Watched:
    """The drill, with somebody who looks at the start page before the fault, after it, and after the repair."""

    drill: BadSite
    browser: Browser | None
    looks: list[Any] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return the drill's name."""
        return self.drill.name

    @property
    def what(self) -> str:
        """Return what the drill does."""
        return self.drill.what

    @property
    def warm_seconds(self) -> float:
        """Return how long the drill warms up."""
        return self.drill.warm_seconds

    def look(self, scene: Scene, *, until: str) -> None:
        """Look with the browser, where there is one."""
        if self.browser is not None:
            host = scene.stage.site.settings.stack.hosts[-1]
            self.looks.append(self.browser.look(f"http://{host}/", SEEN, until=until))

    def break_it(self, scene: Scene) -> Broken:
        """Look, break, look."""
        self.look(scene, until=RAN)
        broken = self.drill.break_it(scene)
        self.look(scene, until="true")
        return broken

    def repair(self, scene: Scene, broken: Broken) -> Repaired:
        """Repair, look."""
        repaired = self.drill.repair(scene, broken)
        self.look(scene, until=RAN)
        return repaired


@pytest.fixture(scope="module")
def site(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> tuple[Measured, list[Any]]:
    """Run the drill of the site once; give what was measured and what a browser saw, nothing where there is none."""
    stack = stage.site.settings.stack
    with ExitStack() as leaving:
        browser = None
        if PROGRAM is not None:
            profile = tmp_path_factory.mktemp("profile")
            browser = leaving.enter_context(browsing(profile, zone=stack.zone, edge=stage.addresses.edge))
        watched = Watched(BadSite(), browser)
        return Bench(stage, watched).measure(), watched.looks


def test_a_bad_site_is_noticed_and_taken_back(site: tuple[Measured, list[Any]]) -> None:
    """Pages that name what is not there are noticed from outside and repaired; no accepted write is lost."""
    evidence = site[0].evidence
    assert (evidence.passed, evidence.problems) == (True, ())
    assert evidence.detected_by[0].startswith("site: GET https://www.ems.example/assets/drill-site.")
    assert (evidence.counts.lost, evidence.point) == (0, None)
    assert evidence.counts.kept == evidence.counts.accepted > 0


@pytest.mark.browser
@NEEDED
def test_a_browser_sees_it_before_broken_and_after(site: tuple[Measured, list[Any]]) -> None:
    """Styled, with its script at work; then bare and silent; then as it was before."""
    before, broken, after = site[1]
    assert before == WHOLE
    assert (broken["header"], broken["paper"], broken["state"]) == ("block", "rgba(0, 0, 0, 0)", "Vérification…")
    assert after == WHOLE


def test_records_changed_by_hand_are_noticed_and_brought_back(stage: Stage) -> None:
    """What the name server answers otherwise is noticed; the rollback repairs it; no accepted write is lost."""
    measured = Bench(stage, BadDns()).measure()
    evidence = measured.evidence
    assert (evidence.passed, evidence.problems) == (True, ())
    assert any(one.startswith("dns: www.ems.example A at") for one in evidence.detected_by)
    assert (evidence.counts.lost, evidence.counts.kept) == (0, evidence.counts.accepted)
    assert evidence.counts.accepted > 0
