"""Hyperdrive, KV and R2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.twin import serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.twin.official.sdk import Sdk

HYPERDRIVE = "/accounts/{account}/hyperdrive/configs"
KV = "/accounts/{account}/storage/kv/namespaces"
R2 = "/accounts/{account}/r2/buckets"
SPACE, BUCKET = KV + "/{id}", R2 + "/{name}"
ORIGIN = {"scheme": "postgres", "host": "127.0.0.1", "port": 5433, "database": "d", "user": "u", "password": "p"}
LIFECYCLE = {
    "id": "old",
    "enabled": True,
    "conditions": {"prefix": ""},
    "deleteObjectsTransition": {"condition": {"type": "Age", "maxAge": 86400}},
}
LOCK = {"id": "keep", "enabled": True, "prefix": "x/", "condition": {"type": "Age", "maxAgeSeconds": 60}}
CORS = {"allowed": {"methods": ["GET"], "origins": ["https://example.com"]}}


def values(it: Sdk) -> Any:  # noqa: ANN401 - the client's room
    """Return the client's calls on single keys."""
    return it.api.kv.namespaces.values


def here(it: Sdk) -> dict[str, str]:
    """Return account and namespace as arguments."""
    return {**it.a, "namespace_id": it.space}


def inside(it: Sdk) -> dict[str, str]:
    """Return account and bucket as arguments."""
    return {**it.a, "bucket_name": it.bucket}


def hosted(it: Sdk) -> tuple[str, dict[str, str]]:
    """Put a new bucket on a custom domain; return the domain, and account and bucket as arguments."""
    bucket, host = it.new_bucket(), f"{it.fresh('files')}.{serving.ZONE}"
    it.api.r2.buckets.domains.custom.create(bucket, **it.a, domain=host, enabled=True, zone_id=it.zone)
    return host, {**it.a, "bucket_name": bucket}


def custom(it: Sdk, method: str, **sent: Any) -> Any:  # noqa: ANN401 - the client's model
    """Call something on a new custom domain of a bucket."""
    host, place = hosted(it)
    return getattr(it.api.r2.buckets.domains.custom, method)(host, **place, **sent)


def written(it: Sdk, key: str) -> str:
    """Write an object and return its key."""
    it.api.r2.buckets.objects.upload(key, b"bytes", **inside(it))
    return key


def put_key(it: Sdk, key: str) -> str:
    """Write a key and return it."""
    values(it).update(key, **here(it), value=b"v", metadata={"n": 1})
    return key


