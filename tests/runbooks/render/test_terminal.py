"""The terminal shows plans, steps and ends as plain lines where nothing is live."""

from __future__ import annotations

import io
import re

import msgspec
import pytest

from runbooks.engine.outcome import Outcome, Status
from runbooks.engine.plan import Plan, planned
from runbooks.engine.step import Effect, NoUndo, Step, Yes
from runbooks.model.errors import Exit
from runbooks.render.terminal import Terminal


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say yes."""
        return True


def ended(status: Status, *, seconds: float, text: str = "") -> Outcome:
    """Return the end of a run."""
    return Outcome("x", status, Exit.DONE, "runs/x/journal.jsonl", {}, seconds, None, a_plan(), text)


def a_step(name: str = "stop") -> Step:
    """Return a step that destroys something."""
    return Step(
        name=name,
        title=f"{name} the traffic",
        effect=Effect.DESTROY,
        holds=lambda _sight: Yes({}),
        act=lambda _sight: None,
        undo=NoUndo("nothing is lost"),
    )


def a_plan() -> Plan:
    """Return a plan of two steps that loses something."""
    steps = tuple(planned(a_step(name), expect=4.0) for name in ("stop", "restore"))
    return Plan(
        book="restore",
        stack="twin",
        arguments={},
        facts={},
        steps=steps,
        losses=("31 rows of bookings",),
        summary="ems-db to 2026-11-20 10:15:00 UTC",
        estimate=370.0,
        between=(300.0, 600.0),
    )


def test_a_plan_is_printed_whole() -> None:
    """A plan shows its summary, its losses, its estimate, its steps with their effect and its digest."""
    out = io.StringIO()
    Terminal(out, environ={}).plan(a_plan())
    text = out.getvalue()
    assert "Restore  ems-db to 2026-11-20 10:15:00 UTC" in text
    assert "Loses    31 rows of bookings" in text
    assert "Takes    about 6 min 10 s (in past runs 5 min 0 s to 10 min 0 s)" in text
    assert "1  destroys stop the traffic" in text
    assert f"Plan     {a_plan().digest[:12]}" in text


def test_a_plan_says_what_follows_a_failed_check() -> None:
    """What would be done by itself is read before it is agreed to, and shown as it happens."""
    out = io.StringIO()
    terminal = Terminal(out, environ={})
    terminal.plan(msgspec.structs.replace(a_plan(), otherwise=(planned(a_step("return"), expect=1.0),)))
    text = out.getvalue()
    assert "If a check fails after something was changed, by itself:\n   1  destroys return the traffic\nPlan" in text
    terminal.step_finished(a_step("return"), "held", 0.2, {})
    assert "[3/3] return the traffic: held" in out.getvalue()


def test_steps_are_lines_where_there_is_no_terminal() -> None:
    """Without a terminal each step is a line with its place, how it ended, its time and what was seen."""
    out = io.StringIO()
    terminal = Terminal(out, environ={})
    terminal.plan(a_plan())
    terminal.step_started(a_step(), 1, 2)
    terminal.progress(a_step(), 0, 0)  # not known yet: nothing to say
    terminal.progress(a_step(), 1, 3)
    terminal.step_finished(a_step(), "held", 0.42, {"rows": 31, "why": "", "more": {"not": "shown"}})
    terminal.closed(ended(Status.FAILED, seconds=61.0, text="the provider said no"))
    terminal.next("invoke runs.resume x")
    text = out.getvalue()
    assert "[1/2] stop the traffic … about 4.0 s" in text
    assert "stop the traffic: 1 of 3" in text
    assert "[1/2] stop the traffic: held, 0.4 s  (rows 31)" in text
    assert text.endswith(
        "failed  in 1 min 1 s\nthe provider said no\nJournal  runs/x/journal.jsonl\nNext:\ninvoke runs.resume x\n"
    )
    assert "\x1b" not in text


def test_a_live_screen_fills_in() -> None:
    """On a terminal the steps are drawn in place, and the last drawing shows how they ended."""
    out = Screen()
    terminal = Terminal(out, environ={"TERM": "xterm", "COLUMNS": "120"})
    terminal.plan(a_plan())
    terminal.step_started(a_step(), 1, 2)
    terminal.progress(a_step(), 2, 3)
    terminal.note("looked again")
    terminal.step_finished(a_step(), "held", 0.42, {"rows": 31})
    terminal.closed(ended(Status.DONE, seconds=1.0))
    assert "✓" in out.getvalue()
    assert "rows 31" in out.getvalue()
    assert "looked again" in out.getvalue()


def test_no_color_is_obeyed() -> None:
    """With NO_COLOR set nothing is coloured, also on a terminal."""
    out = Screen()
    Terminal(out, environ={"NO_COLOR": "1", "TERM": "xterm"}).plan(a_plan())
    assert "\x1b[31m" not in out.getvalue()
    assert "\x1b[1;31m" not in out.getvalue()


def test_secrets_are_not_printed() -> None:
    """Every text passes the redactor."""
    out = io.StringIO()
    terminal = Terminal(out, environ={}, redact=lambda text: text.replace("hunter2hunter2", "●●●"))
    terminal.note("password hunter2hunter2")
    terminal.step_finished(a_step(), "failed", 1.0, {"why": "hunter2hunter2 was refused"})
    assert "hunter2" not in out.getvalue()
    assert "●●●" in out.getvalue()


@pytest.mark.parametrize(("typed", "agreed"), [("twin\n", True), ("yes\n", False), ("", False)])
def test_only_the_stacks_name_agrees(typed: str, *, agreed: bool) -> None:
    """Typing the stack's name is consent; another word or the end of input is not."""
    terminal = Terminal(io.StringIO(), environ={}, answers=io.StringIO(typed))
    assert terminal.ask(a_plan()) is agreed


def test_a_step_reports_without_a_plan() -> None:
    """A step that no plan announced is shown all the same."""
    out = io.StringIO()
    Terminal(out, environ={}).step_finished(a_step("late"), "already so", 12.0, {})
    assert "[1/1] late the traffic: already so, 12 s" in out.getvalue()


def test_a_failure_is_told_whole_and_the_next_command_stays_on_one_line() -> None:
    """On a narrow live screen the reason stands below the steps, and the command is the last line, unbroken."""
    out = Screen()
    terminal = Terminal(out, environ={"TERM": "xterm", "COLUMNS": "40"})
    terminal.plan(a_plan())
    terminal.step_started(a_step(), 1, 2)
    reason = "the provider refused: " + "word " * 30 + "end"
    terminal.step_finished(a_step(), "failed", 1.0, {"text": reason})
    terminal.closed(ended(Status.FAILED, seconds=1.0, text=reason))
    command = "invoke runs.resume --run 2026-11-24-0230-tango-7 --stack /a/long/path/to/Pulumi.story.yaml"
    terminal.next(command)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    assert "✗" in plain
    assert plain.count(reason) == 1
    assert plain.splitlines()[-1] == command
