"""Drill: a site whose pages name files that were not built goes live past the book; the rollback book takes it back."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from runbooks import rollback
from runbooks.clients.pages import Pages
from runbooks.drills.rig.scenario import Broken, Repaired
from runbooks.drills.rig.site import utc_now
from runbooks.drills.rig.stage import write_stack
from runbooks.model.errors import NotSo
from runbooks.steps.cloudflare.references import Role, references
from runbooks.steps.cloudflare.site import site_faults

if TYPE_CHECKING:
    from pathlib import Path

    from infra.stack import Stack
    from runbooks.drills.rig.scenario import Scene
    from runbooks.drills.rig.site import Site
    from runbooks.drills.rig.stage import Stage

NOTICE: Final = 10.0  # seconds for our own look to see it; a deployment of Pages is live at once
ADDED: Final = '<script src="/drill-not-built.js"></script>\n'
"""What a page without scripts and styles is given."""
NEEDED: Final = (Role.SCRIPT, Role.STYLE)


@dataclass(frozen=True)
class BadSite:
    """The scenario."""

    name: str = "bad-site"
    what: str = "a site whose pages name files that were not built goes live; the rollback book takes it back"
    warm_seconds: float = 0.5

    def missing(self, stack: Stack) -> str:
        """Say that there is no site."""
        return "" if stack.sites else "ems-ops:web is null: there is no site to break"

    def break_it(self, scene: Scene) -> Broken:
        """Apply the program with the bad site and prove nothing, as somebody in a hurry does; look from outside."""
        stage = scene.stage
        scene.watch.also = lambda: faults(stage.site)
        if told := scene.watch.look().faults:
            message = f"before the fault: expected a whole site, got: {'; '.join(told)}"
            raise NotSo(message)
        bad = stage.site_of(_bad_stack(stage))
        try:
            with stage.phases.measured("bad-site: deploy"):
                bad.pulumi.up()
            (web,) = bad.settings.stack.sites
            live = Pages(bad.cloudflare.transport, bad.cloudflare.account).project(web.name)
        finally:
            bad.close()
        if live.canonical_deployment is None:
            message = f"Pages project {live.name}: expected a live deployment after the deploy, got none"
            raise NotSo(message)
        look = scene.watch.until_faulty(NOTICE)
        return Broken(
            trigger=f"a site whose pages name scripts and styles that are not there went live at {live.name}",
            at=datetime.fromisoformat(live.canonical_deployment.created_on),
            noticed_at=look.ended if look else None,
            noticed_by=look.faults if look else (),
        )

    def repair(self, scene: Scene, broken: Broken) -> Repaired:
        """Run the rollback book for the site."""
        stage = scene.stage
        site = stage.site
        reason = f"drill bad-site: {broken.noticed_by[0]}"
        arguments = rollback.Arguments(service="web", reason=reason)
        book = rollback.book(
            site.settings, site.cloudflare, site.edge, home=site.runner.home, arguments=arguments, clock=utc_now
        )
        with stage.phases.measured("bad-site: rollback"):
            outcome = site.run(book, arguments, reason=reason)
        return Repaired(outcome=outcome)


def faults(site: Site) -> list[str]:
    """Return what is wrong with the site as a browser would find it."""
    return [f"site: {fault}" for web in site.settings.stack.sites for fault in site_faults(site.edge, web)[0]]


def _bad_stack(stage: Stage) -> Path:
    """Return a stack file of the product's site in which every page names other scripts and styles than there are."""
    site, folder = stage.site, stage.folder / "bad-site"
    (web,) = site.settings.stack.sites
    copy = folder / "web"
    shutil.copytree(site.settings.root / web.folder, copy)
    pages = list(copy.rglob("*.html"))
    if not pages:
        message = f"ems-ops:web.folder: {web.folder}: expected a page (*.html), got none to break"
        raise NotSo(message)
    for page in pages:
        text = page.read_text("utf-8")
        path = f"/{page.relative_to(copy).as_posix()}"
        named = [one.path.partition("?")[0].rpartition("/")[2] for one in references(web.host, path, Role.PAGE, text)
                 if one.role in NEEDED]  # fmt: skip
        broken = text
        for name in dict.fromkeys(named):
            broken = broken.replace(name, f"drill-{name}")
        page.write_text(broken if broken != text else text + ADDED, "utf-8")
    return write_stack(site.settings, folder, stage.addresses, site=copy)
