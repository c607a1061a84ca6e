"""What a subject of a sweep starts from: what is there, what was done before, what somebody else has done."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from benchmarks.sweeping import product
from benchmarks.sweeping.standing import ERASURES, MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.sweeping.place import Place
    from benchmarks.sweeping.stack_files import Point
    from runbooks.clients.stores.files import Files

KEY: Final = "API_KEY"
MOMENT: Final = "%Y-%m-%dT%H-%M-%SZ"


@dataclass(frozen=True)
class Beginning:
    """What is there before a subject begins.

    `release` is code to deploy, `failing` code whose checks fail, `changed` a record changed by hand. `backups` are own
    ones of the point, the older ones of the same day; `left_over` is what a killed one has left. `hazards`: since the
    point somebody was erased, and mails have left that waited then. `former` databases are kept, mails are `held`, a
    secret has a new value in the environment (`secret`). Cloudflare's API is `down`. Own backups lie in a `bucket`.
    """

    release: bool = False
    failing: bool = False
    changed: bool = False
    backups: int = 0
    left_over: bool = False
    hazards: bool = False
    former: bool = False
    held: bool = False
    secret: bool = False
    down: bool = False
    bucket: bool = False

    def at(self, place: Place, *, direct: bool) -> Point:
        """Bring a place to it, and make a point there, whose stack file leads past the door where it is `direct`."""
        place.rest(traffic=not self.release, changed=self.changed)
        more: dict[str, Any] = {"failing": self.failing, "down": self.down, "bucket": self.bucket}
        more["through"] = None if direct else place.door
        if self.release or self.failing:
            more["variables"] = {"RELEASE": f"point {place.points}"}
        if self.hazards or self.held:
            more["outgoing"] = (product.MAILS,)
        if self.secret:
            more |= {"secrets": (KEY,), "environ": {f"EMS_SECRET_{KEY}": f"value {place.points}"}}
        backups = [place.own_backup] * self.backups
        point = place.made(**more)
        for number, made in enumerate(backups):
            _older(made, point.store, timedelta(seconds=number))
        if self.left_over:
            point.store.put_new("2026-01-01T00-00-00Z/dump/toc.dat", b"half")  # which nobody goes on with
        if self.hazards:
            _owe(point.home / ERASURES)
        if self.former:
            product.keep_former(place.database_url)
        if self.former and place.server is not None:
            _keep_folder(place.server.data)
        if self.held:
            product.put(place.database_url, product.HELD)
        return point


PLAIN: Final = Beginning()


def _older(backup: Path, into: Files, by: timedelta) -> None:
    """Put a backup into a store, as if it had been made a moment earlier."""
    told = json.loads((backup / MANIFEST).read_bytes())
    at = datetime.fromisoformat(told["at"]) - by
    name = (datetime.strptime(told["id"], MOMENT).replace(tzinfo=UTC) - by).strftime(MOMENT)
    for file in (path for path in backup.rglob("*") if path.is_file() and path.name != MANIFEST):
        into.put_file(f"{name}/{file.relative_to(backup).as_posix()}", file)
    into.put_new(f"{name}/{MANIFEST}", json.dumps({**told, "id": name, "at": at.isoformat()}).encode())


def _keep_folder(data: Path) -> None:
    """Leave a former data folder beside the present one, as a recovery does."""
    work = data.with_name(f"{data.name}.ems-ops-20260101-000000")
    (work / "former" / "base").mkdir(parents=True)
    (work / "former" / "base" / "1").write_bytes(b"rows")
    note = {"run": "alpha-1", "base": "first", "point": "2026-01-01T00:00:00+00:00", "timeline": 2}
    (work / "note.json").write_text(json.dumps(note), "utf-8")


def _owe(ledger: Path) -> None:
    """Write down that a rider was erased just now."""
    line = {
        "id": "e1",
        "at": datetime.now(UTC).isoformat(),
        "kind": "rider",
        "subject": product.ERASED,
        "run": "r",
    }
    ledger.write_text(f"{json.dumps(line)}\n", "utf-8")