CASES: dict[str, Callable[[Sdk], object]] = {
    f"POST {HYPERDRIVE}": lambda it: it.config(),
    f"GET {HYPERDRIVE}": lambda it: it.config() and list(it.api.hyperdrive.configs.list(**it.a)),
    f"GET {HYPERDRIVE}/{{id}}": lambda it: it.api.hyperdrive.configs.get(it.config(), **it.a),
    f"PUT {HYPERDRIVE}/{{id}}": lambda it: it.api.hyperdrive.configs.update(
        it.config(), **it.a, name=it.fresh("config"), origin=ORIGIN
    ),
    f"PATCH {HYPERDRIVE}/{{id}}": lambda it: it.api.hyperdrive.configs.edit(
        it.config(), **it.a, caching={"disabled": True}
    ),
    f"POST {HYPERDRIVE}/{{id}}/restart": lambda it: it.api.hyperdrive.configs.restart(it.config(), **it.a).restarted_on,
    f"DELETE {HYPERDRIVE}/{{id}}": lambda it: it.api.hyperdrive.configs.delete(it.config(), **it.a),
    f"POST {KV}": lambda it: it.api.kv.namespaces.create(**it.a, title=it.fresh("space")),
    f"GET {KV}": lambda it: it.space and list(it.api.kv.namespaces.list(**it.a)),
    f"GET {SPACE}": lambda it: it.api.kv.namespaces.get(it.space, **it.a),
    f"PUT {SPACE}": lambda it: it.api.kv.namespaces.update(it.space, **it.a, title=it.fresh("space")),
    f"DELETE {SPACE}": lambda it: it.api.kv.namespaces.delete(
        it.api.kv.namespaces.create(**it.a, title=it.fresh("space")).id, **it.a
    ),
    f"PUT {SPACE}/values/{{key:.+}}": lambda it: values(it).update("a b/ü", **here(it), value=b"v"),
    f"GET {SPACE}/values/{{key:.+}}": lambda it: values(it).get("a/key", **here(it)).read() == b"text",
    f"DELETE {SPACE}/values/{{key:.+}}": lambda it: values(it).delete(put_key(it, "old"), **here(it)),
    f"GET {SPACE}/metadata/{{key:.+}}": lambda it: it.api.kv.namespaces.metadata.get("a/key", **here(it)),
    f"GET {SPACE}/keys": lambda it: put_key(it, "listed") and list(it.api.kv.namespaces.keys.list(it.space, **it.a)),
    f"PUT {SPACE}/bulk": lambda it: it.api.kv.namespaces.bulk_update(
        it.space, **it.a, body=[{"key": "many", "value": "1"}]
    ),
    f"POST {SPACE}/bulk/get": lambda it: it.api.kv.namespaces.bulk_get(it.space, **it.a, keys=["a/key"]),
    f"POST {SPACE}/bulk/delete": lambda it: it.api.kv.namespaces.bulk_delete(it.space, **it.a, body=["many"]),
    f"POST {R2}": lambda it: it.new_bucket(),
    f"GET {R2}": lambda it: it.bucket and it.api.r2.buckets.list(**it.a).buckets,
    f"GET {BUCKET}": lambda it: it.api.r2.buckets.get(it.bucket, **it.a),
    f"PATCH {BUCKET}": lambda it: it.api.r2.buckets.edit(it.bucket, **it.a, storage_class="InfrequentAccess"),
    f"DELETE {BUCKET}": lambda it: it.api.r2.buckets.delete(it.new_bucket(), **it.a),
    f"GET {BUCKET}/lifecycle": lambda it: it.api.r2.buckets.lifecycle.get(it.bucket, **it.a),
    f"PUT {BUCKET}/lifecycle": lambda it: it.api.r2.buckets.lifecycle.update(it.bucket, **it.a, rules=[LIFECYCLE]),
    f"GET {BUCKET}/lock": lambda it: it.api.r2.buckets.locks.get(it.bucket, **it.a),
    f"PUT {BUCKET}/lock": lambda it: it.api.r2.buckets.locks.update(it.bucket, **it.a, rules=[LOCK]),
    f"GET {BUCKET}/cors": lambda it: it.api.r2.buckets.cors.get(it.bucket, **it.a),
    f"PUT {BUCKET}/cors": lambda it: it.api.r2.buckets.cors.update(it.bucket, **it.a, rules=[CORS]),
    f"DELETE {BUCKET}/cors": lambda it: it.api.r2.buckets.cors.delete(it.bucket, **it.a),
    f"POST {BUCKET}/domains/custom": lambda it: hosted(it)[0],
    f"GET {BUCKET}/domains/custom": lambda it: (
        it.api.r2.buckets.domains.custom.list(hosted(it)[1]["bucket_name"], **it.a).domains
    ),
    f"GET {BUCKET}/domains/custom/{{domain}}": lambda it: custom(it, "get"),
    f"PUT {BUCKET}/domains/custom/{{domain}}": lambda it: custom(it, "update", enabled=False, min_tls="1.2"),
    f"DELETE {BUCKET}/domains/custom/{{domain}}": lambda it: custom(it, "delete"),
    f"GET {BUCKET}/domains/managed": lambda it: it.api.r2.buckets.domains.managed.list(it.bucket, **it.a),
    f"PUT {BUCKET}/domains/managed": lambda it: it.api.r2.buckets.domains.managed.update(
        it.bucket, **it.a, enabled=True
    ),
    f"GET {BUCKET}/objects": lambda it: list(it.api.r2.buckets.objects.list(it.bucket, **it.a)),
    f"PUT {BUCKET}/objects/{{key:.+}}": lambda it: it.api.r2.buckets.objects.upload("b c/ü", b"x", **inside(it)),
    f"GET {BUCKET}/objects/{{key:.+}}": lambda it: (
        it.api.r2.buckets.objects.get(written(it, "got"), **inside(it)).read() == b"bytes"
    ),
    f"DELETE {BUCKET}/objects/{{key:.+}}": lambda it: it.api.r2.buckets.objects.delete(
        written(it, "old"), **inside(it)
    ),
    "POST /accounts/{account}/r2/temp-access-credentials": lambda it: it.api.r2.temporary_credentials.create(
        **it.a, bucket=it.bucket, parent_access_key_id="k", permission="object-read-only", ttl_seconds=60
    ),
}
