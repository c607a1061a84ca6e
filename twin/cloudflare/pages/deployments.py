"""Deploy a site from uploaded files, list deployments, roll back: only `canonical` moves."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from aiohttp import BodyPartReader

from twin.cloudflare.alerting.dispatch import DISPATCHER, Event
from twin.cloudflare.errors import ApiError, Json, ok
from twin.cloudflare.pages import projects, rules, uploads
from twin.cloudflare.store import changed, found, now, object_id, store_of, version_id
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

    from twin.cloudflare.store import Store

STAGES = ("queued", "initialize", "clone_repo", "build", "deploy")
MESSAGE_BYTES = 384
TEXT_FILES = ("_headers", "_redirects")
FUNCTIONS = ("_worker.js", "_worker.bundle", "_routes.json", "functions-filepath-routing-config.json")
NOT_FOUND = "The deployment ID you have specified does not exist. Update the deployment ID and try again."


async def read_form(request: web.Request) -> Json:
    """Return the parts of the multipart form as text."""
    if not request.content_type.startswith("multipart/"):
        raise ApiError(400, 8000000, "Content-Type must be multipart/form-data.")
    form: Json = {}
    async for part in await request.multipart():
        if isinstance(part, BodyPartReader) and part.name:
            form[part.name] = bytes(await part.read(decode=True)).decode("utf-8", "replace")
    return form


def check_manifest(store: Store, text: str | None) -> dict[str, str]:
    """Return path to hash; 400 when it is missing, names a file that was not uploaded, or whose hash is not its own."""
    if text is None:
        raise ApiError(400, 8000096, 'A "manifest" field was expected in the request body but was not provided.')
    manifest: dict[str, str] = json.loads(text)
    for path, key in manifest.items():
        if key not in store.data["assets"]:
            raise ApiError(400, 8000000, f"The file {path} ({key}) was not uploaded.")
        name = path.rpartition("/")[2]
        extension = name.rpartition(".")[2] if "." in name[1:] else ""
        if uploads.hash_of(store.blob(f"asset-{key}"), extension) != key:
            raise ApiError(400, 8000000, f"The hash of {path} is not that of its content.")
    return manifest


async def post(request: web.Request) -> web.Response:
    """Deploy uploaded files; on the production branch the deployment goes live, else it is a preview with an alias."""
    store, project = store_of(request), projects.find(request)
    form = await read_form(request)
    if any(name in form for name in FUNCTIONS):
        raise ApiError(501, 8000000, "the twin runs no Pages Functions: add them to twin/cloudflare/pages/sites.py")
    branch = form.get("branch") or project["production_branch"]
    production = branch == project["production_branch"]
    try:
        manifest = check_manifest(store, form.get("manifest"))
    except ApiError:
        tell(request, project, "FAILED", branch=branch, production=production)
        raise
    deployment = build(project, branch, form, production=production)
    deployment["manifest"] = manifest
    deployment["rules"] = rules.read_rules(*(form.get(name, "") for name in TEXT_FILES))
    project["deployments"].append(deployment)
    if production:
        project["canonical"] = deployment["id"]
    changed(request, f"Pages project {project['name']}: deployment {deployment['id']} ({deployment['environment']})")
    tell(request, project, "SUCCESS", branch=branch, production=production, deployment=deployment)
    return ok(projects.shown_deployment(deployment))


def tell(
    request: web.Request, project: Json, what: str, *, branch: str, production: bool, deployment: Json | None = None
) -> None:
    """Tell those who want to know of a deployment that started and how it ended; the fields are not confirmed."""
    environment = "ENVIRONMENT_PRODUCTION" if production else "ENVIRONMENT_PREVIEW"
    shown = deployment or {}
    for event in ("EVENT_DEPLOYMENT_STARTED", f"EVENT_DEPLOYMENT_{what}"):
        facts = {"project_id": project["id"], "environment": environment, "event": event}
        data = facts | {
            "project_name": project["name"],
            "branch": branch,
            "deployment_id": shown.get("id", ""),
            "commit_hash": shown.get("deployment_trigger", {}).get("metadata", {}).get("commit_hash", ""),
            "preview_url": shown.get("url", ""),
        }
        words = event.removeprefix("EVENT_").replace("_", " ").lower()
        text = f"Pages project {project['name']}: {words} on {branch}"
        request.app[DISPATCHER].tell(Event(alert_type="pages_event_alert", text=text, data=data, facts=facts))


def build(project: Json, branch: str, form: Json, *, production: bool) -> Json:
    """Return the deployment object; it succeeds at once."""
    deployment_id, when = version_id(), now()
    short, name = deployment_id.split("-")[0], project["name"]
    message = form.get("commit_message", "")
    if len(message.encode()) > MESSAGE_BYTES:
        raise ApiError(400, 8000000, f"commit_message is longer than {MESSAGE_BYTES} bytes.")
    trigger = {
        "branch": branch,
        "commit_hash": form.get("commit_hash") or object_id() + object_id()[:8],
        "commit_message": message,
        "commit_dirty": form.get("commit_dirty") == "true",
    }
    stages = [{"name": stage, "status": "success", "started_on": when, "ended_on": when} for stage in STAGES]
    return {
        "id": deployment_id,
        "short_id": short,
        "project_id": project["id"],
        "project_name": name,
        "environment": "production" if production else "preview",
        "url": f"https://{short}.{name}.pages.dev",
        "created_on": when,
        "modified_on": when,
        "aliases": None if production else [f"https://{alias(branch)}.{name}.pages.dev"],
        "is_skipped": False,
        "production_branch": project["production_branch"],
        "uses_functions": False,
        "latest_stage": stages[-1],
        "stages": stages,
        "deployment_trigger": {"type": "ad_hoc", "metadata": trigger},
        "build_config": project["build_config"],
        "env_vars": {},
        "source": project["source"],
    }


def alias(branch: str) -> str:
    """Return a branch's host label: lower case, all but letters and digits a dash, 28 characters."""
    return re.sub(r"[^a-z0-9]+", "-", branch.lower()).strip("-")[:28].strip("-")


