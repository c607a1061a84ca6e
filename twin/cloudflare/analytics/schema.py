"""Build the GraphQL schema of the datasets, with the provider's names of types, and resolve them from the ledger."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from graphql import (
    FloatValueNode,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    IntValueNode,
    StringValueNode,
)

from twin.cloudflare.access import door, permissions
from twin.cloudflare.analytics import selection
from twin.cloudflare.analytics.datasets import WORKERS, ZONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import GraphQLResolveInfo, ValueNode

    from twin.cloudflare.analytics.datasets import Column, Dataset
    from twin.cloudflare.observability.ledger import Ledger
    from twin.cloudflare.store import Store


def _number(node: ValueNode, _: object = None) -> float:
    if not isinstance(node, IntValueNode | FloatValueNode):
        message = "not a number"
        raise GraphQLError(message, node)
    return float(node.value)


def _text(node: ValueNode, _: object = None) -> str:
    if not isinstance(node, StringValueNode):
        message = "not a string"
        raise GraphQLError(message, node)
    return node.value


def _date(node: ValueNode, _: object = None) -> str:
    text = _text(node)
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        message = "date format should be '2006-01-02'"
        raise GraphQLError(message, node)
    return text


def _time(node: ValueNode, _: object = None) -> str:
    text = _text(node)
    try:
        datetime.fromisoformat(text)
    except ValueError:
        message = "time format should be RFC 3339"  # unconfirmed
        raise GraphQLError(message, node) from None
    return text


SCALARS = {
    name: GraphQLScalarType(name, parse_value=float, parse_literal=_number) for name in ("uint16", "uint64", "float64")
}
_TEXTS = {"string": _text, "Date": _date, "Time": _time}
SCALARS |= {name: GraphQLScalarType(name, parse_value=str, parse_literal=read) for name, read in _TEXTS.items()}


@dataclass(frozen=True)
class Context:
    """What resolvers need."""

    store: Store
    ledger: Ledger
    token: dict[str, Any]

    def may(self, scope: str, target: str, name: str) -> bool:
        """Say whether the token has this permission on an account or a zone."""
        return self.token["owner"] == "both" or name in door.on(self.store, self.token, scope, target)


def _object(name: str, columns: dict[str, Column]) -> GraphQLObjectType:
    return GraphQLObjectType(name, {field: GraphQLField(SCALARS[one.type]) for field, one in columns.items()})


def _filter(dataset: Dataset) -> GraphQLInputObjectType:
    """Return the filter's type: each dimension with each comparison, AND and OR."""
    made: GraphQLInputObjectType

    def fields() -> dict[str, GraphQLInputField]:
        inputs = {}
        for name, column in dataset.dimensions.items():
            scalar = SCALARS[column.type]
            for ending in selection.COMPARED:
                many = ending in {"_in", "_notin"}
                inputs[name + ending] = GraphQLInputField(GraphQLList(scalar) if many else scalar)
        several = GraphQLList(GraphQLNonNull(made))
        return inputs | {"AND": GraphQLInputField(several), "OR": GraphQLInputField(several)}

    made = GraphQLInputObjectType(f"{dataset.type}Filter_InputObject", fields)
    return made


def _node(dataset: Dataset) -> GraphQLField:
    """Return the field that a dataset is asked by."""
    fields = {name: GraphQLField(SCALARS[column.type]) for name, column in dataset.plain.items()}
    sections = {"dimensions": dataset.dimensions, **dataset.sections}
    for name, columns in sections.items():
        fields[name] = GraphQLField(_object(f"{dataset.type}{name.capitalize()}", columns))
    orders = {order: order for order in selection.orders(dataset)}

    async def resolve(parent: dict[str, Any], info: GraphQLResolveInfo[Any], **given: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - the query's arguments
        made = selection.select(dataset, info, given, zone=parent.get("zone", ""))
        context: Context = info.context
        return await context.ledger.read(made.rows)

    return GraphQLField(
        GraphQLNonNull(GraphQLList(GraphQLNonNull(GraphQLObjectType(dataset.type, fields)))),
        args={
            "limit": GraphQLArgument(GraphQLNonNull(SCALARS["uint64"])),
            "filter": GraphQLArgument(_filter(dataset)),
            "orderBy": GraphQLArgument(GraphQLList(GraphQLEnumType(f"{dataset.type}OrderBy", orders))),
        },
        resolve=resolve,
    )


def _holder(name: str, tag: str, dataset: Dataset, find: Callable[[Context, str], dict[str, Any]]) -> GraphQLField:
    """Return `accounts` or `zones`: each asks by its tag, one or several."""
    tags = {tag: GraphQLInputField(SCALARS["string"]), f"{tag}_in": GraphQLInputField(GraphQLList(SCALARS["string"]))}
    chosen = GraphQLInputObjectType(f"{name.capitalize()}Filter_InputObject", tags)
    shown = {tag: GraphQLField(SCALARS["string"]), dataset.name: _node(dataset)}

    def resolve(_: object, info: GraphQLResolveInfo[Any], **given: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - the query's arguments
        asked = given.get("filter") or {}
        context: Context = info.context
        wanted = [asked[tag]] if asked.get(tag) else asked.get(f"{tag}_in") or []
        return [find(context, one) for one in wanted]

    return GraphQLField(
        GraphQLNonNull(GraphQLList(GraphQLNonNull(GraphQLObjectType(name, shown)))),
        args={"filter": GraphQLArgument(chosen)},
        resolve=resolve,
    )


def _account(context: Context, tag: str) -> dict[str, Any]:
    if tag != context.store.account or not context.may(permissions.ACCOUNT, tag, "Account Analytics Read"):
        message = "not authorized for that account"
        raise GraphQLError(message, extensions={"code": "authz"})
    return {"accountTag": tag}


def _zone(context: Context, tag: str) -> dict[str, Any]:
    zone = next((zone for zone in context.store.zones() if zone["id"] == tag), None)
    if zone is None or not context.may(permissions.ZONE, tag, "Analytics Read"):
        message = f"zones [{tag}] are not authorized"
        raise GraphQLError(message, extensions={"code": "authz"})
    return {"zoneTag": tag, "zone": zone["name"]}


@functools.cache
def schema() -> GraphQLSchema:
    """Return the schema; it is built when it is first asked for."""
    viewer = GraphQLObjectType(
        "viewer",
        {
            "accounts": _holder("account", "accountTag", WORKERS, _account),
            "zones": _holder("zone", "zoneTag", ZONE, _zone),
        },
    )
    return GraphQLSchema(GraphQLObjectType("Query", {"viewer": GraphQLField(viewer, resolve=lambda *_: {})}))
