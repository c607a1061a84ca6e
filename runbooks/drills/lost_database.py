"""Drill: the database server is gone for good; from an own backup to a new project, the API's connections with it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML

from runbooks.clients import twin
from runbooks.drills.rig.own_backups import back_up, restore_from
from runbooks.drills.rig.scenario import Broken, Repaired
from runbooks.drills.rig.site import utc_now

if TYPE_CHECKING:
    from pathlib import Path

    from runbooks.clients.twin import Addresses
    from runbooks.drills.rig.scenario import Scene
    from runbooks.drills.rig.stage import Stage

NOTICE: Final = 10.0
PROJECT: Final = "newprojectafteraloss"
"""The reference of the project that is made: twenty letters, as the provider's are."""


@dataclass
class LostDatabase:
    """The scenario."""

    name: str = "lost-database"
    what: str = "the database server is gone; from an own backup to a new project, and the API's connections with it"
    warm_seconds: float = 1.0

    def break_it(self, scene: Scene) -> Broken:
        """Back up, then take the server away: nothing brings it back."""
        with scene.stage.phases.measured(f"{self.name}: backup"):
            back_up(scene.stage.site)
        at = utc_now()
        control = twin.control(scene.stage.addresses.cloudflare)
        control.break_down("postgres-stop")
        control.transport.close()
        look = scene.watch.until_faulty(NOTICE)
        return Broken(
            trigger="the database server was taken away",
            at=at,
            noticed_at=look.ended if look else None,
            noticed_by=look.faults if look else (),
        )

    def repair(self, scene: Scene, broken: Broken) -> Repaired:
        """Make a project as an administrator does, name it in the stack file, and run the restore book."""
        stage = scene.stage
        with stage.phases.measured(f"{self.name}: a new project"):
            made = self._make_project(stage)
        site = stage.site_of(name_project(stage, made))
        stage.leaving.callback(site.close)
        return restore_from(stage, site, strategy="auto", why=broken.noticed_by[0], drill=self.name)

    def _make_project(self, stage: Stage) -> Addresses:
        """Start the control plane and the server of another project: a twin of which only these are used."""
        base = stage.site.settings
        process = twin.start(
            state=stage.folder / PROJECT,
            account=base.stack.account,
            zone=base.stack.zone,
            project=PROJECT,
            root=base.root,
            environment=stage.site.environ,
        )
        stage.leaving.callback(twin.discard, stage.folder / PROJECT)
        stage.leaving.callback(process.stop)
        return process.addresses


def name_project(stage: Stage, made: Addresses) -> Path:
    """Write a stack file that names the new project, and the credentials that its owner was given beside it."""
    yaml = YAML()
    yaml.width = 10_000
    yaml.preserve_quotes = True
    document: dict[str, Any] = yaml.load(stage.site.settings.file.read_text("utf-8"))
    config, folder = document["config"], stage.folder / "credentials"
    config["ems-ops:endpoints"]["supabase"] = made.supabase
    config["ems-ops:database"]["project"] = PROJECT
    config["ems-ops:twin"]["state"] = str(folder)
    folder.mkdir(mode=0o700)
    ours, theirs = stage.addresses, made
    tokens = {**theirs.tokens, "CLOUDFLARE_API_TOKEN": ours.tokens["CLOUDFLARE_API_TOKEN"]}
    note = folder / twin.NOTE
    note.touch(mode=0o600)
    note.write_text(json.dumps({"tokens": tokens, "database_url": theirs.database_url}), "utf-8")
    stage.leaving.callback(shutil.rmtree, folder, ignore_errors=True)
    file = stage.folder / "moved" / stage.site.settings.file.name
    file.parent.mkdir()
    with file.open("w", encoding="utf-8") as out:
        yaml.dump(document, out)
    return file
