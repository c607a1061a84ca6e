"""Where a stack's operations are remembered: in a folder, or in an object store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbooks.engine.record.folder import Folder

if TYPE_CHECKING:
    from runbooks.engine.record.home import Home
    from runbooks.model.settings import Settings


def open_home(settings: Settings) -> Home:
    """Return the ops home of a stack. Raises Refused when it lies in an object store and there is no key for it."""
    store = settings.object_store
    if store is None:
        return Folder(settings.home)
    key_id, secret_key = settings.require("AWS_ACCESS_KEY_ID"), settings.require("AWS_SECRET_ACCESS_KEY")
    from runbooks.clients.storage import Bucket  # its library is loaded only by who has such a home

    return Bucket(
        store.bucket,
        store.prefix,
        endpoint=store.endpoint,
        region=store.region,
        key_id=key_id,
        secret_key=secret_key,
        session_token=settings.environment.get("AWS_SESSION_TOKEN"),
    )
