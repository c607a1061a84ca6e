"""Every book, and the way back from each: what the kill sweep kills."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from benchmarks.sweeping import product
from benchmarks.sweeping.beginning import Beginning
from benchmarks.sweeping.operator import FIND
from benchmarks.sweeping.points import Subject

if TYPE_CHECKING:
    from benchmarks.sweeping.place import Place


def _nothing(_place: Place) -> dict[str, Any]:
    return {}


def _rollback(_place: Place) -> dict[str, Any]:
    return {"reason": "a sweep"}


def _unpin(_place: Place) -> dict[str, Any]:
    return {"reason": "a sweep", "unpin": True}


def _web(_place: Place) -> dict[str, Any]:
    return {"reason": "a sweep", "service": "web"}


def _dns(_place: Place) -> dict[str, Any]:
    return {"reason": "a sweep", "service": "dns"}


def _restore(place: Place) -> dict[str, Any]:
    return {"point": place.ago}


def _dump(place: Place) -> dict[str, Any]:
    return {"point": f"backup:{place.own_backup.name}"}


def _alone(place: Place) -> dict[str, Any]:
    return {**_restore(place), "without_cloudflare": True}


def _dump_alone(place: Place) -> dict[str, Any]:
    return {**_dump(place), "without_cloudflare": True}


def _deploy(_place: Place) -> dict[str, Any]:
    return {"preview": False}


def _find(_place: Place) -> dict[str, Any]:
    return {"check": product.CHECK}


CHANGED: Final = Beginning(changed=True)
CODE: Final = Beginning(release=True)
OWED: Final = Beginning(hazards=True)
BACKED_UP: Final = Beginning(backups=1, hazards=True)
DOWN: Final = Beginning(hazards=True, down=True)
DUMP_DOWN: Final = Beginning(backups=1, hazards=True, down=True)
SECRET: Final = Beginning(secret=True)
KEPT: Final = Beginning(former=True)

ROLLBACK: Final = Subject("rollback", "rollback", _rollback)
WEB: Final = Subject("rollback --service=web", "rollback", _web)
DNS: Final = Subject("rollback --service=dns", "rollback", _dns, CHANGED)
FAILING: Final = Subject("deploy, taken back", "deploy", _deploy, Beginning(failing=True))
RESTORE: Final = Subject("restore", "restore", _restore, OWED)
BACKUP: Final = Subject("backup", "backup", _nothing)
VERIFY: Final = Subject("backup.verify", "backup-verify", _nothing, Beginning(backups=1))
PRUNE: Final = Subject("backup.prune", "backup-prune", _nothing, Beginning(backups=3, left_over=True))
DUMP: Final = Subject("restore by dump", "restore", _dump, BACKED_UP)
DUMP_GIVEN_UP: Final = Subject("restore by dump, given up", "restore", _dump, BACKED_UP, given_up=True)
ALONE: Final = Subject("restore without Cloudflare", "restore", _alone, DOWN)
DUMP_ALONE: Final = Subject("restore by dump without Cloudflare", "restore", _dump_alone, DUMP_DOWN)
BUCKET: Final = Subject("backup into a bucket", "backup", _nothing, Beginning(bucket=True))
BUCKET_PRUNE: Final = Subject(
    "backup.prune of a bucket", "backup-prune", _nothing, Beginning(backups=3, left_over=True, bucket=True)
)
BUCKET_DUMP: Final = Subject(
    "restore by dump from a bucket", "restore", _dump, Beginning(backups=1, hazards=True, bucket=True)
)
FINISH: Final = Subject("restore.finish", "restore-finish", _nothing, KEPT)
RELEASE: Final = Subject("restore.release", "restore-release", _nothing, Beginning(held=True))
FOUND: Final = Subject("restore.find", FIND, _find, Beginning(backups=2))
SECRETS: Final = Subject("deploy.secrets", "secrets", _nothing, SECRET)
ARCHIVE: Final = Subject("restore by archive", "restore", _restore, OWED, own=True)
ARCHIVE_GIVEN_UP: Final = Subject("restore by archive, given up", "restore", _restore, OWED, given_up=True, own=True)
SUBJECTS: Final = (
    ROLLBACK,
    Subject("rollback --unpin", "rollback", _unpin, pinned=True),
    WEB,
    DNS,
    RESTORE,
    Subject("undo of rollback", "rollback", _rollback, undo=True),
    Subject("undo of rollback --unpin", "rollback", _unpin, undo=True, pinned=True),
    Subject("undo of rollback --service=web", "rollback", _web, undo=True),
    Subject("undo of rollback --service=dns", "rollback", _dns, CHANGED, undo=True),
    Subject("undo of restore", "restore", _restore, OWED, undo=True),
    BACKUP,
    VERIFY,
    PRUNE,
    DUMP,
    DUMP_GIVEN_UP,
    Subject("undo of restore by dump", "restore", _dump, BACKED_UP, undo=True),
    ALONE,
    DUMP_ALONE,
    Subject("undo of restore by dump without Cloudflare", "restore", _dump_alone, DUMP_DOWN, undo=True),
    BUCKET,
    BUCKET_PRUNE,
    BUCKET_DUMP,
    FINISH,
    RELEASE,
    FOUND,
    FAILING,
    Subject("deploy", "deploy", _deploy, CODE),
    Subject("deploy, its program killed", "deploy", _deploy, CODE, only_children=True),
    Subject("undo of deploy", "deploy", _deploy, CODE, undo=True),
    SECRETS,
    Subject("undo of deploy.secrets", "secrets", _nothing, SECRET, undo=True),
    ARCHIVE,
    ARCHIVE_GIVEN_UP,
    Subject("undo of restore by archive", "restore", _restore, OWED, undo=True, own=True),
    Subject("restore.finish of an archive", "restore-finish", _nothing, KEPT, own=True),
    Subject("restore.find in an archive", FIND, _find, own=True),
)
"""Those that upload come last on a twin: a provider keeps the last 100 versions only."""
