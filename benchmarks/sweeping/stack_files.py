"""Stack files of a sweep's own: copies of one, with another ops home, other code, and providers by a door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from ruamel.yaml import YAML

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.sweeping.door import Door
    from infra.shapes import Archive

NOBODY: Final = "http://127.0.0.1:1/client/v4"


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
    down: bool = False,
) -> Path:
    """Write a copy of a stack file into `folder`: its ops home, variables of its API, its providers by a door.

    `build` makes a release that fails: it gets its traffic in stages, and is taken back. `web` is another site,
    `secrets` are names of the Worker's, `outgoing` what waits to leave the database, `archive` a server of our own.
    With `down` nobody answers where Cloudflare's API is said to be.
    """
    yaml = YAML()
    yaml.width = 10_000
    document: dict[str, Any] = yaml.load(file.read_text("utf-8"))
    config = document["config"]
    config["ems-ops:ops_home"] = str(home)
    config["ems-ops:api"]["variables"].update(variables or {})
    _lead(config, through, down=down)
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


def _lead(config: dict[str, Any], through: Door | None, *, down: bool) -> None:
    """Let the providers be reached by a door, Cloudflare's API not at all where it is `down`."""
    if through is not None:
        config["cloudflare:baseUrl"] = through.addresses["cloudflare"]
        config["ems-ops:endpoints"].update({name: through.addresses[name] for name in ("supabase", "edge")})
    if down:
        config["cloudflare:baseUrl"] = NOBODY
