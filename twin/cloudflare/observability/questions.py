"""Read what a telemetry call asks for. Source: the official SDK's types of `telemetry`, read 2026-11-23."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

import msgspec

from twin.cloudflare.errors import ApiError, Json

Asked = TypeVar("Asked")
Kind = Literal["string", "number", "boolean"]
Value = str | int | float | bool
Positive = Annotated[float, msgspec.Meta(ge=1)]

OPERATIONS = {
    "=": "eq",
    "!=": "neq",
    ">": "gt",
    ">=": "gte",
    "<": "lt",
    "<=": "lte",
    "INCLUDES": "includes",
    "DOES_NOT_INCLUDE": "not_includes",
    "MATCH_REGEX": "regex",
    "EXISTS": "exists",
    "DOES_NOT_EXIST": "is_null",
    "IN": "in",
    "NOT_IN": "not_in",
    "STARTS_WITH": "starts_with",
    "ENDS_WITH": "ends_with",
}
"""An operation's other spellings."""


class Body(msgspec.Struct, rename="camel", frozen=True):
    """Names on the wire are camelCase."""


class Filter(Body, frozen=True):
    """A condition on one field, or a group of conditions."""

    kind: Literal["filter", "group"] = "filter"
    key: str = ""
    operation: str = ""
    type: Kind = "string"
    value: Value | list[Value] | None = None
    filter_combination: Literal["and", "or", "AND", "OR"] = "and"
    filters: list[Filter] = []


class Needle(Body, frozen=True):
    """A text or pattern that any field may hold."""

    value: Value
    is_regex: bool = False
    match_case: bool = False


class Span(Body, frozen=True):
    """From and to in Unix milliseconds."""

    begin: float = msgspec.field(name="from")
    to: float


class Calculation(Body, frozen=True):
    """One number to compute."""

    operator: str
    key: str = ""
    key_type: Kind = "number"
    alias: str | None = None


class GroupBy(Body, frozen=True):
    """A field to group by."""

    value: str
    type: Kind = "string"


class Having(Body, frozen=True):
    """A condition on a computed number."""

    key: str
    operation: Literal["eq", "neq", "gt", "gte", "lt", "lte"]
    value: float


class OrderBy(Body, frozen=True):
    """Which number to order groups by."""

    value: str
    order: Literal["asc", "desc"] = "desc"


class Parameters(Body, frozen=True):
    """What to look for and what to compute."""

    datasets: list[str] = []
    filters: list[Filter] = []
    filter_combination: Literal["and", "or", "AND", "OR"] = "and"
    calculations: list[Calculation] = []
    group_bys: list[GroupBy] = []
    havings: list[Having] = []
    limit: Positive | None = None
    needle: Needle | None = None
    order_by: OrderBy | None = None


class Query(Body, frozen=True):
    """The body of `telemetry/query`."""

    query_id: str
    timeframe: Span
    view: str = "calculations"
    parameters: Parameters | None = None
    limit: Positive | None = None
    offset: str | None = None
    offset_direction: Literal["next", "prev"] = "next"
    dry: bool = False
    ignore_series: bool = False
    granularity: Positive | None = None
    chart_type: str = "timeseries_and_aggregate"
    compare: bool = False


class Keys(Body, frozen=True):
    """The body of `telemetry/keys`."""

    begin: float | None = msgspec.field(default=None, name="from")
    to: float | None = None
    datasets: list[str] = []
    filters: list[Filter] = []
    needle: Needle | None = None
    key_needle: Needle | None = None
    limit: Positive = 100


class Values(Body, frozen=True):
    """The body of `telemetry/values`."""

    key: str
    type: Kind
    timeframe: Span
    datasets: list[str]
    filters: list[Filter] = []
    needle: Needle | None = None
    limit: Positive = 50


def read(body: Json, into: type[Asked]) -> Asked:
    """Return the body as this type; 400 names the field that does not fit (code and text unconfirmed)."""
    try:
        return msgspec.convert(body, into)
    except msgspec.ValidationError as error:
        raise ApiError(400, 10021, str(error)) from None
