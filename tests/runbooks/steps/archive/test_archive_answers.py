"""The answer of every act on a server of our own is lost once: it is looked for, and nothing is done again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from benchmarks.databases.selfhosted import SelfHosted, selfhosted
from runbooks.engine.step import Book, Sight
from runbooks.model.errors import AnswerLost, Exit
from tests.runbooks.steps.archive.acts import MAKERS, Acts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runbooks.engine.step import Json
    from tests.runbooks.desk import Desk

pytestmark = pytest.mark.twin


class Nothing(msgspec.Struct, frozen=True):
    """No facts."""


@pytest.fixture(scope="module")
def server() -> Iterator[SelfHosted]:
    """Give a server of our own."""
    with selfhosted() as server:
        yield server


@pytest.mark.parametrize("name", MAKERS)
def test_a_lost_answer_is_found(desk: Desk, server: SelfHosted, name: str) -> None:
    """The act is done, its answer never comes: the run ends well and the act was not done twice."""
    acts = Acts(server)
    step = MAKERS[name](acts)
    done = []

    def act(sight: Sight) -> Json:
        done.append(sight.request)
        step.act(sight)
        message = "the answer was lost"
        raise AnswerLost(message)

    lossy = replace(step, act=act)
    book = Book(name="one", facts_type=Nothing, gather=Nothing, steps=lambda _: (lossy,), summary=lambda _: "one step")
    try:
        outcome = desk.run(book)
        assert (outcome.exit, outcome.text, len(done)) == (Exit.DONE, "", 1)
    finally:
        acts.recovery.copy.stop()
        _as_before(acts)


def _as_before(acts: Acts) -> None:
    """Bring back the present folder, and have its server run."""
    server, work = acts.server, acts.recovery.work
    if work.former.is_dir() or acts.own.runs() is False:
        if acts.own.runs():
            server.stop()
        if work.former.is_dir():
            acts.own.data.rename(work.folder / "used")
            work.former.rename(acts.own.data)
        server.start()
    work.remove()
