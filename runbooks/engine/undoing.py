"""Take back one step from the state that was seen before it, and prove that it is no longer so."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from runbooks.engine.acting import carry_out
from runbooks.engine.history import Past, StepPast
from runbooks.engine.outcome import Ending, Status
from runbooks.engine.plan import planned
from runbooks.engine.proof import lasting, only_no, settle, why
from runbooks.engine.record.entry import Kind
from runbooks.engine.signals import WHEN_ASKED_TWICE
from runbooks.engine.step import Effect, Json, No, NoUndo, Sight, Step, Yes
from runbooks.model.errors import AnswerLost, Exit, NotSo, OpsError, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runbooks.engine.plan import Plan
    from runbooks.engine.session import Session


def undo_plan(past: Past, proofs: tuple[Step, ...]) -> Plan:
    """Return what taking back does: what took effect, newest first, then the proof of the old state.

    Steps without a way back are its losses. Nothing is proven where nothing is, or was, taken back.
    """
    newest_first = [step for step in reversed(past.plan.every_step) if _in_effect(past.steps.get(step.name))]
    back = tuple(
        msgspec.structs.replace(step, title=f"take back: {step.title}", effect=Effect.WRITE)
        for step in newest_first
        if step.no_undo is None
    )
    stay = tuple(f"{step.title}: cannot be taken back: {step.no_undo}" for step in newest_first if step.no_undo)
    after = tuple(planned(step, expect=step.expect) for step in proofs) if back or past.undoing else ()
    return msgspec.structs.replace(
        past.plan,
        book=f"undo {past.plan.book}",
        steps=back + after,
        otherwise=(),
        losses=stay,
        shows=(),
        summary=f"take back {len(back)} of {len(newest_first)} steps that took effect",
        estimate=sum(step.expect for step in back + after),
    )


def steps_by_name(steps: tuple[Step, ...], proofs: tuple[Step, ...], plan: Plan) -> Mapping[str, Step]:
    """Return the book's steps by name. Raises Refused when one that must be taken back is there no more.

    Raises ValueError when a proof has the name of a step: in the journal they could not be told apart.
    """
    found = {step.name: step for step in (*steps, *proofs)}
    if len(found) < len(steps) + len(proofs):
        message = f"book {plan.book}: a step and a proof of its undo have the same name"
        raise ValueError(message)
    missing = [step.name for step in plan.steps if step.name not in found]
    if missing:
        message = f"nothing was done: the book has no step {', '.join(missing)} any more, so it cannot be taken back"
        raise Refused(message)
    return found


def take_back_all(session: Session, plan: Plan, steps: Mapping[str, Step]) -> Ending:
    """Take back every step of an undo plan, in its order, then prove the old state.

    Raises OpsError or StopNow where it ends before.
    """
    for loss in plan.losses:
        session.note(loss)
    for index, line in enumerate(plan.steps, 1):
        session.stop.check()
        session.begin(line, index, len(plan.steps))
        if line.effect is Effect.READ:
            carry_out(steps[line.name], session)
        else:
            take_back(steps[line.name], session)
    return Ending(Status.UNDONE, Exit.DONE, "; ".join(plan.losses))


def take_back(step: Step, session: Session) -> None:
    """Undo the current step once, and prove it. Raises OpsError or StopNow when it does not come to that."""
    past = session.past.steps[step.name] if session.past else StepPast()
    sight = session.sight(step, request=past.request, before=past.before)
    if past.open or past.undoing:
        session.effect = "unknown"
        if not step.half and _gone(step, sight, session):
            return
    lost = ""
    for attempt in range(1, step.attempts + 1):
        lost = _undo(step, sight, attempt, session)
        if not lost:
            return
    message = f"{step.title}: taking it back did not happen, and the answer was lost each time ({lost})"
    raise Unreachable(message)


def _undo(step: Step, sight: Sight, attempt: int, session: Session) -> str:
    """Undo once; say why the answer was lost when it is proven that nothing happened, else nothing."""
    if isinstance(step.undo, NoUndo):
        message = f"{step.title}: it cannot be taken back any more: {step.undo.because}"
        raise Refused(message)
    undo = step.undo
    session.before_effect()
    request = secrets.token_hex(8)
    now = replace(sight, request=request)
    session.write(Kind.UNDO_STARTED, {"request": request, "attempt": attempt, "before": sight.before}, durable=True)
    session.stop.check()
    session.effect = "unknown"
    try:
        answer = session.stop.during(WHEN_ASKED_TWICE, partial(undo, now))
    except OpsError as error:
        if not (error.retryable or isinstance(error, AnswerLost)):
            raise
        session.write(Kind.OBSERVED, {"lost": str(error)})
        return "" if _gone(step, sight, session) else str(error)
    session.effect = "done"
    held = settle(step, sight, stop=session.stop, limit=WHEN_ASKED_TWICE, counts=only_no, until=sight.deadline)
    if not isinstance(held, No):
        message = f"{step.title}: it was taken back, but that is not to be seen after {step.deadline:g} s"
        raise NotSo(message)
    _finish(session, held, answer)
    return ""


def _gone(step: Step, sight: Sight, session: Session) -> bool:
    """Look whether an undo without an answer took effect, or the step never did; if so, write it down."""
    held = settle(
        step,
        sight,
        stop=session.stop,
        limit=WHEN_ASKED_TWICE,
        counts=lasting(No, seconds=step.settle),
        until=max(sight.deadline, time.monotonic() + step.settle),
    )
    if isinstance(held, No):
        _finish(session, held, None)
    elif not isinstance(held, Yes):
        message = f"{step.title}: whether it is in effect cannot be told yet: {why(held)}"
        raise AnswerLost(message)
    return isinstance(held, No)


def _finish(session: Session, held: No, answer: Json) -> None:
    seconds = round(time.monotonic() - session.current_began, 6)
    payload = {"answer": answer, "evidence": {**held.evidence, "why": held.why}, "seconds": seconds}
    written = session.write(Kind.UNDONE, payload)
    session.ended(Kind.UNDONE, seconds, written["evidence"])


def _in_effect(step: StepPast | None) -> bool:
    return step is not None and step.in_effect