async def listing(request: web.Request) -> web.Response:
    """List deployments, newest first, 25 a page at most; `?env=production|preview`."""
    rows = projects.find(request)["deployments"][::-1]
    if "env" in request.query:
        rows = [row for row in rows if row["environment"] == request.query["env"]]
    part, info = projects.paged(request, rows)
    return ok([projects.shown_deployment(row) for row in part], info=info)


def find(request: web.Request) -> tuple[Json, Json]:
    """Return the project and the deployment of the path; 404 with 8000009 (code unconfirmed)."""
    project = projects.find(request)
    rows = {row["id"]: row for row in project["deployments"]}
    return project, found(rows, request.match_info["deployment"], 8000009, NOT_FOUND)


async def get(request: web.Request) -> web.Response:
    """Show a deployment."""
    return ok(projects.shown_deployment(find(request)[1]))


async def logs(request: web.Request) -> web.Response:
    """Show the log of a deployment."""
    _, deployment = find(request)
    rows = [{"ts": deployment["created_on"], "line": "Success: Assets published!"}]
    return ok({"total": len(rows), "includes_container_logs": True, "data": rows})


async def rollback(request: web.Request) -> web.Response:
    """Make an earlier production deployment live again: no new deployment, the list stays as it is."""
    project, deployment = find(request)
    if deployment["environment"] != "production":
        raise ApiError(400, 8000039, "Only production deployments can be rolled back to.")
    if deployment["latest_stage"]["status"] != "success":  # code unconfirmed; the rule is the documentation's
        raise ApiError(400, 8000039, "Only successful deployments can be rolled back to.")
    if deployment["id"] == project["canonical"]:
        raise ApiError(400, 8000040, "The deployment is already the live one.")
    project["canonical"] = deployment["id"]
    changed(request, f"Pages project {project['name']} rolled back to {deployment['id']}")
    return ok(projects.shown_deployment(deployment))


async def retry(request: web.Request) -> web.Response:
    """Refuse: only builds from git can be retried, and direct uploads have none."""
    find(request)
    raise ApiError(400, 8000055, "A deployment made by direct upload cannot be retried.")


async def delete(request: web.Request) -> web.Response:
    """Delete a deployment: never the live one; one with an alias only with `?force=true`."""
    project, deployment = find(request)
    if deployment["id"] == project["canonical"]:
        raise ApiError(400, 8000034, "Cannot delete the active production deployment.")
    if deployment["aliases"] and request.query.get("force") != "true":
        raise ApiError(400, 8000035, "Cannot delete an aliased deployment without a `force` parameter set to true.")
    project["deployments"].remove(deployment)
    changed(request, f"Pages project {project['name']}: deployment {deployment['id']} deleted")
    return ok(None)


PATH = "/accounts/{account}/pages/projects/{project}/deployments"
ROUTES = (
    Route("POST", PATH, post, "recorded wrangler 4.86"),
    Route("GET", PATH, listing, "official SDK; issues on 8000024"),
    Route("GET", PATH + "/{deployment}", get, "recorded wrangler 4.86"),
    Route("DELETE", PATH + "/{deployment}", delete, "official SDK"),
    Route("GET", PATH + "/{deployment}/history/logs", logs, "official SDK"),
    Route("POST", PATH + "/{deployment}/rollback", rollback, "rollback documentation"),
    Route("POST", PATH + "/{deployment}/retry", retry, "official SDK"),
)
