"""Create, show, change and delete Pages projects and their custom domains."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twin.cloudflare.errors import ApiError, Json, number, ok, read, required, shaped
from twin.cloudflare.store import changed, found, now, object_id, store_of, version_id
from twin.route import Route

if TYPE_CHECKING:
    from typing import Any

    from aiohttp import web

    from twin.cloudflare.store import Store

NAME = re.compile(r"^[a-z0-9][a-z0-9-]{0,56}[a-z0-9]$|^[a-z0-9]$")
MOST_PER_PAGE = 25  # above: 400 with 8000024, met by six public projects in 2026
NO_PROJECT = (
    "Project not found. The specified project name does not match any of your existing projects. If this project was "
    "recently created, please wait a few moments and try again."
)
ENVIRONMENT: Json = {
    "env_vars": {},
    "fail_open": True,
    "always_use_latest_compatibility_date": False,
    "build_image_major_version": 3,
    "compatibility_date": "",
    "compatibility_flags": [],
    "usage_model": "standard",
}
ENVIRONMENTS = ("preview", "production")
SETTABLE = ("production_branch", "build_config", "source", "deployment_configs")


def merge(old: object, change: object) -> object:
    """Return the JSON merge patch (RFC 7396) of a value: objects deeply, null removes, all else replaces."""
    if not isinstance(change, dict):
        return change
    whole: dict[str, Any] = dict(old) if isinstance(old, dict) else {}
    for key, value in change.items():
        if value is None:
            whole.pop(key, None)
        else:
            whole[key] = merge(whole.get(key), value)
    return whole


def paged(request: web.Request, rows: list[Json]) -> tuple[list[Json], Json]:
    """Return one page of at most 25; 400 with 8000024 when more is asked for."""
    index, size = number(request, "page", 1), number(request, "per_page", MOST_PER_PAGE)
    if not 1 <= size <= MOST_PER_PAGE or index < 1:
        text = "Invalid list options provided. Review the `page` or `per_page` parameter."
        raise ApiError(400, 8000024, text)
    part = rows[(index - 1) * size : index * size]
    info = {"page": index, "per_page": size, "count": len(part), "total_count": len(rows)}
    return part, {**info, "total_pages": -(-len(rows) // size)}


def without_secrets(configs: Json) -> Json:
    """Return deployment configs whose secret variables have an empty value."""
    shown: Json = {}
    for name, config in configs.items():
        variables = config.get("env_vars") or {}
        hidden = {k: {**v, "value": ""} if v.get("type") == "secret_text" else v for k, v in variables.items()}
        shown[name] = {**config, "env_vars": hidden}
    return shown


def show(project: Json) -> Json:
    """Return a project: `canonical_deployment` is what is live, `latest_deployment` the newest of any kind."""
    rows = project["deployments"]
    canonical = next((row for row in rows if row["id"] == project["canonical"]), None)
    return {
        "id": project["id"],
        "name": project["name"],
        "subdomain": f"{project['name']}.pages.dev",
        "domains": [f"{project['name']}.pages.dev", *project["domains"]],
        "production_branch": project["production_branch"],
        "production_script_name": f"pages-worker--{project['number']}-production",
        "preview_script_name": f"pages-worker--{project['number']}-preview",
        "build_config": project["build_config"],
        "source": project["source"],
        "deployment_configs": without_secrets(project["deployment_configs"]),
        "canonical_deployment": shown_deployment(canonical),
        "latest_deployment": shown_deployment(rows[-1] if rows else None),
        "created_on": project["created_on"],
        "uses_functions": False,
        "framework": "",
        "framework_version": "",
    }


def shown_deployment(deployment: Json | None) -> Json | None:
    """Return a deployment as the API shows it: without its files."""
    hidden = {"manifest", "rules"}
    return None if deployment is None else {k: v for k, v in deployment.items() if k not in hidden}


def find(request: web.Request) -> Json:
    """Return the project of the path; 404 with 8000007."""
    return found(store_of(request).data["pages"], request.match_info["project"], 8000007, NO_PROJECT)


def checked(body: Json) -> Json:
    """Return the body of a project whose parts are of their kinds: 8000003."""
    kinds: dict[str, type] = {"name": str, "production_branch": str, "build_config": dict, "source": dict}
    configs = shaped(body, 8000003, **kinds, deployment_configs=dict).get("deployment_configs") or {}
    for name in ENVIRONMENTS:
        config = shaped(configs, 8000003, **{name: dict}).get(name) or {}
        for variable in (shaped(config, 8000003, env_vars=dict).get("env_vars") or {}).values():
            shaped(variable or {}, 8000003, type=str, value=str)
    return body


async def post(request: web.Request) -> web.Response:
    """Create a project."""
    store, body = store_of(request), checked(await read(request))
    required(body, "name", "production_branch", code=8000003)
    name = body["name"]
    if not NAME.match(name):
        raise ApiError(400, 8000003, "Project names must be 1-58 lowercase letters, digits and dashes.")
    if name in store.data["pages"]:
        raise ApiError(409, 8000002, "A project with this name already exists. Choose a different project name.")
    configs = body.get("deployment_configs") or {}
    project: Json = {
        "id": version_id(),
        "number": len(store.data["pages"]) + 1,
        "name": name,
        "production_branch": body["production_branch"],
        "build_config": body.get("build_config") or {},
        "source": body.get("source"),
        "deployment_configs": {k: ENVIRONMENT | (configs.get(k) or {}) for k in ENVIRONMENTS},
        "domains": {},
        "deployments": [],
        "canonical": None,
        "created_on": now(),
    }
    store.data["pages"][name] = project
    changed(request, f"Pages project {name} created")
    return ok(show(project))


async def listing(request: web.Request) -> web.Response:
    """List projects, 25 a page at most."""
    rows, info = paged(request, [show(project) for project in store_of(request).data["pages"].values()])
    return ok(rows, info=info)


async def get(request: web.Request) -> web.Response:
    """Show a project."""
    return ok(show(find(request)))


async def patch(request: web.Request) -> web.Response:
    """Merge the sent fields deeply into a project; null removes."""
    project, body = find(request), checked(await read(request))
    for key in SETTABLE:
        if key in body:
            project[key] = merge(project[key], body[key])
    changed(request, f"Pages project {project['name']} changed")
    return ok(show(project))


async def delete(request: web.Request) -> web.Response:
    """Delete a project with its deployments and domains."""
    project = find(request)
    del store_of(request).data["pages"][project["name"]]
    changed(request, f"Pages project {project['name']} deleted")
    return ok(None)


def leads_here(store: Store, project: str, host: str) -> bool:
    """Tell whether DNS leads a host to the project; a host outside our zones is taken at its word."""
    zone = store.zone_of(host)
    if zone is None:
        return True
    wanted = f"{project}.pages.dev"
    return any(r["name"] == host and r["type"] == "CNAME" and r["content"] == wanted for r in zone["records"].values())


def show_domain(store: Store, project: Json, domain: Json) -> Json:
    """Return a custom domain; it is active once its CNAME leads to the project."""
    active = leads_here(store, project["name"], domain["name"])
    checks = {"validation_data": {"status": "active" if active else "pending", "method": "http"}}
    checks["verification_data"] = {"status": "active" if active else "pending"}
    return {**domain, "status": "active" if active else "pending", **checks}


async def post_domain(request: web.Request) -> web.Response:
    """Add a custom domain to a project; it creates no DNS record."""
    store, project, body = store_of(request), find(request), await read(request)
    required(body, "name", code=8000015)
    host = str(body["name"]).lower()
    if any(host in other["domains"] for other in store.data["pages"].values()):
        raise ApiError(409, 8000018, "You have already added this custom domain.")
    zone = store.zone_of(host)
    domain = {
        "id": version_id(),
        "domain_id": object_id(),
        "name": host,
        "zone_tag": zone["id"] if zone else "",
        "certificate_authority": "google",
        "created_on": now(),
    }
    project["domains"][host] = domain
    changed(request, f"domain {host} added to Pages project {project['name']}")
    return ok(show_domain(store, project, domain))


async def list_domains(request: web.Request) -> web.Response:
    """List a project's custom domains in one page."""
    store, project = store_of(request), find(request)
    return ok([show_domain(store, project, domain) for domain in project["domains"].values()])


