"""One case for each call that the twin answers: how the official client makes it. `LACKING` says which it has not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.twin.official.calls import accounts, observability, pages, protection, storage, workers, zones

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.twin.official.sdk import Sdk

CASES: dict[str, Callable[[Sdk], object]] = {
    **accounts.CASES,
    **observability.CASES,
    **pages.CASES,
    **protection.CASES,
    **storage.CASES,
    **workers.CASES,
    **zones.CASES,
}
LACKING = {
    "DELETE /accounts/{account}/storage/kv/namespaces/{id}/bulk": "the older form of bulk/delete, which wrangler uses",
    "GET /accounts/{account}/workers/domains/records/{domain}": "not in the OpenAPI: wrangler's own",
    "POST /accounts/{account}/workers/scripts/{script}/domains/changeset": "not in the OpenAPI: wrangler's own",
    "PUT /accounts/{account}/workers/scripts/{script}/domains/records": "not in the OpenAPI: wrangler's own",
    "PUT /accounts/{account}/workers/scripts/{script}/routes": "not in the OpenAPI: wrangler's own",
    "DELETE /accounts/{account}/workers/services/{script}": "not in the OpenAPI: wrangler's own",
    "GET /accounts/{account}/workers/services/{script}": "not in the OpenAPI: wrangler's and the provider's own",
    "PATCH /accounts/{account}/workers/workers/{worker}/versions/latest": "newer than the client's OpenAPI",
    "GET /zones/{zone}/settings": "no longer in the OpenAPI, though documented",
    "PATCH /zones/{zone}/settings": "no longer in the OpenAPI, though documented",
    "POST /graphql": "the client speaks REST only",
}
