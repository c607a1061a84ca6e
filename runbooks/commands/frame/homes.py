"""Where a stack's operations are remembered: in a folder or in an object store; and who signs for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbooks.engine.record.folder import Folder
from runbooks.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.engine.record.home import Home
    from runbooks.engine.record.signature import Signer
    from runbooks.model.settings import Settings
    from runbooks.steps.backups.catalog import Catalog


def open_home(settings: Settings, *, note: Callable[[str], None]) -> Home:
    """Return the ops home of a stack; first of all, what could not be sent to it before is sent.

    Raises Refused when it lies in an object store that there is no key for, or that does not take it.
    """
    store = settings.object_store
    if store is None:
        return Folder(settings.home)
    key_id, secret_key = settings.require("AWS_ACCESS_KEY_ID"), settings.require("AWS_SECRET_ACCESS_KEY")
    from runbooks.clients.storage import Bucket  # its library is loaded only by who has such a home
    from runbooks.engine.record.spool import Spool

    bucket = Bucket(
        store.bucket,
        store.prefix,
        endpoint=store.endpoint,
        region=store.region,
        key_id=key_id,
        secret_key=secret_key,
        session_token=settings.environment.get("AWS_SESSION_TOKEN"),
    )
    spool = Spool(bucket, settings.home / "spool" / store.label, note=note)
    try:
        spool.push()
    except OSError as error:
        message = f"{settings.file.name}: the ops home {settings.stack.ops_home} cannot be used: {error}"
        raise Refused(message, next_command=f"edit {settings.file}") from error
    return spool


def open_catalog(settings: Settings) -> Catalog:
    """Return the own backups of a stack. Raises Refused when they lie in an object store that there is no key for."""
    from runbooks.clients.stores.files import FolderFiles  # loaded only by who looks at backups
    from runbooks.steps.backups.catalog import Catalog

    store = settings.backup_store
    if store is None:
        return Catalog(FolderFiles(settings.backup_folder))
    key_id, secret_key = settings.require("AWS_ACCESS_KEY_ID"), settings.require("AWS_SECRET_ACCESS_KEY")
    from runbooks.clients.stores.bucket import BucketFiles  # its library is loaded only by who has such a store

    files = BucketFiles(
        store.bucket,
        store.prefix,
        endpoint=store.endpoint,
        region=store.region,
        key_id=key_id,
        secret_key=secret_key,
        session_token=settings.environment.get("AWS_SESSION_TOKEN"),
    )
    return Catalog(files)


def signer_of(settings: Settings, *, note: Callable[[str], None]) -> Signer | None:
    """Return who signs how runs end; say so where somebody should and nobody can. Raises Refused for a bad key."""
    signers, key = settings.stack.signers, settings.environment.get("EMS_SIGNING_KEY")
    if not key:
        if signers:
            note("EMS_SIGNING_KEY is not set: how runs end is not signed from here")
        return None
    from runbooks.engine.record.signature import Signer  # its library is loaded only by who signs

    signer = Signer(key)
    if signers and signer.public not in signers.values():
        note(f"EMS_SIGNING_KEY is none of ems-ops:signers; its public key is {signer.public}")
    return signer
