"""Run a book, go on with a run, take it back: by consent, under a lease, with a journal that survives anything."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from runbooks.engine.acting import carry_out_all, no_longer_so
from runbooks.engine.history import Past, RunSummary, past, summary, usual_seconds
from runbooks.engine.lease import Superseded, current, dead
from runbooks.engine.outcome import Commands, Consent, Desk, Ending, Outcome, Show, Status, agree
from runbooks.engine.plan import Draft, Plan, differences, draft, unchanged
from runbooks.engine.record.entry import Kind, entries_of
from runbooks.engine.record.home import RUNS, journal_of
from runbooks.engine.redaction import MARK, Redactor
from runbooks.engine.session import Session, Work, opened
from runbooks.engine.signals import Stop, StopNow
from runbooks.engine.undoing import steps_by_name, take_back_all, undo_plan
from runbooks.model.canonical import canonical, plain
from runbooks.model.errors import Exit, NotWritten, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.engine.record.home import Home
    from runbooks.engine.record.signature import Signer
    from runbooks.engine.step import Book, Json

__all__ = ["Consent", "Outcome", "RunSummary", "Runner", "Show", "Status", "utc_now"]

FactsT = TypeVar("FactsT")
OVER: Final = (Status.DONE, Status.ALREADY_SO, Status.UNDONE, Status.TAKEN_BACK)
"""Ways to end after which nothing is left to go on with."""


def utc_now() -> datetime:
    """Return the present, in UTC."""
    return datetime.now(UTC)


class Runner:
    """Runs books of one stack. `home` is the ops home, `stack_argument` what `--stack` was given.

    `actor` says who acts. Everything shown and written passes `redact`. `stop` hears the signals of the whole
    command; without one, signals are heard while a run is under way. `signer` signs how each run ends.
    """

    def __init__(
        self,
        *,
        home: Home,
        stack: str,
        stack_argument: str,
        actor: str,
        show: Show,
        redact: Redactor,
        clock: Callable[[], datetime] = utc_now,
        stop: Stop | None = None,
        signer: Signer | None = None,
    ) -> None:
        self.home = home
        self.stack = stack
        self.actor = actor
        self._redact = redact
        self._clock = clock
        self._stop = stop
        self._commands = Commands(stack_argument)
        self._desk = Desk(show=show, redact=redact, clock=clock, commands=self._commands, signer=signer)

    def run(self, book: Book[FactsT], *, arguments: dict[str, Json], consent: Consent) -> Outcome:
        """Gather, show the plan, and with consent carry it out.

        Raises Refused when it is not agreed to, HeldByOther when another run holds the stack: nothing was done then.
        """
        made = self._draft(book, book.gather(), arguments)
        self._desk.tell(self._desk.show.plan, made.plan)
        if consent.dry_run:
            return self._planned(made.plan)
        agreed = agree(made.plan, consent)
        work = Work(
            purpose="run",
            plan=made.plan,
            consent=consent,
            agreed=agreed,
            run="",
            recheck=lambda: unchanged(book, made.facts),
        )
        return self._under_lease(work, lambda session: carry_out_all(session, made))

    def resume(self, run_id: str, *, book: Book[FactsT], consent: Consent, replan: bool = False) -> Outcome:
        """Go on with a run that was interrupted, paused or failed.

        Raises Refused when it is over, being taken back, or (without `replan`) no longer gives the plan agreed to.
        """
        told = self._past(run_id, book)
        self._refuse_to_go_on(told, run_id)
        made = self._draft(book, self._facts_to_go_on(told, book, replan=replan), told.opened["arguments"])
        anew = differences(told.plan, made.plan)
        if anew:
            self._refuse_to_plan_anew(told, run_id, made.plan, anew, replan=replan)
            told.plan_anew(made.plan)
        self._desk.tell(self._desk.show.plan, made.plan)
        for line in anew:
            self._desk.note(f"differs from the plan that was agreed to: {line}")
        notes = self._tell_how_far(told, made, run_id)
        if consent.dry_run:
            return self._planned(made.plan, run_id)
        agreed = agree(made.plan, consent)
        work = Work(
            purpose="resume",
            plan=made.plan,
            consent=consent,
            agreed=agreed,
            run=run_id,
            past=told,
            recheck=lambda: None if told.acted else unchanged(book, made.facts),
        )

        def go_on(session: Session) -> Ending:
            if anew:
                session.note("agreed to a new plan", plan=plain(made.plan), digest=made.plan.digest)
            for note in notes:
                session.write(Kind.NOTED, {"text": note})
            return carry_out_all(session, made)

        return self._under_lease(work, go_on)

    def _tell_how_far(self, told: Past, made: Draft, run_id: str) -> tuple[str, ...]:
        """Look again at what is finished on the way that the run is on; show and return what holds no longer."""
        ahead = made.otherwise if told.turned else made.steps
        notes = no_longer_so(ahead, told, run=run_id)
        finished = sum(step.name in told.results for step in ahead)
        self._desk.note(f"{finished} of {len(ahead)} steps are finished")
        for note in notes:
            self._desk.note(note)
        return notes

    def _refuse_to_go_on(self, told: Past, run_id: str) -> None:
        """Raise Refused when nothing is left to do, or the run is on its way back."""
        if told.undoing:
            message = f"run {run_id} is being taken back; it cannot go on"
            raise Refused(message, next_command=self._commands.undo(run_id))
        if told.status in OVER:
            message = f"run {run_id} is closed as “{told.status}”: nothing is left to go on with"
            raise Refused(message)

    def _refuse_to_plan_anew(self, told: Past, run_id: str, plan: Plan, anew: tuple[str, ...], *, replan: bool) -> None:
        """Raise Refused unless another plan was asked for and holds everything that took effect as it was."""
        if not replan:
            lines = "; ".join(anew)
            message = f"run {run_id} no longer gives the plan that was agreed to: {lines}. --replan shows a new one"
            raise Refused(message, next_command=f"{self._commands.resume(run_id)} --replan")
        astray = told.astray(plan)
        if astray:
            message = (
                f"run {run_id} cannot go on under another plan, which does not have as it was what took effect: "
                f"{'; '.join(astray)}. Take it back, or begin anew: what is already so is not done again"
            )
            raise Refused(message, next_command=self._commands.undo(run_id))

    def undo(self, run_id: str, *, book: Book[FactsT], consent: Consent) -> Outcome:
        """Take back exactly the steps that took effect, newest first, from the state seen before each.

        What has no way back is shown and noted in words; the old state is proven at the end. Raises Refused when it
        cannot be done from here.
        """
        told = self._past(run_id, book)
        facts = self._facts(told, book)
        proofs = book.after_undo(facts)
        plan = undo_plan(told, proofs)
        self._desk.tell(self._desk.show.plan, plan)
        over = told.status == Status.UNDONE or (told.status in OVER and not plan.steps and not plan.losses)
        if consent.dry_run or over:
            return self._planned(plan, run_id, done=over)
        steps = steps_by_name((*book.steps(facts), *book.on_failure(facts)), proofs, plan)
        work = Work(
            purpose="undo",
            plan=plan,
            consent=consent,
            agreed=agree(plan, consent),
            run=run_id,
            past=told,
        )
        return self._under_lease(work, lambda session: take_back_all(session, plan, steps))

    def runs(self, *, newest: int | None = None) -> list[RunSummary]:
        """Return what is to be said about each run of this home, or of the `newest` so many; oldest first."""
        leases = [name for name in self.home.names("leases") if f"{name}.".startswith(f"{self.stack}.")]
        holders = [holder for holder in (current(self.home, name) for name in leases) if holder is not None]
        live = {one.run for one in holders if not one.released and not dead(one, now=self._clock())}
        chosen = self.home.names(RUNS)[-newest:] if newest else self.home.names(RUNS)
        return [summary(self.home, run, live=live, commands=self._commands) for run in chosen]

    def past(self, run_id: str) -> Past:
        """Return what the journal says of a run: its book and arguments are in `opened`. Raises Refused."""
        told = past(entries_of(self.home, run_id))
        if told is None:
            message = f"nothing was begun in a run {run_id} ({self.home.where(journal_of(run_id))})"
            raise Refused(message)
        return told

    def _past(self, run_id: str, book: Book[Any]) -> Past:
        told = self.past(run_id)
        was = (told.opened["book"], told.opened["stack"])
        if was != (book.name, self.stack):
            message = f"run {run_id} is one of book {was[0]} on stack {was[1]}, not of {book.name} on {self.stack}"
            raise Refused(message)
        return told

    def _facts(self, told: Past, book: Book[FactsT]) -> FactsT:
        """Return the journalled facts as data."""
        if MARK.encode() in canonical(told.plan.facts):
            message = "the facts of this run held a secret, which is not in the journal; --replan gathers them again"
            raise Refused(message)
        try:
            return msgspec.convert(told.plan.facts, book.facts_type, str_keys=True)
        except msgspec.ValidationError as error:
            message = f"the journalled facts do not fit the code any more: {error}; --replan gathers them again"
            raise Refused(message) from error

    def _facts_to_go_on(self, told: Past, book: Book[FactsT], *, replan: bool) -> FactsT:
        """Return the journalled facts, or with `replan` those of now unless something already rests on the old ones."""
        if replan and not told.acted:
            return book.gather()
        try:
            return self._facts(told, book)
        except Refused:
            if replan:
                return book.gather()
            raise

    def _draft(self, book: Book[FactsT], facts: FactsT, arguments: dict[str, Json]) -> Draft:
        usual = usual_seconds(self.home, book.name)
        made = draft(book, facts, stack=self.stack, arguments=arguments, usual=usual, redact=self._redact)
        if made.hidden:
            self._desk.note("the facts hold a secret: if this run is interrupted, only --replan can go on with it")
        return made

    def _planned(self, plan: Plan, run: str = "", *, done: bool = False) -> Outcome:
        status = Status.ALREADY_SO if done else Status.PLANNED
        outcome = Outcome(run, status, Exit.DONE, None, {}, 0.0, None, plan)
        self._desk.tell(self._desk.show.closed, outcome)
        return outcome

    def _under_lease(self, work: Work, do: Callable[[Session], Ending]) -> Outcome:
        with self._stop or Stop() as stop:
            stop.hold()
            session = opened(work, home=self.home, stack=self.stack, actor=self.actor, desk=self._desk, stop=stop)
            try:
                ending = self._to_its_end(session, do)
            finally:
                session.journal.close()
            outcome = Outcome(
                run=session.run,
                status=ending.status,
                exit=ending.exit,
                journal=self.home.where(journal_of(session.run)),
                results=session.results,
                seconds=time.monotonic() - session.began,
                next_command=ending.next_command,
                plan=work.plan,
                text=self._redact(ending.text),
                error=ending.error,
            )
            self._desk.tell(self._desk.show.closed, outcome)
        return outcome

    def _to_its_end(self, session: Session, do: Callable[[Session], Ending]) -> Ending:
        """Do the work and write down how it ended, whatever happens; what cannot be written is said."""
        try:
            try:
                ending = do(session)
            except StopNow as asked:
                ending = session.stopped(asked)
            except (NotWritten, Superseded):
                raise
            except Exception as error:  # noqa: BLE001 - the run's edge: an unknown failure is journalled, then returned
                ending = session.failed(error)
            session.close(ending)
        except (NotWritten, Superseded) as error:
            ending = session.cut_off(error)
        return ending
