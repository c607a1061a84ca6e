"""Make dynamic resources real: unpickle their provider and ask it, as Pulumi's own plugin does."""

from __future__ import annotations

import base64
import contextlib
import pickle
from typing import TYPE_CHECKING, Any, Final

import dill  # type: ignore[import-untyped]
import pulumi
from pulumi.dynamic import Config, ConfigureRequest, ResourceProvider

from twin.apply.errors import ApplyError
from twin.apply.provider.contract import Action, Made, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twin.apply.state import Entry, Pending

PREFIX: Final = "pulumi-python:dynamic"
KEY: Final = "__provider"


class Dynamic:
    """The types that a program brings along. `config` is what their providers are configured with."""

    def __init__(self, config: dict[str, str], project: str) -> None:
        """Keep the configuration for providers that ask for it."""
        self._config = Config(raw_config=dict(config), project_name=project)

    def diff(self, old: Entry, new: Wanted) -> Action:
        """Ask the provider, unless nothing differs at all."""
        if old.inputs == new.masked:
            return Action.SAME
        result = self._provider(new.inputs).diff(old.id, {**old.inputs, **old.outputs}, _own(new.inputs))
        if result.replaces:
            return Action.REPLACE
        return Action.SAME if result.changes is False else Action.UPDATE

    def create(self, new: Wanted, _note: Pending, _known: set[str]) -> Made:
        """Check, then create. To find what a cut-off creation has made is the provider's own business."""
        provider = self._provider(new.inputs)
        with _told():
            created = provider.create(_checked(provider, {}, new))
        return Made(str(created.id), _outputs(created.outs, new.inputs))

    def find(self, _new: Wanted, _note: Pending, _known: set[str]) -> Made | None:
        """Find nothing: there is no look-up in the protocol of dynamic resources."""
        return None

    def update(self, old: Entry, new: Wanted) -> Made:
        """Check, then update."""
        provider = self._provider(new.inputs)
        olds = {**old.inputs, **old.outputs}
        with _told():
            updated = provider.update(old.id, olds, _checked(provider, olds, new))
        return Made(old.id, _outputs(updated.outs, new.inputs))

    def delete(self, old: Entry) -> None:
        """Ask the provider that the state names."""
        with _told():
            self._provider(old.inputs).delete(old.id, {**old.inputs, **old.outputs})

    def _provider(self, inputs: dict[str, Any]) -> ResourceProvider:
        try:
            provider = dill.loads(base64.b64decode(inputs[KEY], validate=True))  # noqa: S301 - the program's own pickle
        except (ValueError, ImportError, AttributeError, pickle.UnpicklingError) as error:
            message = f"its provider can't be loaded: {error}"
            raise ApplyError(message) from None
        if not isinstance(provider, ResourceProvider):
            message = f"expected a pickled ResourceProvider, got {type(provider).__name__}"
            raise ApplyError(message)
        provider.configure(ConfigureRequest(config=self._config))
        return provider


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn the error that a provider means for people into ours; any other one is its bug, and shows itself whole."""
    try:
        yield
    except pulumi.RunError as error:
        raise ApplyError(str(error)) from None


def _own(inputs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in inputs.items() if name != KEY}


def _checked(provider: ResourceProvider, olds: dict[str, Any], new: Wanted) -> dict[str, Any]:
    result = provider.check(olds, _own(new.inputs))
    if result.failures:
        said = "; ".join(f"{failure.property}: {failure.reason}" for failure in result.failures)
        raise ApplyError(said)
    return result.inputs


def _outputs(outs: dict[str, Any] | None, inputs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (outs or {}).items() if name not in inputs}
