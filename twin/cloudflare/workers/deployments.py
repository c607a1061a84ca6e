"""Send a Worker's traffic to versions: deploy, split and roll back are one call, `POST …/deployments`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cloudflare.errors import ApiError, Json, ok, page, read
from twin.cloudflare.store import ENGINES, changed, found, now, source_of, store_of, version_id
from twin.cloudflare.workers import bindings, classes, versions
from twin.route import Route
from twin.world import UnrunnableError

if TYPE_CHECKING:
    from aiohttp import web

    from twin.cloudflare.store import Store

MOST_VERSIONS = 2
LISTED = 10  # entries of an unpaged list, as seen in September 2026


def live(worker: Json) -> tuple[tuple[str, float], ...]:
    """Return version ids with percentages of the newest deployment."""
    if not worker["deployments"]:
        return ()
    return tuple((p["version_id"], float(p["percentage"])) for p in worker["deployments"][-1]["versions"])


async def deploy(request: web.Request, worker: Json, parts: list[Json], notes: Json, *, trigger: str) -> Json:
    """Put a deployment on top and wait until the engines serve it; taken back with 10021 when they cannot."""
    deployment: Json = {
        "id": version_id(),
        "source": source_of(request),
        "strategy": "percentage",
        "author_email": "operator@example.com",
        "created_on": now(),
        "annotations": {**notes, "workers/triggered_by": trigger},
        "versions": parts,
    }
    worker["deployments"].append(deployment)
    try:
        await request.app[ENGINES].switch(worker["name"])
    except UnrunnableError as error:
        worker["deployments"].remove(deployment)
        await request.app[ENGINES].switch(worker["name"])
        raise ApiError(400, 10021, str(error)) from error
    remember_secrets(worker)
    return deployment


def remember_secrets(worker: Json) -> None:
    """Note the secret values that are live now; 10220 compares a version that was active before with them."""
    for version, _ in live(worker):
        worker["secrets"] |= bindings.secret_values(versions.get(worker, version)["bindings"])


def check_parts(worker: Json, sent: object) -> list[Json]:
    """Return one or two versions with percentages that total 100; 400 with 10021, or 10025 for an unknown version."""
    if not isinstance(sent, list) or not 1 <= len(sent) <= MOST_VERSIONS:
        raise ApiError(400, 10021, "A deployment must have one or two versions.")
    known = {version["id"] for version in worker["versions"][-versions.DEPLOYABLE :]}
    parts: list[Json] = []
    for part in sent:
        share = part.get("percentage")
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 100:  # noqa: PLR2004
            raise ApiError(400, 10021, "percentage must be a number from 0 to 100.")
        if part.get("version_id") not in known:
            raise ApiError(400, 10025, f"The requested Worker version could not be found: {part.get('version_id')}")
        parts.append({"version_id": part["version_id"], "percentage": share})
    if abs(sum(part["percentage"] for part in parts) - 100) > 1e-6:  # noqa: PLR2004
        raise ApiError(400, 10021, "The percentages of a deployment must total 100.")
    return parts


def check_bound(store: Store, worker: Json, parts: list[Json]) -> None:
    """Refuse a version that is bound to something that is gone since (documented; as which code is unconfirmed)."""
    for part in parts:
        version = versions.get(worker, part["version_id"])
        classes.check_tag(worker, version)
        for binding in version["bindings"]:
            bindings.check(store, binding)


def changed_secrets(worker: Json, parts: list[Json]) -> list[str]:
    """Return the secrets that were changed since a version was active that is to be active again."""
    active = {part["version_id"] for d in worker["deployments"] for part in d["versions"]}
    now_live = {version for version, _ in live(worker)}
    names: set[str] = set()
    for part in parts:
        if part["version_id"] in active - now_live:
            values = bindings.secret_values(versions.get(worker, part["version_id"])["bindings"])
            names |= {name for name, text in values.items() if worker["secrets"].get(name) != text}
    return sorted(names)


async def post(request: web.Request) -> web.Response:
    """Deploy, split or roll back; refused with 10220 when secrets changed since, unless `?force=true`."""
    worker = store_of(request).worker(request.match_info["script"])
    body = await read(request)
    if body.get("strategy") != "percentage":
        raise ApiError(400, 10021, "strategy must be 'percentage'.")
    parts = check_parts(worker, body.get("versions"))
    check_bound(store_of(request), worker, parts)
    notes = {k: v for k, v in (body.get("annotations") or {}).items() if k != "workers/triggered_by"}
    versions.check_notes(notes)
    secrets = changed_secrets(worker, parts)
    if secrets and request.query.get("force") != "true":
        text = (
            "A secret has changed since this version was active. If you are sure this is ok, add a ?force=true "
            f"query parameter to allow the rollback. The following secrets have changed: {', '.join(secrets)}"
        )
        raise ApiError(400, 10220, text)
    deployment = await deploy(request, worker, parts, notes, trigger="deployment")
    split = ", ".join(f"{part['version_id']} {part['percentage']:g}%" for part in parts)
    changed(request, f"{worker['name']} deployed: {split}")
    return ok(deployment)


async def listing(request: web.Request) -> web.Response:
    """List deployments in `result.deployments`, newest first: the first one is live."""
    worker = store_of(request).worker(request.match_info["script"])
    newest = [d for d in worker["deployments"][::-1] if in_range(d, request)]
    rows, info = page(request, newest, per_page=LISTED, most=100)
    return ok({"deployments": rows}, info=info)


def in_range(deployment: Json, request: web.Request) -> bool:
    """Tell whether a deployment lies within `since` and `until`."""
    when = str(deployment["created_on"])
    return request.query.get("since", "") <= when <= request.query.get("until", "9")


def find(request: web.Request) -> tuple[Json, Json]:
    """Return the Worker and the deployment of the path; 404 with 10025."""
    worker = store_of(request).worker(request.match_info["script"])
    wanted = request.match_info["deployment"]
    rows = {deployment["id"]: deployment for deployment in worker["deployments"]}
    return worker, found(rows, wanted, 10025, f"The requested deployment could not be found: {wanted}")


async def get(request: web.Request) -> web.Response:
    """Show a deployment; an older one answers too, so a refresh sees no drift after a rollback."""
    return ok(find(request)[1])


async def delete(request: web.Request) -> web.Response:
    """Delete a deployment that is not the live one."""
    worker, deployment = find(request)
    if deployment is worker["deployments"][-1]:
        raise ApiError(400, 10021, "The active deployment cannot be deleted.")
    worker["deployments"].remove(deployment)
    changed(request, f"deployment {deployment['id']} of {worker['name']} deleted")
    return ok(None)


PATH = "/accounts/{account}/workers/scripts/{script}/deployments"
ROUTES = (
    Route("POST", PATH, post, "recorded provider requests; wrangler's rollback tests"),
    Route("GET", PATH, listing, "recorded wrangler 4.86"),
    Route("GET", PATH + "/{deployment}", get, "recorded provider requests"),
    Route("DELETE", PATH + "/{deployment}", delete, "official SDK"),
)
