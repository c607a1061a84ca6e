"""One process at work on one run: its lease, its open journal, its signals, and what it knows of the steps."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from runbooks.engine.history import Past, Turned, merged
from runbooks.engine.lease import Holder, Lease, Superseded, take
from runbooks.engine.outcome import Consent, Desk, Ending, Status, ending_of
from runbooks.engine.plan import PlannedStep
from runbooks.engine.record.entry import Kind
from runbooks.engine.record.home import Home, journal_of, run_ids
from runbooks.engine.record.journal import Journal
from runbooks.engine.signals import AT_ONCE, Stop, StopNow
from runbooks.engine.step import Effect, Evidence, Json, Sight, Step
from runbooks.model.canonical import plain
from runbooks.model.errors import Exit, HeldByOther, NotSo, NotWritten, OpsError, Refused
from runbooks.model.version import code_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.engine.plan import Plan

EffectOf = Literal["none", "unknown", "done"]
"""What is known of the current step's effect."""

BETWEEN: Final = PlannedStep(
    name="", title="between two steps", effect=Effect.READ, expect=0.0, deadline=0.0, attempts=0
)
"""Where a run is before, between and after its steps."""

WORTH_KEEPING: Final = 30.0
"""Seconds by which the lease must outlast the deadline of the step that begins."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one process is to do: under which plan, agreed to how, on which run (none: a new one), after what."""

    purpose: Literal["run", "resume", "undo"]
    plan: Plan
    consent: Consent
    agreed: str
    run: str = ""
    past: Past | None = None
    recheck: Callable[[], None] = lambda: None


