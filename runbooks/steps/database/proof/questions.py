"""Ask many questions of one database at the same time, within a budget; keep the answers, and what was not asked."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from runbooks.model.errors import CheckError
from runbooks.steps.database.proof.comparing import Weight
from runbooks.steps.database.proof.contents import PINNED

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.clients.postgres import Postgres, Session

JOBS: Final = 2


class Remark(NamedTuple):
    """One line about a database: a fault, a note, or what was not checked."""

    weight: Weight
    text: str


Ask: TypeAlias = "Callable[[Session], list[Remark]]"


class Question(NamedTuple):
    """Something to ask; `cost` is about how many bytes it reads. Without `ask`, `why` says why it is not asked."""

    title: str
    cost: int
    ask: Ask | None
    why: str = ""


@dataclass
class Answers:
    """What was answered so far."""

    remarks: list[Remark] = field(default_factory=list)
    asked: int = 0

    def of(self, weight: Weight) -> list[str]:
        """Return the lines of one weight, in order."""
        return sorted(remark.text for remark in self.remarks if remark.weight is weight)


def ask_all(
    database: Postgres,
    questions: list[Question],
    *,
    until: float,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Answers:
    """Ask everything, what costs least first; after `until` (monotonic seconds) nothing more is begun.

    Raises Unreachable when the database does not answer at all.
    """
    left, answers, lock = deque(sorted(questions, key=lambda question: question.cost)), Answers(), Lock()

    def work() -> None:
        with database.reading() as session:
            session.rows(PINNED)
            while True:
                with lock:
                    if not left:
                        return
                    question = left.popleft()
                remarks = _answer(session, question, until)
                with lock:
                    answers.remarks += remarks
                    answers.asked += 1
                    report(answers.asked, len(questions))

    with ThreadPoolExecutor(JOBS) as pool:
        for ended in [pool.submit(work) for _ in range(JOBS)]:
            ended.result()
    return answers


def _answer(session: Session, question: Question, until: float) -> list[Remark]:
    if question.ask is None:
        return [Remark(Weight.UNCHECKED, f"{question.title}: {question.why}")]
    if time.monotonic() > until:
        return [Remark(Weight.UNCHECKED, f"{question.title}: there was no time left for it")]
    try:
        with session.attempt():
            return question.ask(session)
    except CheckError as error:
        said = str(error).partition(": ")[2]
        weight = Weight.FAULT if any(state in said for state in DAMAGED) else Weight.UNCHECKED
        return [Remark(weight, f"{question.title}: {said}")]


DAMAGED: Final = ("SQLSTATE XX001", "SQLSTATE XX002", "SQLSTATE 58P01")
"""What the server says of data that is damaged: data_corrupted, index_corrupted, undefined_file."""
