"""Keep which classes of a Worker are Durable Objects: migrations make, rename and delete them.

Sources: public issues of cloudflare/workers-sdk and cloudflare-docs that quote 10061, 10070, 10079 and 10211; the
upload form of wrangler. What a rollback across a migration is told is unconfirmed; that it is refused is documented.
"""

from __future__ import annotations

import re

from twin.cloudflare.errors import ApiError, Json, listed, shaped
from twin.cloudflare.store import object_id

PLAIN = (
    "Version upload failed. You attempted to upload a version of a Worker that includes a Durable Object migration, "
    "but migrations must be fully applied via a non-versioned deployment. Refer to the documentation for more "
    "information."
)


def migrated(worker: Json, sent: object, code: str, *, deploys: bool) -> Json:
    """Return tag and classes of a Worker after the migrations of an upload, whose main module is `code`."""
    now: Json = {"tag": worker.get("migration_tag", ""), "classes": dict(worker.get("classes", {}))}
    if not sent:
        return now
    if not deploys:
        raise ApiError(400, 10211, PLAIN)
    wanted = shaped(sent, old_tag=str, new_tag=str, steps=list)
    if "new_tag" in wanted and wanted.get("old_tag", "") != now["tag"]:
        raise ApiError(400, 10079, f"Migration tag precondition failed; current tag is {now['tag']}")
    for step in listed(wanted, "steps", dict) or [wanted]:
        apply(now["classes"], step, code)
    return now | {"tag": wanted.get("new_tag", now["tag"])}


def apply(classes: Json, step: Json, code: str) -> None:
    """Do one step of a migration."""
    if step.get("transferred_classes"):
        text = (
            "the twin takes no Durable Objects over from another Worker: add it to twin/cloudflare/workers/classes.py"
        )
        raise ApiError(501, 10021, text)
    for kind in ("new_classes", "new_sqlite_classes"):
        for name in listed(step, kind, str):
            if name in classes:
                text = f"Cannot apply new-class migration to class {name} that is already depended on by existing "
                raise ApiError(400, 10074, text + "Durable Objects")
            exported(code, name)
            classes[name] = {"key": object_id(), "sqlite": kind == "new_sqlite_classes"}
    for row in listed(step, "renamed_classes", dict):
        held(classes, str(row.get("from")))
        exported(code, str(row.get("to")))
        classes[str(row["to"])] = classes.pop(str(row["from"]))
    for name in listed(step, "deleted_classes", str):
        held(classes, name)
        del classes[name]


def held(classes: Json, name: str) -> None:
    """Refuse to rename or delete a class that is none (code and text unconfirmed)."""
    if name not in classes:
        raise ApiError(400, 10061, f"Class '{name}' is not configured to implement Durable Objects.")


def exported(code: str, name: str) -> None:
    """Refuse a class that the main module does not export."""
    word = re.escape(name)
    if not re.search(rf"export\s+(default\s+)?class\s+{word}\b|export\s*{{[^}}]*\b{word}\b|export\s*\*", code):
        raise ApiError(400, 10070, f"Cannot apply new-class migration to class {name} that is not exported by script")


def bound(worker: Json, classes: Json, binding: Json) -> Json:
    """Return a binding to a Durable Object with the id of its class; 10061 when the Worker has no such class."""
    name, other = str(binding.get("class_name")), binding.get("script_name")
    if other and other != worker["name"]:
        text = f"the twin binds no Durable Objects of another Worker ({other}): add it to twin/workerd/config.py"
        raise ApiError(501, 10021, text)
    if name not in classes:
        text = f"Cannot create binding for class '{name}' because it is not currently configured to implement Durable "
        raise ApiError(400, 10061, text + "Objects. Ensure a --new-class migration has been applied to it.")
    return {**binding, "namespace_id": classes[name]["key"]}


def check_tag(worker: Json, version: Json) -> None:
    """Refuse traffic for a version from before the latest migration, as documented of rollbacks."""
    tag = worker.get("migration_tag", "")
    if version.get("migration_tag", "") != tag:
        raise ApiError(400, 10079, f"Migration tag precondition failed; current tag is {tag}")
