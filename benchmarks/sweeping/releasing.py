"""Two releases to go back and forth between, and a database on a server of our own where one is given."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.sweeping.stack_files import variant
from runbooks.clients.pages import Pages
from runbooks.clients.postgres import Postgres
from runbooks.drills.rig.stage import release
from runbooks.model.errors import Exit, NotSo

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.databases.selfhosted import SelfHosted
    from runbooks.drills.rig.site import Site
    from runbooks.drills.rig.stage import Stage


def moved(stage: Stage, server: SelfHosted, folder: Path) -> Stage:
    """Fill a server of our own, move the first release to it, and take its base backup. Raises NotSo."""
    into = folder / "moved"
    into.mkdir()
    site = _site(stage, variant(stage.site.settings.file, into, home=stage.folder, archive=server.told), server)
    site.programs.run_script(site.settings.root / site.settings.stack.database.schema)
    site.programs.run_stream(site.settings.stack.database.seed)
    _release(site, "a database on a server of our own")
    server.base("first")
    server.archive()
    return replace(stage, site=site)


def second_release(stage: Stage, folder: Path, server: SelfHosted | None) -> Path:
    """Release another version of the API and another site; return the stack file of both. Raises NotSo."""
    settings = stage.site.settings
    web: Path | None = None
    for site in settings.stack.sites:
        web = folder / "web"
        shutil.copytree(settings.root / site.folder, web)
        page = next(iter(sorted(web.rglob("*.html"))))
        page.write_text(f"{page.read_text('utf-8')}<!-- the second release -->\n", "utf-8")
    file = variant(settings.file, folder, home=stage.folder, variables={"RELEASE": "2"}, web=web)
    released = _site(stage, file, server)
    try:
        _release(released, "the second release")
    finally:
        released.close()
    return file


def live_version(stage: Stage) -> str:
    """Return the version of the API that has all traffic."""
    live = stage.site.cloudflare.live(stage.site.settings.stack.api.name)
    return (live.version if live else None) or ""


def live_site(stage: Stage) -> str:
    """Return the deployment of the site that is live."""
    pages = Pages(stage.site.cloudflare.transport, stage.site.cloudflare.account)
    found = [pages.project(site.name).canonical_deployment for site in stage.site.settings.stack.sites]
    return next((one.id for one in found if one), "")


def _site(stage: Stage, file: Path, server: SelfHosted | None) -> Site:
    """Return the twin by another stack file, with the database that is operated."""
    site = stage.site_of(file)
    if server is None:
        return site
    settings = replace(site.settings, environment={**site.settings.environment, "EMS_DATABASE_URL": server.url})
    postgres = Postgres(server.url)
    return replace(
        site,
        settings=settings,
        postgres=postgres,
        programs=replace(site.programs, database=postgres),
        pulumi=replace(site.pulumi, environment={**site.environ, **settings.environment}),
    )


def _release(site: Site, reason: str) -> None:
    outcome = release(site, reason=reason)
    if outcome.exit is not Exit.DONE:
        message = f"{reason}: it did not come up: {outcome.text}"
        raise NotSo(message)
