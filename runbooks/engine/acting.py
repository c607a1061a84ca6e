"""Carry out one step: look, act at most once per proven No, prove. An act whose answer was lost is looked for."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from runbooks.engine.outcome import Ending, Status
from runbooks.engine.proof import LOOK_AGAIN, at_once, lasting, look, only_yes, settle, why
from runbooks.engine.record.entry import Kind
from runbooks.engine.signals import AT_ONCE, WHEN_ASKED_TWICE
from runbooks.engine.step import Effect, Evidence, Json, No, Settling, Sight, Step, Yes
from runbooks.model.errors import ActRefused, AnswerLost, Exit, NotSo, OpsError, Unreachable

if TYPE_CHECKING:
    from runbooks.engine.history import Past
    from runbooks.engine.plan import Draft, PlannedStep
    from runbooks.engine.session import Session


def carry_out_all(session: Session, made: Draft) -> Ending:
    """Carry out every step that is not finished, in order; once a proof failed, those that the plan holds for that.

    Raises OpsError or StopNow where it ends before.
    """
    turned = session.turned
    if turned is None:
        try:
            return _carry_on(session, made)
        except NotSo as error:
            if not (made.otherwise and session.current.effect is Effect.READ and session.any_effect):
                raise
            turned = session.turn(error)
    _each(session, made.plan.otherwise, made.otherwise)
    return Ending(Status.TAKEN_BACK, Exit.UNPROVEN, f"{turned.why}; it was taken back", turned.next_command)


def _carry_on(session: Session, made: Draft) -> Ending:
    _each(session, made.plan.steps, made.steps)
    acts = any(step.effect is not Effect.READ for step in made.steps)
    already = (acts or not made.steps) and not session.earlier_effect
    if already:
        return Ending(Status.ALREADY_SO, Exit.DONE)
    return Ending(Status.DONE, Exit.DONE, next_command=made.next_command)


def _each(session: Session, plan: tuple[PlannedStep, ...], steps: tuple[Step, ...]) -> None:
    finished = session.past.results if session.past else {}
    for index, (step, line) in enumerate(zip(steps, plan, strict=True), 1):
        if step.name not in finished:
            session.stop.check()
            session.begin(line, index, len(steps))
            carry_out(step, session)


def no_longer_so(steps: tuple[Step, ...], past: Past, *, run: str) -> tuple[str, ...]:
    """Look again at what is finished; return a line for each that holds no longer."""
    lines = []
    for step in steps:
        told = past.steps.get(step.name)
        if told is None or not told.finished or step.effect is Effect.READ:
            continue
        sight = Sight(
            results=past.results,
            before=told.before,
            request=told.request,
            run=run,
            deadline=time.monotonic() + step.deadline,
        )
        held = look(step, sight)
        if isinstance(held, No):
            lines.append(
                f"“{step.title}” was finished and is no longer so: {held.why} (a later step may have changed it)"
            )
    return tuple(lines)


def carry_out(step: Step, session: Session) -> None:
    """Make the current step so and write down how. Raises OpsError or StopNow when it does not come to that."""
    if step.effect is Effect.READ:
        _read(step, session)
        return
    past = session.past.steps.get(step.name) if session.past else None
    if past is not None and past.open:
        sight = session.sight(step, request=past.request, before=past.before)
        session.effect = "unknown"
        no = _look_for(step, sight, session, answer=past.answer, lost="the run was interrupted")
    else:
        sight = session.sight(step)
        no = _look(step, sight, session)
    if no is not None:
        _act(step, sight, no.evidence, session)


def _look(step: Step, sight: Sight, session: Session) -> No | None:
    """Look whether it is so already; return the No that asks for the act."""
    held = settle(step, sight, stop=session.stop, limit=AT_ONCE, counts=at_once, until=sight.deadline)
    if isinstance(held, Settling):
        message = f"{step.title}: nothing was done: {why(held)} after {step.deadline:g} s"
        raise Unreachable(message)
    if isinstance(held, No):
        return held
    session.finish(Kind.ALREADY_SO, held.evidence)
    return None


def _act(step: Step, sight: Sight, before: Evidence, session: Session) -> None:
    last = "no attempt is allowed"
    for attempt in range(1, step.attempts + 1):
        sight = _intend(step, sight, before, attempt, session)
        try:
            answer = session.stop.during(WHEN_ASKED_TWICE, partial(step.act, sight))
        except ActRefused:
            session.effect = "none"
            raise
        except OpsError as error:
            if not (error.retryable or isinstance(error, AnswerLost)):
                raise
            lost = str(error)
        else:
            _prove(step, sight, answer, session)
            return
        session.write(Kind.OBSERVED, {"lost": lost})
        no = _look_for(step, sight, session, answer=None, lost=lost)
        if no is None:
            return
        before, last = no.evidence, f"{lost}; looked for it: {no.why}"
    message = f"{step.title}: it did not happen ({last})"
    raise Unreachable(message)


def _intend(step: Step, sight: Sight, before: Evidence, attempt: int, session: Session) -> Sight:
    """Put the intent on disk; return what the act may look at, its request id and what was before included."""
    session.before_effect()
    request = secrets.token_hex(8)
    payload: dict[str, Any] = {
        "request": request,
        "attempt": attempt,
        "effect": step.effect,
        "title": step.title,
        "before": before,
    }
    written = session.write(Kind.STEP_STARTED, payload, durable=True)
    session.stop.check()
    session.effect = "unknown"
    return replace(sight, before=written["before"], request=request)


def _prove(step: Step, sight: Sight, answer: Json, session: Session) -> None:
    session.effect = "done"
    seen = session.write(Kind.OBSERVED, {"answer": answer})["answer"]
    held = settle(step, sight, stop=session.stop, limit=WHEN_ASKED_TWICE, counts=only_yes, until=sight.deadline)
    if not isinstance(held, Yes):
        message = f"{step.title}: the act was done but its proof failed: {why(held)} after {step.deadline:g} s"
        raise NotSo(message)
    session.finish(Kind.HELD, held.evidence, answer=seen)


def _look_for(step: Step, sight: Sight, session: Session, *, answer: Json, lost: str) -> No | None:
    """Look whether an act without an answer took effect; return the proven No, or None when it did."""
    held = settle(
        step,
        sight,
        stop=session.stop,
        limit=WHEN_ASKED_TWICE,
        counts=lasting(Yes, seconds=step.settle),
        until=max(sight.deadline, time.monotonic() + step.settle),
    )
    if isinstance(held, Settling):
        message = f"{step.title}: {lost}, and whether it took effect cannot be told yet: {why(held)}"
        raise AnswerLost(message)
    if isinstance(held, Yes):
        session.finish(Kind.HELD, held.evidence, answer=answer)
        return None
    session.effect = "none"
    return held


def _read(step: Step, session: Session) -> None:
    """Gather and prove: nothing to look for, nothing to take back, so asking again is always safe."""
    sight = session.sight(step)
    payload = {"request": "", "attempt": 1, "effect": step.effect, "title": step.title, "before": {}}
    session.write(Kind.STEP_STARTED, payload)
    if step.asks:
        asked = session.write(Kind.ASKED, {"text": step.asks(session.run)}, durable=True)
        session.desk.note(asked["text"])
    answer = _answer(step, sight, session)
    if step.asks:
        session.write(Kind.ANSWERED, {"answer": answer}, durable=True)
    seen = session.write(Kind.OBSERVED, {"answer": answer})["answer"]
    held = settle(step, sight, stop=session.stop, limit=AT_ONCE, counts=only_yes, until=sight.deadline)
    if not isinstance(held, Yes):
        message = f"{step.title}: {why(held)} after {step.deadline:g} s"
        raise NotSo(message)
    session.finish(Kind.HELD, held.evidence, answer=seen)


def _answer(step: Step, sight: Sight, session: Session) -> Json:
    """Run a reading act until it answers. Raises Unreachable once the deadline is over."""
    while True:
        try:
            return session.stop.during(AT_ONCE, partial(step.act, sight))
        except OpsError as error:
            left = sight.deadline - time.monotonic()
            if not error.retryable or left <= 0:
                raise
            session.stop.during(AT_ONCE, partial(time.sleep, min(LOOK_AGAIN, left)))
