"""What a provider is asked, and in which words it answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from twin.apply.state import Entry, Pending


class Action(StrEnum):
    """What happens to a resource, in the words of `pulumi up`."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"


@dataclass(frozen=True)
class Wanted:
    """A resource as the program declares it: `inputs` for requests, `masked` for comparison and the state."""

    type: str
    name: str
    inputs: dict[str, Any]
    masked: dict[str, Any]


@dataclass(frozen=True)
class Made:
    """A resource as the provider answered."""

    id: str
    outputs: dict[str, Any]


class Provider(Protocol):
    """What makes one family of types real."""

    def diff(self, old: Entry, new: Wanted) -> Action:
        """Return what the difference asks for: same, update or replace."""

    def create(self, new: Wanted, note: Pending, known: set[str]) -> Made:
        """Make it."""

    def find(self, new: Wanted, note: Pending, known: set[str]) -> Made | None:
        """Return it when a creation that was cut off has made it."""

    def update(self, old: Entry, new: Wanted) -> Made:
        """Change it."""

    def delete(self, old: Entry) -> None:
        """Remove it; having gone already is as good."""
