"""Tell what differs, and who made it so as far as the provider remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.model.account import Difference, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runbooks.model.account import Change


AGAIN: Final = "`pulumi refresh` tells the state of it, then `invoke deploy` sets it right"
"""What mends what a preview does not see and a refresh does."""


def differs(
    system: str,
    what: str,
    expected: object,
    found: object,
    *,
    trail: Sequence[str] = (),
    mend: str = AGAIN,
    id_: str = "",
) -> list[Difference]:
    """Return the difference between two values; none where they are the same."""
    if expected == found:
        return []
    kind = Kind.MISSING if found is None else Kind.CHANGED
    shown = "nothing" if found is None else str(found)
    return [Difference(system, what, kind, str(expected), shown, mend, id_, tuple(trail))]


def told(differences: Iterable[Difference], changes: Sequence[Change]) -> list[Difference]:
    """Return the differences with who was the last to change each, where the log of changes (newest first) tells.

    What is missing was removed: of what has no id any more it can only be told who has removed something of the kind.
    """
    return [msgspec.structs.replace(one, by=_by(one, changes)) for one in differences]


def _by(difference: Difference, changes: Sequence[Change]) -> str:
    wanted = ("DELETE", "PUT") if difference.kind is Kind.MISSING else ("POST", "PUT", "PATCH", "DELETE")
    for part in difference.trail:
        found = [one for one in changes if one.method in wanted and _is_about(one, part)]
        if found and difference.kind is Kind.MISSING and len(found) > 1:
            return f"one of {len(found)} changes of the kind, the last: {found[0]}"
        if found:
            return str(found[0])
    return ""


def _is_about(change: Change, part: str) -> bool:
    """Tell whether a change is of this id, or its call's path ends with this part or has it as a whole folder."""
    path = change.uri.partition("?")[0]
    return part == change.resource or path.endswith(part) or f"{part}/" in path
