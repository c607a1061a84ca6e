"""What Workers and Pages tell: tails and telemetry. Nobody visits here, so nothing was told yet."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.twin.official.sdk import Sdk

TELEMETRY = "/accounts/{account}/workers/observability/telemetry"
TAILS = "/accounts/{account}/workers/scripts/{script}/tails"
SITE = "/accounts/{account}/pages/projects/{project}/deployments/{deployment}/tails"


def span() -> dict[str, int]:
    """Return the last hour in milliseconds."""
    now = int(time.time() * 1000)
    return {"from": now - 3_600_000, "to": now}


def tail(it: Sdk) -> Any:  # noqa: ANN401 - the client's model
    """Begin a tail of a script."""
    return it.api.workers.scripts.tail.create(it.script, **it.a)


def site_tail(it: Sdk, *, end: bool) -> object:
    """Begin a tail of a site, and end it."""
    project = it.project()
    deployment = it.site(project)
    room = it.api.pages.projects.deployments.tails
    made = room.create(deployment, **it.a, project_name=project)
    if not end:
        return made
    return room.delete(made.id, **it.a, project_name=project, deployment_id=deployment)


CASES: dict[str, Callable[[Sdk], object]] = {
    f"GET {TAILS}": lambda it: tail(it) and it.api.workers.scripts.tail.get(it.script, **it.a),
    f"POST {TAILS}": tail,
    f"DELETE {TAILS}/{{id}}": lambda it: it.api.workers.scripts.tail.delete(tail(it).id, **it.a, script_name=it.script),
    f"POST {SITE}": lambda it: site_tail(it, end=False),
    f"DELETE {SITE}/{{id}}": lambda it: site_tail(it, end=True),
    f"POST {TELEMETRY}/keys": lambda it: list(it.api.workers.observability.telemetry.keys(**it.a)) == [],
    f"POST {TELEMETRY}/query": lambda it: it.api.workers.observability.telemetry.query(
        **it.a, query_id="adhoc", timeframe=span(), view="events", parameters={"datasets": ["cloudflare-workers"]}
    ),
    f"POST {TELEMETRY}/values": lambda it: (
        list(
            it.api.workers.observability.telemetry.values(
                **it.a, datasets=["cloudflare-workers"], key="$metadata.service", timeframe=span(), type="string"
            )
        )
        == []
    ),
}
