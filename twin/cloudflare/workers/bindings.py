"""Read the bindings of an upload, show them without secrets, resolve them for the runtime.

Source: facts of 2026-11-23 on uploads (`keep_bindings`, `inherit`, 10021, 10057) from wrangler's upload form and the
official SDK's version parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cloudflare.errors import ApiError, Json, listed, shaped
from twin.cloudflare.workers.classes import bound

if TYPE_CHECKING:
    from twin.cloudflare.store import Store

SERVED = frozenset(
    (
        *("analytics_engine", "assets", "data_blob", "durable_object_namespace", "hyperdrive", "inherit", "json"),
        *("kv_namespace", "plain_text", "r2_bucket", "ratelimit", "secret_text", "service", "text_blob"),
        *("version_metadata", "wasm_module"),
    )
)
"""What Workers get here; of `analytics_engine` nothing is kept."""
PERIODS = (10, 60)  # seconds over which a rate limit counts
HIDDEN = {"secret_text": ("text",), "secret_key": ("key_jwk", "key_base64")}
ONLY_LATEST = "only the literal 'latest' is supported by this API"
"""The end of a refusal by the upload of a script's version (several public records of 2026); that the JSON API says
the same is unconfirmed."""
NEEDED = {
    "plain_text": "text",
    "json": "json",
    "kv_namespace": "namespace_id",
    "r2_bucket": "bucket_name",
    "hyperdrive": "id",
    "service": "service",
    "queue": "queue_name",
    "analytics_engine": "dataset",
    "secret_text": "text",
}


def accept(store: Store, worker: Json, body: Json, *, strict: bool, classes: Json) -> list[Json]:
    """Return the bindings of a new version, sorted by name, inherited ones filled in.

    Its `keep_bindings` names the kinds that the newest version's bindings keep without being listed.
    Raises 400/10021 for a malformed binding, 400/10057 for an `inherit` that leads nowhere when `strict`.
    """
    taken: dict[str, Json] = {}
    newest = worker["versions"][-1]["bindings"] if worker["versions"] else []
    for old in newest:
        if old["type"] in listed(body, "keep_bindings", str):
            taken[old["name"]] = dict(old)
    for binding in listed(body, "bindings", dict):
        name = shaped(binding, name=str, type=str).get("name", "")
        if not name or not binding.get("type"):
            raise ApiError(400, 10021, "Binding name and type must be specified.")
        if binding["type"] == "inherit":
            if (wanted := binding.get("version_id", "latest")) != "latest":
                text = f"inherit binding '{name}' is invalid: 'version_id' value '{wanted}' is invalid, {ONLY_LATEST}"
                raise ApiError(400, 10057, text)
            found = inherited(worker, binding)
            if found is not None:
                taken[name] = {**found, "name": name}
            elif strict:
                text = f"Binding '{name}' could not be inherited: the previous version has no binding of that name."
                raise ApiError(400, 10057, text)
            continue
        check(store, binding)
        durable = binding["type"] == "durable_object_namespace"
        taken[name] = bound(worker, classes, binding) if durable else dict(binding)
    return [taken[name] for name in sorted(taken)]


def inherited(worker: Json, binding: Json) -> Json | None:
    """Return the binding that an `inherit` one stands for: the newest upload's, whether that was deployed or not."""
    newest = worker["versions"][-1]["bindings"] if worker["versions"] else []
    old_name = binding.get("old_name") or binding["name"]
    found: Json | None = next((b for b in newest if b["name"] == old_name), None)
    return found


def check(store: Store, binding: Json) -> None:
    """Refuse a binding without its field, or to something that the account does not have."""
    kind, name = binding["type"], binding["name"]
    if kind not in SERVED:
        text = f"the twin gives Workers no binding of type {kind} ({name}): add it to twin/workerd/config.py"
        raise ApiError(501, 10021, text)
    if kind == "ratelimit":
        simple = shaped(shaped(binding, simple=dict).get("simple") or {}, limit=int, period=int)
        if simple.get("period") not in PERIODS or not simple.get("limit"):
            raise ApiError(400, 10021, f"binding {name}: simple.limit must be set and simple.period one of 10, 60")
    need = NEEDED.get(kind)
    shaped(binding, **{need: str} if need and kind != "json" else {})
    if need and binding.get(need) is None and not (kind == "hyperdrive" and binding.get("hyperdrive_id")):
        raise ApiError(400, 10021, f"invalid or missing {need} property for binding {name}")
    if kind == "hyperdrive" and binding.get("id", binding.get("hyperdrive_id")) not in store.data["hyperdrive"]:
        raise ApiError(400, 10021, f"hyperdrive config {binding['id']} of binding {name} not found")
    if kind == "kv_namespace" and binding["namespace_id"] not in store.data["namespaces"]:
        raise ApiError(400, 10041, f"KV namespace '{binding['namespace_id']}' not found.")
    if kind == "r2_bucket" and binding["bucket_name"] not in store.data["buckets"]:
        raise ApiError(400, 10085, f"R2 bucket '{binding['bucket_name']}' not found.")


def shown(bindings: list[Json]) -> list[Json]:
    """Return the bindings as the API shows them: no secret values."""
    return [{k: v for k, v in b.items() if k not in HIDDEN.get(b["type"], ())} for b in bindings]


def secret_values(bindings: list[Json]) -> dict[str, str]:
    """Return the secret texts by name."""
    return {b["name"]: b["text"] for b in bindings if b["type"] == "secret_text"}


def resolved(store: Store, bindings: list[Json]) -> tuple[Json, ...]:
    """Return the bindings as the runtime needs them: a hyperdrive binding gets its `origin`."""
    whole = []
    for binding in bindings:
        origin = store.data["hyperdrive"].get(binding.get("id", ""), {}).get("origin")
        whole.append({**binding, "origin": dict(origin)} if origin else dict(binding))
    return tuple(whole)
