"""Let a task take any number of plain words, none too: `invoke drill`, `invoke drill lost-table`.

invoke 3.0 knows required positional arguments only: one that has no value yet takes the next word, and is missed at
the end. So the argument asks for exactly as many words as the command line holds for its task.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from invoke import Argument, Task

from runbooks.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Words(Argument):
    """A list that has no value until it holds `expected` words."""

    def __init__(self, *, name: str, help: str | None, expected: int) -> None:  # noqa: A002 - invoke's name
        super().__init__(name=name, kind=list, positional=True, help=help)
        self.expected = expected

    @property
    def value(self) -> list[str] | None:
        """Return the words, None while some are missing."""
        words: list[str] = self._value or []
        return words if len(words) >= self.expected else None

    @value.setter
    def value(self, word: str) -> None:
        self.set_value(word)

    def set_value(self, value: Any, cast: bool = True) -> None:  # noqa: ANN401, ARG002, FBT001, FBT002 - invoke's own signature
        """Take one more word."""
        self.raw_value = value
        self._value = [*(self._value or []), value]


class WordsTask(Task[Any]):
    """A task whose only positional argument takes any number of words."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:  # noqa: FBT001 - invoke's own signature
        """Return the task's arguments, the positional one asking for the words of this command line."""
        arguments: list[Argument] = super().get_arguments(ignore_unknown_help)
        valued = {f"--{name}" for one in arguments if one.takes_value and not one.positional for name in one.names}
        expected = count_words(sys.argv[1:], task=self.name, valued=valued)
        return [
            Words(name=one.names[0], help=one.help, expected=expected) if one.positional else one for one in arguments
        ]


def one(words: Sequence[str]) -> str:
    """Return the only word, nothing where there is none. Raises Refused when there are several."""
    if len(words) > 1:
        message = f"expected one word, got {len(words)}: {' '.join(words)}"
        raise Refused(message)
    return words[0] if words else ""


def count_words(line: Sequence[str], *, task: str, valued: Iterable[str]) -> int:
    """Return how many plain words follow `task` on a command line: neither flags nor the values of `valued` flags."""
    names = [word.rpartition(".")[2] for word in line]  # `runs.show` is the task `show`
    if task not in names:
        return 0
    after, flags = [*line[names.index(task) + 1 :]], set(valued)
    pairs = zip(["", *after], after, strict=False)
    return sum(not word.startswith("-") and before not in flags for before, word in pairs)
