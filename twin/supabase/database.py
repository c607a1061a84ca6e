"""Back up, recover, configure and query the real database behind the project."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING, Any

from twin.route import EFFECT, Route
from twin.supabase.errors import ApiError, Json, empty, ok, read
from twin.supabase.store import (
    COMING_UP,
    ENGINES,
    FAILED,
    HEALTHY,
    ODD,
    PAUSED,
    PAUSING,
    RESTORING,
    STORE,
    changed,
    store_of,
)
from twin.supabase.wild import carry_out
from twin.world import UnableError

if TYPE_CHECKING:
    import psycopg
    from aiohttp import web

    from twin.supabase.store import Store
    from twin.world import Engines

LOG = logging.getLogger(__name__)
POLL = 0.02  # seconds between two looks at a recovery
SETTINGS = (
    "effective_cache_size logical_decoding_work_mem cron.log_statement log_autovacuum_min_duration log_checkpoints "
    "log_connections log_disconnections log_duration log_lock_waits log_recovery_conflict_waits "
    "log_replication_commands log_startup_progress_interval log_temp_files "
    "maintenance_work_mem track_activity_query_size max_connections "
    "max_locks_per_transaction max_parallel_maintenance_workers max_parallel_workers max_parallel_workers_per_gather "
    "max_replication_slots max_slot_wal_keep_size max_standby_archive_delay max_standby_streaming_delay max_wal_size "
    "max_wal_senders max_worker_processes session_replication_role shared_buffers statement_timeout "
    "track_commit_timestamp wal_keep_size wal_sender_timeout work_mem checkpoint_timeout hot_standby_feedback"
)


async def backups(request: web.Request) -> web.Response:
    """Show whether recovery is possible and how far it reaches; both ends may be absent, as recorded."""
    store, engines = store_of(request), request.app[ENGINES]
    pitr = "pitr" in store.data["addons"]
    ends: Json = {}
    if pitr:
        reach = store.wild.window(engines.earliest_point(), engines.latest_point())
        points = dict(zip(("earliest", "latest"), reach, strict=True))
        # Rounded inwards: both ends must be points that can be recovered to.
        whole = {"earliest": math.ceil, "latest": math.floor}
        ends = {f"{k}_physical_backup_date_unix": whole[k](p) for k, p in points.items() if p is not None}
    return ok(
        {
            "region": store.data["region"],
            "pitr_enabled": pitr,
            "walg_enabled": True,
            "backups": [],
            "physical_backup_data": ends,
        }
    )


async def restore_pitr(request: web.Request) -> web.Response:
    """Start a recovery in place to a whole Unix second: 201 with no body, the status follows after a lag.

    Refused: 400 without the add-on (recorded) or while the project is not healthy, 422 out of range (the text is the
    one that Supabase's own client tests assume). A point after the last archived commit is let through: with no
    writes nothing is archived, and the recovery ends at the last commit.
    """
    store, engines, body = store_of(request), request.app[ENGINES], await read(request)
    target = body.get("recovery_time_target_unix")
    if isinstance(target, bool) or not isinstance(target, int):
        raise ApiError(400, "recovery_time_target_unix: Expected number, received another type")
    if "pitr" not in store.data["addons"]:
        raise ApiError(400, "PITR is not enabled for this project.")
    if store.data["status"] not in {HEALTHY, FAILED} or store.data["recovery"]:
        raise ApiError(400, f"Project cannot be restored while it is {store.data['status']}")
    earliest = engines.earliest_point()
    if target < 0 or target > time.time() or (earliest is not None and target < earliest):
        raise ApiError(422, "recovery time target is out of range")
    changed(request, f"recovery to {target} accepted")
    if "restore-ignored" not in store.wild:
        store.data["recovery"] = {"target": target, "begun": False}
        store.save()
        store.later(recover(store, engines))
    return empty(201)


async def recover(store: Store, engines: Engines) -> None:
    """Bring a recovery that was accepted to its end, and let the status tell of it late, as the provider's does."""
    recovery = store.data["recovery"]
    try:
        if not recovery["begun"]:
            await asyncio.sleep(store.lag)
            recovery["begun"] = True
            store.become(ODD if "restore-odd" in store.wild else RESTORING)
            await carry_out(store, engines, recovery["target"])
        await settled(engines)
        if "restore-empty" in store.wild:
            await engines.empty()
    except (UnableError, OSError, RuntimeError) as error:
        LOG.exception("recovery to %s failed", recovery["target"])
        finish(store, FAILED, str(error))
        return
    state = engines.database_state()
    if state.startswith("failed"):
        finish(store, FAILED, state)
        return
    store.become(ODD if "restore-odd" in store.wild else COMING_UP)
    await asyncio.sleep(store.lag)
    if "restore-inactive" in store.wild:
        await engines.restrict(())
        finish(store, PAUSED, state)
    else:
        finish(store, HEALTHY, state)


async def settled(engines: Engines) -> None:
    """Wait until the database runs or has failed; a stopped one keeps the project where it is, as at the provider."""
    while not engines.database_state().startswith(("running", "failed")):  # noqa: ASYNC110 - the engine has no event
        await asyncio.sleep(POLL)


async def go_on(store: Store, engines: Engines) -> None:
    """Go on with a recovery that the twin's last stop interrupted, once the database is up again."""
    await settled(engines)
    await recover(store, engines)


def finish(store: Store, status: str, why: str) -> None:
    """End a recovery with a status."""
    LOG.info("recovery to %s: %s (%s)", store.data["recovery"]["target"], status, why)
    store.data["recovery"] = None
    store.become(status)


async def resume(app: web.Application) -> None:
    """Go on with what the last stop of the twin interrupted: a recovery, a transition, restrictions."""
    store, engines = app[STORE], app[ENGINES]
    if store.data["recovery"]:
        store.later(go_on(store, engines))
    elif store.data["status"] == PAUSING:
        store.become(PAUSED)
    elif store.data["status"] == COMING_UP:
        store.become(HEALTHY)
    closed = store.data["status"] == PAUSED
    await engines.restrict(() if closed else store.cidrs())


async def stop(app: web.Application) -> None:
    """End what still runs beside the answers."""
    for task in list(app[STORE].running):
        task.cancel()
    await asyncio.gather(*app[STORE].running, return_exceptions=True)


async def get_postgres(request: web.Request) -> web.Response:
    """Show the settings that were overridden, `{}` when none was."""
    return ok(store_of(request).data["postgres"])


async def put_postgres(request: web.Request) -> web.Response:
    """Override settings; the twin keeps and shows them, its server has `track_commit_timestamp` on already."""
    store, body = store_of(request), await read(request)
    unknown = sorted(set(body) - set(SETTINGS.split()) - {"restart_database"})
    if unknown:
        raise ApiError(400, f"Unrecognized key(s) in object: {', '.join(repr(name) for name in unknown)}")
    sent = {name: value for name, value in body.items() if name != "restart_database"}
    store.data["postgres"] |= sent
    changed(request, f"settings {', '.join(sorted(sent))} overridden")
    return ok(store.data["postgres"])


async def query(request: web.Request) -> web.Response:
    """Run SQL on the real database and return the last statement's rows: 201, a JSON array."""
    body = await read(request)
    return await run(request, body, read_only=body.get("read_only") is True)


async def query_read_only(request: web.Request) -> web.Response:
    """Run SQL in a transaction that cannot write."""
    return await run(request, await read(request), read_only=True)


async def run(request: web.Request, body: Json, *, read_only: bool) -> web.Response:
    """Run the body's `query`; 400 with the server's SQLSTATE and text when it fails, 544 when nobody answers."""
    import psycopg  # noqa: PLC0415 - it would take a fifth of the twin's start

    store, url = store_of(request), request.app[ENGINES].database_url
    text = body.get("query")
    if not isinstance(text, str) or not text:
        raise ApiError(400, "query: Required")
    if store.data["status"] in {RESTORING, PAUSED, PAUSING}:
        raise ApiError(544, "Connection terminated due to connection timeout")
    try:
        rows = await rows_of(url, text, body.get("parameters"), read_only=read_only)
    except psycopg.OperationalError as error:
        if error.sqlstate is None:
            raise ApiError(544, "Connection terminated due to connection timeout") from error
        raise refused(error) from error
    except psycopg.Error as error:
        raise refused(error) from error
    if not read_only:
        request[EFFECT] = f"sql: {text[:60]}"
    return ok(rows, status=201)


def refused(error: psycopg.Error) -> ApiError:
    """Return the API's text for a statement that failed."""
    return ApiError(400, f"Failed to run sql query: ERROR:  {error.sqlstate}: {error.diag.message_primary or error}\n")


async def rows_of(url: str, text: str, parameters: list[Any] | None, *, read_only: bool) -> list[Json]:
    """Return the rows of the last result set; parameters are `$1`, `$2` …, as the API takes them."""
    import psycopg  # noqa: PLC0415 - as above
    from psycopg.rows import dict_row  # noqa: PLC0415

    async with await psycopg.AsyncConnection.connect(url, connect_timeout=5) as connection:
        await connection.set_read_only(read_only)
        async with psycopg.AsyncRawCursor(connection, row_factory=dict_row) as cursor:
            await cursor.execute(text.encode(), parameters or None)
            while cursor.nextset():
                pass
            return await cursor.fetchall() if cursor.description else []


BACKUPS = "/v1/projects/{ref}/database/backups"
POSTGRES = "/v1/projects/{ref}/config/database/postgres"
QUERY = "/v1/projects/{ref}/database/query"
RECORDED = "recorded answers of the real API"
ROUTES = (
    Route("GET", BACKUPS, backups, RECORDED),
    Route("POST", BACKUPS + "/restore-pitr", restore_pitr, RECORDED + "; OpenAPI of 2026-08-02"),
    Route("GET", POSTGRES, get_postgres, RECORDED),
    Route("PUT", POSTGRES, put_postgres, RECORDED),
    Route("POST", QUERY, query, RECORDED),
    Route("POST", QUERY + "/read-only", query_read_only, "OpenAPI of 2026-08-02"),
)
