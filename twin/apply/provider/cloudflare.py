"""Make resources of the Cloudflare provider real, by the requests that it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from twin.apply.errors import AnswerLostError, ApplyError, ProviderError
from twin.apply.provider.bodies import patch
from twin.apply.provider.contract import Action, Made, Wanted
from twin.apply.provider.kinds import EVERYTHING, KINDS, PREFIX, Kind
from twin.apply.provider.lookups import Search
from twin.apply.provider.naming import to_outputs

if TYPE_CHECKING:
    from twin.apply.provider.wire import Wire
    from twin.apply.state import Entry, Pending

TRIES: Final = 3
GONE: Final = 404


class Cloudflare:
    """The types of pulumi-cloudflare, over the API of one twin."""

    def __init__(self, wire: Wire) -> None:
        """Take the way to the API."""
        self._wire = wire

    def diff(self, old: Entry, new: Wanted) -> Action:
        """Compare inputs; the table says which ones need a new resource."""
        differing = {name for name in old.inputs.keys() | new.masked if old.inputs.get(name) != new.masked.get(name)}
        if not differing:
            return Action.SAME
        kind = kind_of(new.type)
        return Action.REPLACE if kind.replace_on is EVERYTHING or kind.replace_on & differing else Action.UPDATE

    def create(self, new: Wanted, note: Pending, known: set[str]) -> Made:
        """Send the creating request; after a lost answer, look whether it was applied before sending it again."""
        try:
            return self._send(new)
        except AnswerLostError as error:
            lost = error
        for _ in range(TRIES - 1):
            try:
                return self.find(new, note, known) or self._send(new)
            except AnswerLostError as error:
                lost = error
            except ProviderError as error:
                # No longer a clear no: the first one may have been applied all the same.
                raise AnswerLostError(str(error)) from None
        raise lost

    def _send(self, new: Wanted) -> Made:
        kind = kind_of(new.type)
        result = self._wire.call(kind.method, _fill(kind.collection, new.inputs), _body(kind, new.inputs))
        return _made(kind, new.inputs, result)

    def find(self, new: Wanted, note: Pending, known: set[str]) -> Made | None:
        """Look for it by what makes it unique."""
        kind = kind_of(new.type)
        search = Search(new.inputs, _fill(kind.collection, new.inputs), note.since, known)
        found = kind.find(self._wire, search)
        return None if found is None else _made(kind, new.inputs, found)

    def update(self, old: Entry, new: Wanted) -> Made:
        """Send the whole, or only what differs where the provider does so."""
        kind = kind_of(new.type)
        if kind.update == "PATCH":
            body = patch(_body(kind, old.inputs), _body(kind, new.masked), _body(kind, new.inputs))
        else:
            body = _body(kind, new.inputs, update=True)
        result = self._wire.call(str(kind.update), _fill(kind.item, new.inputs, old.id), body)
        return Made(old.id, _outputs(new.inputs, result))

    def delete(self, old: Entry) -> None:
        """Send the removing request, where the provider sends one."""
        kind = kind_of(old.type)
        if not kind.removes:
            return
        try:
            if kind.ends_with:
                self._wire.call("PATCH", _fill(kind.item, old.inputs, old.id), kind.ends_with)
            self._wire.call("DELETE", _fill(kind.item, old.inputs, old.id))
        except ProviderError as error:
            # The real provider stops here and asks for `pulumi refresh`; there is no refresh to ask for.
            if error.status != GONE:
                raise


def kind_of(token: str) -> Kind:
    """Return what is known of a type; raise ApplyError for one that is not."""
    kind = KINDS.get(token.removeprefix(PREFIX))
    if kind is None or not token.startswith(PREFIX):
        message = f"{token} is not made real yet: add it to twin/apply/provider/kinds.py"
        raise ApplyError(message)
    return kind


def _fill(path: str, inputs: dict[str, Any], known_id: str = "") -> str:
    values = {name: quote(str(value), safe="") for name, value in inputs.items() if isinstance(value, str)}
    return path.format_map({**values, "id": quote(known_id, safe="")})


def _body(kind: Kind, inputs: dict[str, Any], *, update: bool = False) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return the body without what stands in the path."""
    shape = kind.changed if update and kind.changed else kind.body
    in_path = {name for name in inputs if f"{{{name}}}" in kind.collection}
    return shape({name: value for name, value in inputs.items() if name not in in_path})


def _made(kind: Kind, inputs: dict[str, Any], result: Any) -> Made:  # noqa: ANN401 - the provider's JSON
    made = inputs[kind.key] if kind.key else (result or {}).get("id")
    if not made:
        message = f"{kind.method} {_fill(kind.collection, inputs)}: expected an id in the answer, got {result}"
        raise ApplyError(message)
    return Made(str(made), _outputs(inputs, result))


def _outputs(inputs: dict[str, Any], result: object) -> dict[str, Any]:
    return {name: value for name, value in to_outputs(result).items() if name not in inputs and name != "id"}
