"""A task takes any number of plain words."""

from __future__ import annotations

import sys

import pytest
from invoke import Collection, ParseError, Parser

from runbooks.commands.drill import drill
from runbooks.commands.frame.words import count_words, one
from runbooks.commands.runs import approve, show
from runbooks.model.errors import Refused

LINES = [
    ("invoke drill", []),
    ("invoke drill lost-table", ["lost-table"]),
    ("invoke drill bad-release lost-table --json", ["bad-release", "lost-table"]),
    ("invoke drill --json --stack prod lost-table", ["lost-table"]),
    ("invoke drill --stack=prod --junit out.xml", []),
    ("invoke --echo drill --all lost-table", ["lost-table"]),
]


@pytest.mark.parametrize(("line", "words"), LINES)
def test_words_go_to_the_task(monkeypatch: pytest.MonkeyPatch, line: str, words: list[str]) -> None:
    """The words of a command line reach the task in order, with flags before or after them."""
    monkeypatch.setattr(sys, "argv", line.split())
    contexts = Collection(drill).to_contexts()
    rest = line.split()[line.split().index("drill") :]
    parsed = Parser(contexts=contexts).parse_argv(rest)
    assert parsed[0].as_kwargs["names"] == words


def test_flags_are_still_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown flag is refused as ever."""
    monkeypatch.setattr(sys, "argv", ["invoke", "drill", "lost-table", "--nonsense"])
    with pytest.raises(ParseError):
        Parser(contexts=Collection(drill).to_contexts()).parse_argv(["drill", "lost-table", "--nonsense"])


RUNS = [
    ("invoke runs.show", ""),
    ("invoke runs.show tango-7", "tango-7"),
    ("invoke runs.show --run tango-7 --json", "tango-7"),
    ("invoke runs.show --run=tango-7", "tango-7"),
    ("invoke runs.show --stack twin tango-7", "tango-7"),
    ("invoke runs.approve --as lead tango-7", "tango-7"),
]


@pytest.mark.parametrize(("line", "run"), RUNS)
def test_a_run_is_a_word_or_a_flag(monkeypatch: pytest.MonkeyPatch, line: str, run: str) -> None:
    """The id of a run may follow its command at once, or as --run."""
    monkeypatch.setattr(sys, "argv", line.split())
    runs = Collection(show, approve)
    words = [word.removeprefix("runs.") for word in line.split()[1:]]
    parsed = Parser(contexts=runs.to_contexts()).parse_argv(words)
    assert one(parsed[0].as_kwargs["run"]) == run


def test_two_words_for_one_are_refused() -> None:
    """Nobody guesses which run was meant."""
    with pytest.raises(Refused, match="expected one word, got 2: tango-7 tango-8"):
        one(["tango-7", "tango-8"])


def test_another_tasks_words_do_not_count() -> None:
    """Without the task on the line nothing is expected."""
    assert count_words(["restore", "--point", "now"], task="drill", valued=()) == 0
