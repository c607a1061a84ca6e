"""Where a stack's operations are remembered: in a folder, or in an object store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbooks.engine.record.folder import Folder
from runbooks.engine.record.spool import Spool
from runbooks.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.engine.record.home import Home
    from runbooks.model.settings import Settings


def open_home(settings: Settings, *, note: Callable[[str], None]) -> Home:
    """Return the ops home of a stack; first of all, what could not be sent to it before is sent.

    Raises Refused when it lies in an object store that there is no key for, or that does not take it.
    """
    store = settings.object_store
    if store is None:
        return Folder(settings.home)
    key_id, secret_key = settings.require("AWS_ACCESS_KEY_ID"), settings.require("AWS_SECRET_ACCESS_KEY")
    from runbooks.clients.storage import Bucket  # its library is loaded only by who has such a home

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
