"""Have a backup on this machine as pg_restore reads it: every file proven against the manifest, and decrypted."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.model.errors import CheckError, Unreachable
from runbooks.steps.backups.catalog import CONTENTS, check_file
from runbooks.steps.backups.sealing import opened
from runbooks.steps.database.proof import manifest as proof

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runbooks.steps.backups.catalog import Catalog, Manifest, StoredFile
    from runbooks.steps.backups.sealing import Seal

FETCHED: Final = "fetched"
"""The folder of this machine for backups that lie elsewhere or are encrypted; what is in it is plain."""


def fetch(
    catalog: Catalog,
    manifest: Manifest,
    into: Path,
    *,
    private_key: str | None,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Path:
    """Return the folder that holds `dump/` and the contents' manifest: the backup's own where it can be read as it is.

    Raises Refused without its key, CheckError where a file is not what was written, Unreachable without the store.
    """
    own = catalog.files.path(manifest.id)
    if own is not None and manifest.envelope is None:
        if faults := catalog.faults(manifest):
            message = f"backup {manifest.id}: {faults}."
            raise CheckError(message)
        return own
    seal = opened(manifest.envelope, private_key) if manifest.envelope else None
    done = 0
    for file in manifest.files:
        path = into / file.name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with path.open("wb") as out:
                for piece in _content(catalog, manifest.id, file, seal):
                    out.write(piece)
                    done += len(piece)
                    report(min(done, manifest.bytes), manifest.bytes)
        except FileNotFoundError:
            message = f"backup {manifest.id}: {file.name} is missing."
            raise CheckError(message) from None
        except OSError as error:
            message = f"backup {manifest.id}: {file.name} could not be brought to {into}: {error}"
            raise Unreachable(message) from None
    return into


def contents_of(folder: Path) -> proof.Manifest:
    """Return what the database held, as it was written down when the backup was made. Raises CheckError."""
    try:
        return msgspec.json.decode((folder / CONTENTS).read_bytes(), type=proof.Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        message = f"{folder / CONTENTS}: cannot be read: {error}"
        raise CheckError(message) from None


def _content(catalog: Catalog, backup: str, file: StoredFile, seal: Seal | None) -> Iterator[bytes]:
    """Yield a file's plain content, and prove at its end that it is the one that the manifest names."""
    digest, size = hashlib.sha256(), 0

    def read() -> Iterator[bytes]:
        nonlocal size
        for piece in catalog.files.pieces(f"{backup}/{file.name}"):
            digest.update(piece)
            size += len(piece)
            yield piece

    yield from seal.decrypted(file.name, read()) if seal else read()
    check_file(backup, file, digest.hexdigest(), size)
