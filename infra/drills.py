"""The shape of what drills do to a product, and of the local twin that they do it to."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from infra.shapes import FileName, Frozen, HeaderName, HeaderText, Port, TableName, UrlPath


class Workload(Frozen, frozen=True):
    """What drills keep writing: `POST path` with `body`, whose values are picked from what each SQL returns.

    The answer holds the row under `key`; the row is found again in `table`. Rate in requests per second. `headers` go
    with each: what lets a writer in on a drill's twin, where a secret NAME is `made-up-for-a-drill-EMS_SECRET_NAME`.
    """

    path: UrlPath
    table: TableName
    key: str
    per_second: Annotated[float, Meta(gt=0, le=200)]
    body: dict[str, str]
    headers: dict[HeaderName, HeaderText] = field(default_factory=dict)


class LostTable(Frozen, frozen=True):
    """The SQL by which the drill `lost-table` loses data."""

    sql: str


class BadRelease(Frozen, frozen=True):
    """The route on which the drill `bad-release` throws."""

    path: UrlPath


class Drill(Frozen, frozen=True):
    """What drills do to this product."""

    workload: Workload
    lost_table: LostTable
    bad_release: BadRelease


class TwinPorts(Frozen, frozen=True):
    """Fixed ports of `invoke twin.up`; drills take free ones."""

    cloudflare: Port
    supabase: Port
    edge: Port
    dns: Port
    postgres: Port


class Twin(Frozen, frozen=True):
    """The local stand-in of this stack."""

    state: FileName
    ports: TwinPorts