@dataclass(kw_only=True)
class Session:
    """The state of one process's work on one run. `past` is what earlier processes left."""

    run: str
    desk: Desk
    journal: Journal
    lease: Lease
    stop: Stop
    past: Past | None
    purpose: str
    recheck: Callable[[], None]
    """Raise Refused when a fact that the plan rests on is no longer so; asked once, before the first effect."""
    began: float = field(default_factory=time.monotonic)
    results: dict[str, Json] = field(default_factory=dict)
    current: PlannedStep = BETWEEN
    current_began: float = field(default_factory=time.monotonic)
    effect: EffectOf = "none"
    earlier_effect: bool = False
    checked: bool = False
    turned: Turned | None = None

    @property
    def any_effect(self) -> bool:
        """Whether anything took effect, or may have, in this run."""
        return self.earlier_effect or self.effect != "none"

    def begin(self, step: PlannedStep, index: int, total: int) -> None:
        """Make this the step that failures belong to, and the lease last for it. Raises NotWritten."""
        self.current, self.current_began, self.effect = step, time.monotonic(), "none"
        self.desk.tell(self.desk.show.step_started, step, index, total)
        try:
            self.lease.extend(step.deadline + WORTH_KEEPING)
        except OSError as error:
            message = f"the lease cannot be renewed: {error}; no effect starts without it"
            raise NotWritten(message) from error

    def sight(self, step: Step, **seen: Any) -> Sight:  # noqa: ANN401 - the fields of Sight, whatever they are
        """Return what the step may look at, with its deadline counted from now."""
        return Sight(
            results=MappingProxyType(self.results),
            run=self.run,
            deadline=time.monotonic() + step.deadline,
            report=self._progress,
            note=self.note,
            **seen,
        )

    def before_effect(self) -> None:
        """Make sure that the next effect may happen: the facts still hold, and nobody asked to stop."""
        if not self.checked:
            self.stop.during(AT_ONCE, self.recheck)
            self.checked = True
        self.stop.check()

    def write(self, kind: Kind, payload: dict[str, Any], *, durable: bool = False) -> dict[str, Any]:
        """Write an entry of the current step; return the payload as written, without secrets."""
        return self.journal.append(kind, self.current.name or None, payload, durable=durable)

    def note(self, text: str, **more: Json) -> None:
        """Show a line and write it down."""
        self.desk.note(text)
        self.write(Kind.NOTED, {"text": text, **more})

    def finish(self, kind: Kind, evidence: Evidence, *, answer: Json = None) -> None:
        """Write down how the current step ended well, keep its result for later steps, show it."""
        seconds = round(time.monotonic() - self.current_began, 6)
        written = self.write(kind, {"evidence": evidence, "seconds": seconds})
        self.results[self.current.name] = merged(answer, written["evidence"])
        self.earlier_effect = self.earlier_effect or (kind is Kind.HELD and self.current.effect is not Effect.READ)
        self.ended(kind, seconds, written["evidence"])

    def ended(self, kind: Kind, seconds: float, evidence: Evidence) -> None:
        """Show how the current step ended, if there is one, and be between steps."""
        if self.current is not BETWEEN:
            self.desk.tell(self.desk.show.step_finished, self.current, kind, seconds, evidence)
        self.current, self.effect = BETWEEN, "none"

    def stopped(self, asked: StopNow) -> Ending:
        """Write down that a signal paused the run."""
        text = f"{asked.name}: stopped at “{self.current.title}”; no further effect was started"
        if self.effect == "unknown":
            text += ", and whether this one happened is looked for before anything else is done"
        seconds = round(time.monotonic() - self.current_began, 6)
        if self.current is not BETWEEN:
            self.write(Kind.PAUSED, {"text": text, "effect": self.effect, "seconds": seconds})
        self.ended(Kind.PAUSED, seconds, {"signal": asked.name})
        return Ending(Status.PAUSED, Exit.PAUSED, text, self._go_on())

    def turn(self, error: NotSo) -> Turned:
        """Write down which proof failed, and that the run goes on with what its plan holds for that."""
        self._fail(error, str(error), Kind.FAILED)
        self.turned = Turned(self.desk.redact(str(error)), error.next_command)
        self.note(f"{error}: what the plan holds for that follows", turned=plain(self.turned))
        return self.turned

    def failed(self, error: Exception) -> Ending:
        """Write down what went wrong with the current step, or between steps."""
        ending = ending_of(error, acted=self.any_effect, go_on=self._go_on(), undo=self.desk.commands.undo(self.run))
        self._fail(error, ending.text, Kind.PAUSED if ending.status is Status.PAUSED else Kind.FAILED)
        return replace(ending, text=f"{self.turned.why}; then {ending.text}") if self.turned else ending

    def _fail(self, error: Exception, text: str, shown: Kind) -> None:
        seconds = round(time.monotonic() - self.current_began, 6)
        payload = {"error": type(error).__name__, "text": text, "effect": self.effect, "seconds": seconds}
        if not isinstance(error, OpsError):
            payload["traceback"] = "".join(traceback.format_exception(error))
        self.write(Kind.FAILED, payload)
        self.ended(shown, seconds, {"text": self.desk.redact(text)})

    def close(self, ending: Ending) -> None:
        """Write down how the run ended, on disk before it returns, and let the next operator in."""
        payload: dict[str, Any] = {"text": ending.text, "next_command": ending.next_command}
        if ending.status is Status.PAUSED:
            self.journal.append(Kind.PAUSED, None, payload, durable=True)
        else:
            seconds = round(time.monotonic() - self.began, 6)
            payload |= {"status": ending.status, "exit": int(ending.exit), "seconds": seconds}
            self.journal.append(Kind.CLOSED, None, payload, durable=True)
        self._sign()
        give_back(self.lease, self.desk)

    def _sign(self) -> None:
        """Sign the end where there is a key, or say why it is not signed: the run itself is over and written down."""
        if self.desk.signer is None:
            return
        try:
            new = self.journal.sign(self.desk.signer)
        except OSError as error:
            self.desk.note(f"the journal's end could not be signed: {error}")
        else:
            if not new:
                self.desk.note("the journal's end was not signed: there is a signature of it already")

    def cut_off(self, error: NotWritten | Superseded) -> Ending:
        """Say that the end could not be written down: the journal is out of reach, or no longer ours."""
        seconds = time.monotonic() - self.current_began
        self.ended(Kind.PAUSED, seconds, {"text": self.desk.redact(str(error))})
        if isinstance(error, NotWritten):
            give_back(self.lease, self.desk)
            text = f"{error}; make it writable, then go on"
            return Ending(Status.PAUSED, error.exit, text, self._go_on(), error)
        return Ending(Status.PAUSED, error.exit, str(error), None, error)

    def _go_on(self) -> str:
        commands = self.desk.commands
        return commands.undo(self.run) if self.purpose == "undo" else commands.resume(self.run)

    def _progress(self, done: int, total: int) -> None:
        if self.current is not BETWEEN:
            self.desk.tell(self.desk.show.progress, self.current, done, total)


