"""What GraphQL analytics can tell: two datasets, each field as the SQL that computes it from recorded requests.

Sources, read 2026-11-23 and 2026-11-28: Cloudflare's documentation of Workers metrics and of the GraphQL API's limits;
names of types, dimensions and filters as public code has found them by introspection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

_ERRORS = "('scriptThrewException', 'exceededResources', 'internalError')"
_GIGABYTES = 0.125  # a Worker's memory of 128 MB: duration is told in gigabyte-seconds
_SHARES = {"P25": 0.25, "P50": 0.5, "P75": 0.75, "P90": 0.9, "P95": 0.95, "P99": 0.99, "P999": 0.999}


class Column(NamedTuple):
    """A field's type, the SQL that computes it, and the SQL that filters compare (the same unless given)."""

    type: str
    sql: str
    compared: str = ""


@dataclass(frozen=True)
class Dataset:
    """A node below an account or a zone.

    `where` is the SQL that says which requests are in it. A query spans `widest` seconds at most and begins
    `oldest` seconds ago at most.
    """

    name: str
    type: str
    where: str
    plain: dict[str, Column]
    dimensions: dict[str, Column]
    sections: dict[str, dict[str, Column]]
    widest: int
    oldest: int


def _times() -> dict[str, Column]:
    stretches = {"": 1, "Minute": 60, "FiveMinutes": 300, "FifteenMinutes": 900, "Hour": 3600}
    text = "strftime('%Y-%m-%dT%H:%M:%SZ', at / 1000 / {0} * {0}, 'unixepoch')"
    columns = {
        f"datetime{name}": Column("Time", text.format(seconds), f"at / {seconds}000 * {seconds}000" if name else "at")
        for name, seconds in stretches.items()
    }
    return columns | {"date": Column("Date", "strftime('%Y-%m-%d', at / 1000, 'unixepoch')")}


def _quantiles(**columns: str) -> dict[str, Column]:
    return {
        f"{name}{short}": Column("float64", f"quantile({sql}, 1, {share})")
        for name, sql in columns.items()
        for short, share in _SHARES.items()
    }


_PATH = "iif(instr(path, '?'), substr(path, 1, instr(path, '?') - 1), path)"
_SAMPLE = {"sampleInterval": Column("float64", "1.0")}
WORKERS = Dataset(
    name="workersInvocationsAdaptive",
    type="AccountWorkersInvocationsAdaptive",
    where="service <> '' and not site",
    plain={},
    dimensions={
        **_times(),
        "coloCode": Column("string", "'TWN'"),
        "environmentName": Column("string", "'production'"),
        "scriptName": Column("string", "service"),
        "scriptVersion": Column("string", "version"),
        "status": Column("string", "status"),
        "usageModel": Column("string", "'standard'"),
    },
    sections={
        "sum": {
            "requests": Column("uint64", "count(*)"),
            "errors": Column("uint64", f"sum(status in {_ERRORS})"),
            "subrequests": Column("uint64", "null"),  # the runtime does not tell
            "clientDisconnects": Column("uint64", "sum(status = 'clientDisconnected')"),
            "cpuTimeUs": Column("uint64", "sum(cpu)"),
            "wallTime": Column("uint64", "sum(wall)"),
            "duration": Column("float64", f"sum(wall) / 1e6 * {_GIGABYTES}"),
            "requestDuration": Column("uint64", "sum(wall)"),
            "responseBodySize": Column("uint64", "sum(size)"),
        },
        "quantiles": _quantiles(
            cpuTime="cpu",
            wallTime="wall",
            duration=f"wall / 1e6 * {_GIGABYTES}",
            requestDuration="wall",
            responseBodySize="size",
        ),
        "avg": _SAMPLE,
    },
    widest=7 * 86_400,
    oldest=90 * 86_400,
)
ZONE = Dataset(
    name="httpRequestsAdaptiveGroups",
    type="ZoneHttpRequestsAdaptiveGroups",
    where="public and (host = :zone or host like '%.' || :zone)",
    plain={"count": Column("uint64", "count(*)")},
    dimensions={
        **_times(),
        "cacheStatus": Column("string", "'dynamic'"),
        "clientCountryName": Column("string", "'FR'"),
        "clientIP": Column("string", "visitor"),
        "clientRequestHTTPHost": Column("string", "host"),
        "clientRequestHTTPMethodName": Column("string", "method"),
        "clientRequestPath": Column("string", _PATH),
        "clientRequestQuery": Column("string", f"substr(path, length({_PATH}) + 1)"),
        "coloCode": Column("string", "'TWN'"),
        "edgeResponseContentTypeName": Column("string", "content"),
        "edgeResponseStatus": Column("uint16", "code"),
        "requestSource": Column("string", "'eyeball'"),
        "userAgent": Column("string", "agent"),
    },
    sections={
        "sum": {"edgeResponseBytes": Column("uint64", "sum(size)")},
        "avg": {**_SAMPLE, "edgeTimeToFirstByteMs": Column("float64", "avg(first) / 1000")},
        "quantiles": _quantiles(edgeTimeToFirstByteMs="first / 1000.0"),
        "ratio": {
            "status4xx": Column("float64", "avg(code between 400 and 499)"),
            "status5xx": Column("float64", "avg(code between 500 and 599)"),
        },
    },
    widest=7 * 86_400,
    oldest=31 * 86_400,
)
