"""Stack files of a sweep's own: copies of one, with another ops home, other code, and providers by a door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from ruamel.yaml import YAML

from benchmarks.sweeping.door import STORE
from runbooks.clients.stores.bucket import BucketFiles
from runbooks.clients.stores.files import FolderFiles
from runbooks.model.settings import DUMPS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.sweeping.door import Door
    from infra.shapes import Archive
    from runbooks.clients.stores.files import Files
    from tests.object_store import ObjectStore

KEYS: Final = {"AWS_ACCESS_KEY_ID": "an-id", "AWS_SECRET_ACCESS_KEY": "a-secret-key"}
"""What opens an object store on this machine."""


@dataclass(frozen=True)
class Point:
    """Where one point is swept: its stack file, its ops home, its place for private files, and its environment."""

    stack_file: Path
    home: Path
    temp: Path
    environ: Mapping[str, str]
    store: Files
    """Where own backups lie, past the door."""


def store_of(home: Path, objects: ObjectStore | None, through: Door | None) -> tuple[Files, str | None]:
    """Return the way to own backups past the door, and their address for a stack file: a new bucket, if there can be.

    Without an object store they lie in the ops home.
    """
    if objects is None:
        return FolderFiles(home / DUMPS), None
    key_id, secret_key = KEYS.values()
    files = BucketFiles(
        name := objects.made(), endpoint=objects.address, region="us-east-1", key_id=key_id, secret_key=secret_key
    )
    return files, f"s3://{name}?endpoint={through.addresses[STORE] if through else objects.address}"


NOBODY: Final = "http://127.0.0.1:1/client/v4"


def variant(
    file: Path, folder: Path, *,
    home: Path,
    variables: Mapping[str, str] | None = None,
    through: Door | None = None,
    build: list[str] | None = None,
    web: Path | None = None,
    secrets: Sequence[str] = (),
    outgoing: Sequence[dict[str, str]] = (),
    archive: Archive | None = None,
    down: bool = False,
    store: str | None = None,
) -> Path:  # fmt: skip
    """Write a copy of a stack file into `folder`: its ops home, variables of its API, its providers by a door.

    `build` makes a release that fails: it gets its traffic in stages, and is taken back. `web` is another site,
    `secrets` are names of the Worker's, `outgoing` what waits to leave the database, `archive` a server of our own,
    `store` where own backups lie. With `down` nobody answers where Cloudflare's API is said to be.
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
    config["ems-ops:api"]["secrets"] += secrets
    config["ems-ops:hazards"]["outgoing"] += outgoing
    more = {"web": ("folder", web and str(web)), "backups": ("store", store)}
    for key, (name, value) in {**more, "database": ("archive", msgspec.to_builtins(archive))}.items():
        if value is not None:
            config[f"ems-ops:{key}"][name] = value
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
