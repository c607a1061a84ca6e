"""What differs from the program, in lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from runbooks.model.account import Difference


def lines(
    differences: Sequence[Difference], *, unread: Iterable[str], notes: Iterable[str], stack: str
) -> Iterator[str]:
    """Yield each difference with what was expected, found, and who was the last to change it; the sum comes last."""
    for one in differences:
        yield f"{one.kind:<13}{one.system}  {one.what}"
        told = (("expected", one.expected), ("found", one.found), ("by", one.by), ("mend", one.mend))
        yield from (f"             {name:<10}{text}" for name, text in told if text)
    missed = [f"not compared {line}" for line in unread]
    yield from missed
    yield from notes
    if differences:
        yield f"{len(differences)} differences between {stack}'s program and its account."
    elif not missed:
        yield f"No drift: {stack}'s account is as its program says."
