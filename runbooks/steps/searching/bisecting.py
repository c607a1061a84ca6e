"""Find where a row of moments turns from good to bad, with as few looks as possible: each may restore a database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass
class Bisection:
    """A search over places 0 … count - 1, oldest first; what comes after the last one is known to be bad.

    `look` tells whether it is good at a place, None where that cannot be told; its second argument is how many looks
    may still follow. At most `most` are made. Most accidents are noticed soon, so it begins with the newest place,
    unless one that is good is among the `answers` already.
    """

    count: int
    look: Callable[[int, int], bool | None]
    most: int
    answers: dict[int, bool | None] = field(default_factory=dict)

    def run(self) -> tuple[int | None, int]:
        """Return the newest place that was found good, None without any, and the first after it that was found bad.

        Where it was good, bad, and good again for a while, that is one of the turns to bad, and not always the last.
        """
        self._stride()
        for place in reversed(range(self.count)):  # it was good between two bad ones, or never
            if self.good is None and place not in self.answers:
                self._ask(place, place)
        while self.good is not None and (between := self._open(self.good + 1, self.bad)):
            self._ask(between[(len(between) - 1) // 2], len(between).bit_length() - 1)
        return self.good, self.bad

    def ask(self, place: int) -> bool | None:
        """Ask this place before the others, and return what it said; nothing is asked twice."""
        if place not in self.answers:
            between = self.bad - (0 if self.good is None else self.good) - 1
            self._ask(place, between.bit_length())
        return self.answers.get(place)

    @property
    def good(self) -> int | None:
        """Return the newest place found good."""
        return max((place for place, answer in self.answers.items() if answer), default=None)

    @property
    def bad(self) -> int:
        """Return the first place after it that was found bad, `count` without any."""
        after = -1 if self.good is None else self.good
        found = (place for place, answer in self.answers.items() if answer is False and place > after)
        return min(found, default=self.count)

    def _stride(self) -> None:
        """Look back from the newest place until it is good: one by one at first, then in steps that double."""
        step = 1
        while self.good is None and (older := self._open(0, self.bad)):
            place = older[-min(step, len(older))]
            self._ask(place, 2 * len(older).bit_length())
            if self.answers[place] is False and place < self.count - 1:
                step *= 2

    def _open(self, first: int, end: int) -> Sequence[int]:
        """Return the places that may still be asked."""
        if len(self.answers) >= self.most:
            return []
        if not any(first <= place < end for place in self.answers):
            return range(first, end)
        return [place for place in range(first, end) if place not in self.answers]

    def _ask(self, place: int, following: int) -> None:
        left = self.most - len(self.answers)
        if left > 0:
            self.answers[place] = self.look(place, min(following, left - 1))