def give_back(lease: Lease, desk: Desk) -> None:
    """Release a lease, or say that it ends with this process."""
    try:
        lease.release()
    except OSError as error:
        desk.note(f"the lease could not be given back: {error}; it ends with this process")


def opened(work: Work, *, home: Home, stack: str, actor: str, desk: Desk, stop: Stop) -> Session:
    """Take the lease, open the journal and write down who does what; on disk before it returns.

    Raises HeldByOther, and Refused when the ops home cannot be written: nothing was done then.
    """
    run = work.run
    try:
        run = run or next(name for name in run_ids(desk.clock()) if home.claim_log(journal_of(name)))
        lease, took_over = _leased(work, run, home=home, stack=stack, actor=actor, desk=desk)
    except OSError as error:
        message = f"nothing was done: the ops home cannot be written: {error}"
        raise Refused(message) from error
    told = work.past
    follows = told.last.seq if told else 0
    try:
        journal = Journal(home, run, follows=follows, redact=desk.redact, clock=desk.clock, guard=lease.check)
        _begin(journal, work, stack, lease.holder, took_over)
    except (NotWritten, Refused) as error:
        give_back(lease, desk)
        msg = f"nothing was done: {error}"
        raise Refused(msg) from error
    return Session(
        run=run,
        desk=desk,
        journal=journal,
        lease=lease,
        stop=stop,
        past=told,
        purpose=work.purpose,
        recheck=work.recheck,
        results=told.results if told else {},
        earlier_effect=told is not None and (told.acted or told.undoing),
        turned=told.turned if told and work.purpose == "resume" else None,
    )


def _begin(journal: Journal, work: Work, stack: str, holder: Holder, took_over: Holder | None) -> None:
    """Write down who begins what; on disk before it returns."""
    if work.past is None:
        journal.append(Kind.RUN_OPENED, None, _opening(work, stack, holder))
    payload = {
        "purpose": work.purpose,
        **{name: getattr(holder, name) for name in ("fence", "actor", "host", "pid")},
        "reason": work.consent.reason,
        "agreed": work.agreed,
        "took_over": took_over,
    }
    journal.append(Kind.LEASE_TAKEN, None, payload, durable=True)


def _leased(work: Work, run: str, *, home: Home, stack: str, actor: str, desk: Desk) -> tuple[Lease, Holder | None]:
    try:
        return take(
            home,
            work.plan.lease or stack,
            actor=actor,
            run=run,
            take_over=work.consent.take_over,
            clock=desk.clock,
            resume=desk.commands.resume,
        )
    except HeldByOther:
        if not work.run:
            home.abandon_log(journal_of(run))
        raise


def _opening(work: Work, stack: str, holder: Holder) -> dict[str, Any]:
    return {
        "book": work.plan.book,
        "stack": stack,
        "arguments": work.plan.arguments,
        "plan": work.plan,
        "digest": work.plan.digest,
        "facts": work.plan.facts,
        "actor": holder.actor,
        "host": holder.host,
        "pid": holder.pid,
        "code": code_version(),
        "reason": work.consent.reason,
        "agreed": work.agreed,
    }
