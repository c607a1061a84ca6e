"""Sell what a project has beyond its plan: the size of its machine, and how far back a recovery reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.route import Route
from twin.supabase.errors import ApiError, Json, empty, ok, read
from twin.supabase.store import changed, store_of

if TYPE_CHECKING:
    from aiohttp import web

NAMES = {"compute_instance": "Compute Instance", "pitr": "Point-In-Time-Recovery"}
CLOUDS = ["AWS", "AWS_K8S", "AWS_NIMBUS", "FLY"]


def machine(title: str, memory: int, disk: int, connections: tuple[int, int], hourly: float) -> Json:
    """Return a machine size: memory in GB, disk in MB/s, direct and pooled connections, dollars an hour."""
    meta = {"cpu_cores": 2, "cpu_dedicated": False, "memory_gb": memory, "baseline_disk_io_mbs": disk}
    meta |= {"max_disk_io_mbs": 2085, "connections_direct": connections[0], "connections_pooler": connections[1]}
    name = f"ci_{title.lower()}"
    price = {"description": f"${hourly}/hour", "amount": hourly, "interval": "hourly", "type": "usage"}
    return {"id": name, "name": title, "meta": {**meta, "supported_cloud_providers": CLOUDS}, "price": price}


def reach(days: int, monthly: int) -> Json:
    """Return how many days back a recovery reaches, with its price in dollars a month."""
    price = {"description": f"${monthly}/month", "amount": monthly, "interval": "monthly", "type": "fixed"}
    return {"id": f"pitr_{days}", "name": f"{days} days", "meta": {"backup_duration_days": days}, "price": price}


VARIANTS: dict[str, tuple[Json, ...]] = {
    "compute_instance": (
        machine("Micro", 1, 87, (60, 200), 0.01344),
        machine("Small", 2, 174, (90, 400), 0.0206),
    ),
    "pitr": (reach(7, 100), reach(14, 200), reach(28, 400)),
}


async def get(request: web.Request) -> web.Response:
    """Show selected and available add-ons."""
    offered = {kind: {row["id"]: row for row in rows} for kind, rows in VARIANTS.items()}
    chosen = [{"type": k, "variant": offered[k][name]} for k, name in store_of(request).data["addons"].items()]
    available = [{"name": NAMES[kind], "type": kind, "variants": rows} for kind, rows in VARIANTS.items()]
    return ok({"selected_addons": chosen, "available_addons": available})


async def patch(request: web.Request) -> web.Response:
    """Select an add-on."""
    store, body = store_of(request), await read(request)
    kind, name = body.get("addon_type"), body.get("addon_variant")
    if kind not in VARIANTS or name not in [row["id"] for row in VARIANTS[kind]]:
        raise ApiError(400, "addon_variant: Invalid input")
    store.data["addons"][kind] = name
    changed(request, f"add-on {name} selected")
    return empty()


async def delete(request: web.Request) -> web.Response:
    """Give an add-on up: without `pitr_…` there is no point-in-time recovery."""
    store, name = store_of(request), request.match_info["addon_variant"]
    kind = next((kind for kind, chosen in store.data["addons"].items() if chosen == name), None)
    if kind is None:
        raise ApiError(400, "Add-on is not selected.")
    del store.data["addons"][kind]
    changed(request, f"add-on {name} given up")
    return empty()


PATH = "/v1/projects/{ref}/billing/addons"
ROUTES = (
    Route("GET", PATH, get, "recorded answers of the real API"),
    Route("PATCH", PATH, patch, "OpenAPI of 2026-08-02"),
    Route("DELETE", PATH + "/{addon_variant}", delete, "OpenAPI of 2026-08-02"),
)
