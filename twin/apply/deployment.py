"""Decide what happens to each resource, let its provider do it, and write it down at once."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twin.apply.errors import ApplyError, ProviderError
from twin.apply.masking import UNKNOWN, Masker, unmark
from twin.apply.provider import cloudflare, dynamic
from twin.apply.provider.contract import Action, Made, Provider, Wanted
from twin.apply.state import Entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from twin.apply.state import State

Event = dict[str, str | None]


@dataclass(frozen=True)
class Registration:
    """A resource as the program registers it; `inputs` still carry the marks of secrets."""

    urn: str
    type: str
    name: str
    inputs: dict[str, Any]
    protect: bool
    retain: bool


@dataclass(frozen=True)
class Providers:
    """Who makes which types real."""

    cloudflare: Provider
    dynamic: Provider

    def of(self, token: str) -> Provider:
        """Return the provider of a type; raise ApplyError for a type that nobody knows."""
        if token.startswith(dynamic.PREFIX):
            return self.dynamic
        cloudflare.kind_of(token)
        return self.cloudflare


class Deployment:
    """One pass over a program. `changes` counts what was (or would be) done; `emit` is told of every resource."""

    def __init__(
        self, state: State, providers: Providers, masker: Masker, emit: Callable[[Event], None], *, preview: bool
    ) -> None:
        """Start with nothing seen."""
        self._state = state
        self._providers = providers
        self._masker = masker
        self._emit = emit
        self._preview = preview
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        self.changes = 0

    def register(self, resource: Registration) -> Made | None:
        """Make a resource real and return it; None in a preview for one that doesn't exist yet.

        Called from several threads. Raises ApplyError, with the resource's name.
        """
        with self._lock:
            if resource.urn in self._seen:
                message = f"{resource.urn}: two resources have this name"
                raise ApplyError(message)
            self._seen.add(resource.urn)
        try:
            return self._settle(resource)
        except ProviderError as error:
            message = f"{resource.type} {resource.name}: {error}"
            raise ProviderError(message, status=error.status) from error
        except ApplyError as error:
            message = f"{resource.type} {resource.name}: {error}"
            raise ApplyError(message) from error

    def remove_rest(self) -> None:
        """Remove what the program no longer declares and what was replaced, newest first."""
        gone = [entry for entry in self._state.resources if entry.urn not in self._seen]
        for entry in gone:
            if entry.protect:
                message = f"{entry.type} {entry.name}: it is protected, and the program no longer declares it"
                raise ApplyError(message)
        self._remove(gone)

    def destroy(self) -> None:
        """Remove everything but what is protected, newest first."""
        for entry in self._state.resources:
            if entry.protect:
                self._tell(Action.SAME, entry.urn, entry.type, entry.name, entry.id)
        self._remove([entry for entry in self._state.resources if not entry.protect])

    def _settle(self, resource: Registration) -> Made | None:
        provider = self._providers.of(resource.type)
        new = Wanted(resource.type, resource.name, unmark(resource.inputs), self._masker.mask(resource.inputs))
        old = self._taken_over(resource, provider, new) or self._state.find(resource.urn)
        action = Action.CREATE if old is None else provider.diff(old, new)
        if action is Action.REPLACE and old is not None and old.protect:
            message = "it is protected, and this change would replace it"
            raise ApplyError(message)
        made: Made | None
        if old is not None and action is Action.SAME:
            made = Made(old.id, old.outputs)
            if (old.protect, old.retain) != (resource.protect, resource.retain):
                self._keep(resource, new, made)
        elif self._preview:
            made = Made(old.id, {}) if old is not None and action is Action.UPDATE else None
        elif old is not None and action is Action.UPDATE:
            made = self._keep(resource, new, provider.update(old, new))
        else:
            made = self._created(resource, provider, new)
            self._keep(resource, new, made, replaces=action is Action.REPLACE)
        self._tell(action, resource.urn, resource.type, resource.name, made.id if made else None)
        return made

    def _created(self, resource: Registration, provider: Provider, new: Wanted) -> Made:
        note = self._state.open(resource.urn, new.masked)
        try:
            return provider.create(new, note, self._state.known())
        except ProviderError:
            # A clear no. Without this, the next apply would take over what somebody else has under that name.
            self._state.close(resource.urn)
            raise

    def _taken_over(self, resource: Registration, provider: Provider, new: Wanted) -> Entry | None:
        """Find what a creation that was cut off may have left, and make it ours."""
        note = self._state.pending(resource.urn)
        if note is None or self._preview or UNKNOWN in note.inputs.values():
            return None
        plain = Wanted(new.type, new.name, {**new.inputs, **_unhashed(note.inputs)}, note.inputs)
        made = provider.find(plain, note, self._state.known())
        if made is None:
            return None
        existed = self._state.find(resource.urn) is not None
        self._keep(resource, plain, made, replaces=existed)
        return self._state.find(resource.urn)

    def _keep(self, resource: Registration, new: Wanted, made: Made, *, replaces: bool = False) -> Made:
        old = self._state.find(resource.urn)
        entry = Entry(
            urn=resource.urn,
            type=resource.type,
            name=resource.name,
            id=made.id,
            inputs=new.masked,
            outputs=made.outputs,
            order=old.order if old else 0,
            protect=resource.protect,
            retain=resource.retain,
        )
        self._state.keep(entry, replaces=replaces)
        return made

    def _remove(self, gone: list[Entry]) -> None:
        ours = {(entry.type, entry.id) for entry in self._state.resources if entry not in gone}
        replaced = [] if self._preview else self._state.replaced
        for entry in (*replaced, *gone):
            # A PUT by name answers with the id that was there before: the successor lives under it.
            if not self._preview:
                if not entry.retain and (entry.type, entry.id) not in ours:
                    self._providers.of(entry.type).delete(entry)
                self._state.forget(entry)
            if entry in gone:
                self._tell(Action.DELETE, entry.urn, entry.type, entry.name, entry.id)

    def _tell(self, action: Action, urn: str, token: str, name: str, known_id: str | None) -> None:
        with self._lock:
            self.changes += action is not Action.SAME
            self._emit({"urn": urn, "type": token, "name": name, "action": action.value, "id": known_id})


def _unhashed(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs of a note that were not secret: what a look-up compares."""
    return {name: value for name, value in inputs.items() if "hmac-sha256:" not in str(value)}
