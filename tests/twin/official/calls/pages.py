"""Pages: projects, deployments, domains and uploads."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from tests.twin import serving
from twin.cloudflare.pages.uploads import hash_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.twin.official.sdk import Sdk

PROJECTS = "/accounts/{account}/pages/projects"
PROJECT = PROJECTS + "/{project}"
DEPLOYMENT = PROJECT + "/deployments/{deployment}"
HASH = hash_of(b"hi", "txt")


def on(it: Sdk, method: str, *, back: bool = False) -> Any:  # noqa: ANN401 - the client's model
    """Call something on the first of two deployments of a new project; `back`: on the one that is live."""
    project = it.project()
    first, second = it.site(project), it.site(project)
    room = it.api.pages.projects.deployments
    return getattr(room, method)(second if back else first, **it.a, project_name=project)


def domain(it: Sdk, method: str) -> Any:  # noqa: ANN401 - the client's model
    """Call something on a new custom domain of a new project."""
    project, host = it.project(), f"{it.fresh('www')}.{serving.ZONE}"
    it.api.pages.projects.domains.create(project, **it.a, name=host)
    return getattr(it.api.pages.projects.domains, method)(host, **it.a, project_name=project)


def with_domain(it: Sdk) -> str:
    """Return a new project that has a custom domain."""
    project = it.project()
    it.api.pages.projects.domains.create(project, **it.a, name=f"{it.fresh('www')}.{serving.ZONE}")
    return project


def logs(it: Sdk) -> Any:  # noqa: ANN401 - the client's model
    """Show the log of a deployment."""
    project = it.project()
    return it.api.pages.projects.deployments.history.logs.get(it.site(project), **it.a, project_name=project)


def listed(it: Sdk) -> object:
    """List a project's only deployment."""
    project = it.project()
    it.site(project)
    return list(it.api.pages.projects.deployments.list(project, **it.a))


def retry(it: Sdk) -> str:
    """A direct upload cannot be retried: the refusal is the answer."""
    from cloudflare import BadRequestError  # noqa: PLC0415 - the client takes a second to import

    try:
        on(it, "retry")
    except BadRequestError as error:
        return str(error.body)
    return ""


FILE = {
    "key": HASH,
    "value": base64.b64encode(b"hi").decode(),
    "base64": True,
    "metadata": {"contentType": "text/plain"},
}
CASES: dict[str, Callable[[Sdk], object]] = {
    f"GET {PROJECTS}": lambda it: it.project() and list(it.api.pages.projects.list(**it.a)),
    f"POST {PROJECTS}": lambda it: it.project(),
    f"GET {PROJECT}": lambda it: it.api.pages.projects.get(it.project(), **it.a),
    f"PATCH {PROJECT}": lambda it: it.api.pages.projects.edit(it.project(), **it.a, production_branch="release"),
    f"DELETE {PROJECT}": lambda it: it.api.pages.projects.delete(it.project(), **it.a),
    f"GET {PROJECT}/upload-token": lambda it: it.api.pages.projects.get_upload_token(it.project(), **it.a).jwt,
    f"GET {PROJECT}/deployments": listed,
    f"POST {PROJECT}/deployments": lambda it: it.site(it.project()),
    f"GET {DEPLOYMENT}": lambda it: on(it, "get"),
    f"DELETE {DEPLOYMENT}": lambda it: on(it, "delete"),
    f"POST {DEPLOYMENT}/rollback": lambda it: on(it, "rollback"),
    f"POST {DEPLOYMENT}/retry": retry,
    f"GET {DEPLOYMENT}/history/logs": logs,
    f"GET {PROJECT}/domains": lambda it: list(it.api.pages.projects.domains.list(with_domain(it), **it.a)),
    f"POST {PROJECT}/domains": with_domain,
    f"GET {PROJECT}/domains/{{domain}}": lambda it: domain(it, "get"),
    f"PATCH {PROJECT}/domains/{{domain}}": lambda it: domain(it, "edit"),
    f"DELETE {PROJECT}/domains/{{domain}}": lambda it: domain(it, "delete"),
    "POST /pages/assets/check-missing": lambda it: list(
        it.api.pages.assets.check_missing(hashes=["f" * 32], **it.uploads)
    ),
    "POST /pages/assets/upload": lambda it: it.api.pages.assets.upload(body=[FILE], **it.uploads),
    "POST /pages/assets/upsert-hashes": lambda it: it.api.pages.assets.upsert_hashes(hashes=[HASH], **it.uploads),
}
