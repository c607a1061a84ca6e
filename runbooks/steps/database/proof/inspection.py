"""Everything that can be asked of a recovered database without knowing what it should hold, in one go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbooks.steps.database.proof.comparing import Finding, Weight
from runbooks.steps.database.proof.contents import PINNED
from runbooks.steps.database.proof.definitions import differences
from runbooks.steps.database.proof.keys import key_questions, rule_questions
from runbooks.steps.database.proof.pages import page_questions
from runbooks.steps.database.proof.questions import Answers, Remark, ask_all
from runbooks.steps.database.proof.reading import read_objects, read_sequences
from runbooks.steps.database.proof.standing import catalogue_remarks, object_remarks, sequence_remarks

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.clients.postgres import Postgres
    from runbooks.steps.database.proof.definitions import Definitions


def inspect(
    database: Postgres,
    present: Definitions | None,
    *,
    until: float,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Answers:
    """Return faults, notes and what was not checked: catalogue, definitions, sequences, keys, rules, pages.

    `present` are the definitions from before the recovery. After `until` (monotonic seconds) nothing more is begun.
    Raises Unreachable when the database does not answer.
    """
    with database.reading() as session:
        session.rows(PINNED)
        objects = read_objects(session)
        sequences, unread = read_sequences(session)
        remarks = [*_as_before(catalogue_remarks(session), present), *sequence_remarks(sequences, present)]
        questions = [
            *key_questions(session),
            *rule_questions(session),
            *page_questions(database, session, until=until),
        ]
    remarks += object_remarks(objects.definitions, present)
    remarks += [Remark(Weight.UNCHECKED, text) for text in (*objects.unchecked, *unread)]
    if present is None:
        remarks.append(Remark(Weight.UNCHECKED, "definitions: those of the present were not noted before"))
    else:
        remarks += [_remark(finding) for finding in differences(present, objects.definitions)]
    answers = ask_all(database, questions, until=until, report=report)
    answers.remarks += remarks
    return answers


def _as_before(remarks: list[Remark], present: Definitions | None) -> list[Remark]:
    """Return what the catalogue shows; what it shows in the present just the same is a note."""
    known = () if present is None else present.standing
    return [Remark(Weight.NOTE, f"{text}, as in the present") if text in known else Remark(weight, text)
            for weight, text in remarks]  # fmt: skip


def _remark(finding: Finding) -> Remark:
    since = "" if finding.weight is Weight.FAULT else " (changed since the point)"
    text = f"{finding.what} {finding.where}: in the present {finding.expected}, now {finding.got}{since}"
    return Remark(finding.weight, text)