def find_domain(project: Json, request: web.Request) -> Json:
    """Return the domain of the path; 404 with 8000021."""
    host = request.match_info["domain"]
    return found(project["domains"], host, 8000021, "The domain you have requested does not exist.")


async def get_domain(request: web.Request) -> web.Response:
    """Show a custom domain with its status; PATCH asks for a new look and answers the same."""
    project = find(request)
    return ok(show_domain(store_of(request), project, find_domain(project, request)))


async def delete_domain(request: web.Request) -> web.Response:
    """Take a custom domain off a project."""
    project = find(request)
    domain = find_domain(project, request)
    del project["domains"][domain["name"]]
    changed(request, f"domain {domain['name']} taken off Pages project {project['name']}")
    return ok(None)


PATH = "/accounts/{account}/pages/projects"
DOMAINS = PATH + "/{project}/domains"
ROUTES = (
    Route("POST", PATH, post, "recorded provider requests"),
    Route("GET", PATH, listing, "recorded wrangler 4.86; issues on 8000024"),
    Route("GET", PATH + "/{project}", get, "recorded provider requests"),
    Route("PATCH", PATH + "/{project}", patch, "recorded provider requests"),
    Route("DELETE", PATH + "/{project}", delete, "recorded provider requests"),
    Route("POST", DOMAINS, post_domain, "recorded provider requests"),
    Route("GET", DOMAINS, list_domains, "official SDK"),
    Route("GET", DOMAINS + "/{domain}", get_domain, "recorded provider requests"),
    Route("PATCH", DOMAINS + "/{domain}", get_domain, "official SDK"),
    Route("DELETE", DOMAINS + "/{domain}", delete_domain, "recorded provider requests"),
)
