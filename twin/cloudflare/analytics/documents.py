"""Read a GraphQL query as Cloudflare does: its own words for what is wrong, types of variables not looked at.

Source: texts of parse errors as public code quotes them, read 2026-11-28. `string!` and `String!` both pass, as there.
"""

from __future__ import annotations

from inspect import isawaitable
from typing import TYPE_CHECKING, Any, cast

from graphql import (
    BooleanValueNode,
    DocumentNode,
    EnumValueNode,
    FloatValueNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLScalarType,
    IntValueNode,
    KnownFragmentNamesRule,
    ListValueNode,
    LoneAnonymousOperationRule,
    NameNode,
    NoFragmentCyclesRule,
    NullValueNode,
    ObjectFieldNode,
    ObjectValueNode,
    OperationDefinitionNode,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    ValidationRule,
    ValuesOfCorrectTypeRule,
    Visitor,
    execute,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_required_argument,
    parse,
    validate,
    value_from_ast_untyped,
    visit,
)

from twin.cloudflare.analytics.schema import Context, schema

if TYPE_CHECKING:
    from graphql import (
        ArgumentNode,
        ConstValueNode,
        DefinitionNode,
        FieldNode,
        Node,
        ValueNode,
        VariableNode,
    )

Json = dict[str, Any]

_RULES = (KnownFragmentNamesRule, NoFragmentCyclesRule, LoneAnonymousOperationRule, ValuesOfCorrectTypeRule)


class Names(ValidationRule):
    """Refuses names that there are not, in the provider's words."""

    _field = ""

    def enter_field(self, node: FieldNode, *_: object) -> None:
        """Refuse a field that its type has not, what it must be given, and fields below a plain value."""
        name, definition = node.name.value, self.context.get_field_def()
        self._field = name
        if definition is None:
            if self.context.get_parent_type() is not None:
                self.report_error(GraphQLError(f'unknown field "{name}"', node))
            return
        given = {argument.name.value for argument in node.arguments or ()}
        for argument, kind in definition.args.items():
            if is_required_argument(kind) and argument not in given:
                self._refuse(f"{argument}: not a number", node)
        if is_leaf_type(get_named_type(definition.type)):
            if node.selection_set:
                self.report_error(GraphQLError(f'scalar field "{name}" must have no selection', node))
        elif not node.selection_set:
            self.report_error(GraphQLError(f'object field "{name}" must have selections', node))

    def enter_argument(self, node: ArgumentNode, *_: object) -> None:
        """Refuse an argument that the field has not."""
        if self.context.get_argument() is None and self.context.get_field_def() is not None:
            self._refuse(f"unknown arg {node.name.value}", node)
        self._check(node.name.value, node)

    def enter_object_field(self, node: ObjectFieldNode, *_: object) -> None:
        """Refuse a filter that the dataset has not."""
        if self.context.get_parent_input_type() is not None and self.context.get_input_type() is None:
            self._refuse(f"filter: unknown arg {node.name.value}", node)
        self._check(f"filter: {node.name.value}", node)

    def _check(self, place: str, node: ArgumentNode | ObjectFieldNode) -> None:
        """Refuse a value of another type."""
        kind = get_nullable_type(self.context.get_input_type())
        if isinstance(kind, GraphQLScalarType) and not isinstance(node.value, NullValueNode):
            try:
                kind.parse_literal(node.value)
            except GraphQLError as error:
                self._refuse(f"{place}: {error.message}", node)

    def _refuse(self, text: str, node: Node) -> None:
        self.report_error(GraphQLError(f'error parsing args for "{self._field}": {text}', node))


class Inlined(Visitor):
    """Puts the variables' values where their names stand, so that the names of their types do not matter."""

    def __init__(self, info: TypeInfo, values: Json) -> None:
        super().__init__()
        self._info = info
        self._values = values

    def enter_variable(self, node: VariableNode, *_: object) -> ValueNode:
        """Return the value; a text where an enumeration is expected is one of its names."""
        value, kind = self._values.get(node.name.value), self._info.get_input_type()
        return _literal(value, named=kind is not None and isinstance(get_named_type(kind), GraphQLEnumType))


def _literal(value: object, *, named: bool = False) -> ConstValueNode:
    made: ConstValueNode
    match value:
        case None:
            made = NullValueNode()
        case bool():
            made = BooleanValueNode(value=value)
        case int():
            made = IntValueNode(value=str(value))
        case float():
            made = FloatValueNode(value=repr(value))
        case str():
            made = EnumValueNode(value=value) if named else StringValueNode(value=value)
        case list():
            made = cast("ConstValueNode", ListValueNode(values=tuple(_literal(one, named=named) for one in value)))
        case dict():
            fields = tuple(ObjectFieldNode(name=NameNode(value=k), value=_literal(v)) for k, v in value.items())
            made = cast("ConstValueNode", ObjectValueNode(fields=fields))
        case _:
            message = f"a variable cannot be {value!r}"
            raise GraphQLError(message)
    return made


def _prepared(body: Json) -> DocumentNode:
    """Parse a query, put the variables in, check it against the schema; the first thing wrong is raised."""
    document = parse(str(body.get("query") or ""))
    given = body.get("variables") or {}
    if not isinstance(given, dict):
        message = "variables: not an object"
        raise GraphQLError(message)
    for operation in document.definitions:
        if isinstance(operation, OperationDefinitionNode):
            for one in operation.variable_definitions or ():
                if one.default_value is not None and one.variable.name.value not in given:
                    given[one.variable.name.value] = value_from_ast_untyped(one.default_value)
    bare = tuple(_without_variables(one) for one in document.definitions)
    info = TypeInfo(schema())
    inlined: DocumentNode = visit(DocumentNode(definitions=bare), TypeInfoVisitor(info, Inlined(info, given)))
    for rules in ((Names,), _RULES):
        for error in validate(schema(), inlined, rules):
            raise error
    return inlined


def _without_variables(definition: DefinitionNode) -> DefinitionNode:
    if not isinstance(definition, OperationDefinitionNode):
        return definition
    return OperationDefinitionNode(
        operation=definition.operation, name=definition.name, selection_set=definition.selection_set
    )


async def answer(body: Json, context: Context) -> tuple[Json | None, list[GraphQLError]]:
    """Return a query's data, None when anything is wrong, and what is."""
    try:
        document = _prepared(body)
    except GraphQLError as error:
        error.extensions = {"code": "parser"}
        return None, [error]
    done = execute(schema(), document, context_value=context, operation_name=body.get("operationName"))
    result = await done if isawaitable(done) else done
    return (None if result.errors else result.data), list(result.errors or ())
