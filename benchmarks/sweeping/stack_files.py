"""Stack files of a sweep's own: copies of one, with another ops home, other code, and providers by a door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from ruamel.yaml import YAML

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.sweeping.door import Door
    from infra.shapes import Archive


def variant(
    file: Path,
    folder: Path,
    *,
    home: Path,
    variables: Mapping[str, str] | None = None,
    through: Door | None = None,
    build: list[str] | None = None,
    web: Path | None = None,
    secrets: Sequence[str] = (),
    outgoing: Sequence[dict[str, str]] = (),
    archive: Archive | None = None,
) -> Path:
    """Write a copy of a stack file into `folder`: its ops home, variables of its API, its providers by a door.

    `build` makes a release that fails: it gets its traffic in stages, and is taken back. `web` is another site,
    `secrets` are names of the Worker's, `outgoing` what waits to leave the database, `archive` a server of our own.
    """
    yaml = YAML()
    yaml.width = 10_000
    document: dict[str, Any] = yaml.load(file.read_text("utf-8"))
    config = document["config"]
    config["ems-ops:ops_home"] = str(home)
    config["ems-ops:api"]["variables"].update(variables or {})
    if through is not None:
        config["cloudflare:baseUrl"] = through.addresses["cloudflare"]
        config["ems-ops:endpoints"].update({name: through.addresses[name] for name in ("supabase", "edge")})
    if build is not None:
        config["ems-ops:api"]["build"] = build
        config["ems-ops:release"] = {"traffic": [50, 100], "on_failure": "rollback"}
    if web is not None:
        config["ems-ops:web"]["folder"] = str(web)
    config["ems-ops:api"]["secrets"] += secrets
    config["ems-ops:hazards"]["outgoing"] += outgoing
    if archive is not None:
        config["ems-ops:database"]["archive"] = msgspec.to_builtins(archive)
    made = folder / "Pulumi.twin.yaml"
    with made.open("w", encoding="utf-8") as out:
        yaml.dump(document, out)
    return made
