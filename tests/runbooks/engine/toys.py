"""A book whose effects are lines in a file, so that a test counts them where they happen."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from runbooks.engine.lease import current, lease_name
from runbooks.engine.outcome import Consent, Outcome, Show
from runbooks.engine.record.folder import Folder
from runbooks.engine.redaction import Redactor
from runbooks.engine.runner import Runner, utc_now
from runbooks.engine.step import Book, Effect, Evidence, Held, Json, No, NoUndo, Sight, Step, Yes

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from runbooks.engine.plan import Plan, PlannedStep

AGREED = Consent(yes=True, reason="a test")
STACK = "toy"


class Facts(msgspec.Struct, frozen=True):
    """How many marks to make, and what must not change meanwhile."""

    marks: tuple[str, ...]
    owner: str = "nobody"


@dataclass
class World:
    """A folder: `made` has one line for each effect, `there` one file for each mark that is so now."""

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "there").mkdir(parents=True, exist_ok=True)

    def holds(self, mark: str, _sight: Sight) -> Held:
        """Say whether the mark is there, and which request made it."""
        try:
            return Yes({"request": (self.folder / "there" / mark).read_text("utf-8")})
        except FileNotFoundError:
            return No({"mark": None}, f"{mark} is not there")

    def act(self, mark: str, sight: Sight) -> Json:
        """Make the mark, once more each time it is called."""
        self._record(f"act {mark}")
        (self.folder / "there" / mark).write_text(sight.request, "utf-8")
        return {"made": mark}

    def undo(self, mark: str, _sight: Sight) -> Json:
        """Take the mark away."""
        self._record(f"undo {mark}")
        (self.folder / "there" / mark).unlink()
        return {"gone": mark}

    def effects(self) -> list[str]:
        """Return every effect that ever happened, in order."""
        made = self.folder / "made"
        return made.read_text("utf-8").split("\n")[:-1] if made.exists() else []

    def _record(self, line: str) -> None:
        with (self.folder / "made").open("a", encoding="utf-8") as made:
            made.write(f"{line}\n")


@dataclass
class Watcher(Show):
    """Remember what was shown."""

    lines: list[str] = field(default_factory=list)

    def plan(self, plan: Plan) -> None:
        """Remember the summary."""
        self.lines.append(f"plan: {plan.summary}")

    def step_started(self, step: PlannedStep, index: int, total: int) -> None:
        """Remember the beginning of a step."""
        self.lines.append(f"{index}/{total} {step.title}")

    def progress(self, step: PlannedStep, done: int, total: int) -> None:
        """Remember how far it is."""
        self.lines.append(f"{step.name}: {done} of {total}")

    def step_finished(self, step: PlannedStep, status: str, seconds: float, evidence: Evidence) -> None:
        """Remember how it ended."""
        assert seconds >= 0
        assert isinstance(evidence, dict)
        self.lines.append(f"{step.title}: {status}")

    def note(self, text: str) -> None:
        """Remember the line."""
        self.lines.append(f"note: {text}")

    def closed(self, outcome: Outcome) -> None:
        """Remember the end."""
        self.lines.append(f"closed: {outcome.status}")


@dataclass
class Fuse:
    """Count what happens in a process and end it at a chosen moment. `blow` does not return."""

    blow: Callable[[], None]
    at: int
    count: int = 0

    def tick(self) -> None:
        """Count one moment; end the process when it is the chosen one."""
        self.count += 1
        if self.count == self.at:
            self.blow()


class PowerCut(BaseException):
    """What nothing in the engine catches."""


def cut_power() -> None:
    """End the process, as far as the engine can tell."""
    raise PowerCut


@cache
def _over() -> int:
    """Return the id of a process that is over."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def bury(home: Path) -> None:
    """Make the holder of the lease, if there is one, a process that is over."""
    holder = current(Folder(home), STACK)
    if holder is not None and not holder.released:
        buried = msgspec.structs.replace(holder, pid=_over())
        Folder(home).replace(lease_name(STACK, holder.fence), msgspec.json.encode(buried))


class FusedRedactor(Redactor):
    """Tick before every entry of the journal."""

    fuse: Fuse

    def written(self, value: object) -> bytes:
        """Tick, then redact."""
        self.fuse.tick()
        return super().written(value)


@dataclass
class FusedWorld(World):
    """Tick before each look, and before and after each effect."""

    fuse: Fuse = field(default_factory=lambda: Fuse(lambda: None, 0))

    def holds(self, mark: str, sight: Sight) -> Held:
        """Tick, then look."""
        self.fuse.tick()
        return super().holds(mark, sight)

    def act(self, mark: str, sight: Sight) -> Json:
        """Tick, make the mark, tick."""
        self.fuse.tick()
        answer = super().act(mark, sight)
        self.fuse.tick()
        return answer

    def undo(self, mark: str, sight: Sight) -> Json:
        """Tick, take the mark away, tick."""
        self.fuse.tick()
        answer = super().undo(mark, sight)
        self.fuse.tick()
        return answer


def step(name: str, world: World, **other: object) -> Step:
    """Return the step that makes one mark; `other` replaces any of its parts."""
    parts: dict[str, object] = {
        "name": name,
        "title": f"make {name}",
        "effect": Effect.WRITE,
        "holds": lambda sight: world.holds(name, sight),
        "act": lambda sight: world.act(name, sight),
        "undo": lambda sight: world.undo(name, sight),
        "deadline": 2.0,
        "settle": 0.0,
    }
    return Step(**{**parts, **other})  # type: ignore[arg-type] # a test replaces any part


def reading(
    name: str,
    act: Callable[[Sight], Json] = lambda _sight: None,
    holds: Callable[[Sight], Held] = lambda _sight: Yes({}),
    deadline: float = 0.2,
) -> Step:
    """Return a step that only reads."""
    return Step(
        name=name,
        title=f"read {name}",
        effect=Effect.READ,
        holds=holds,
        act=act,
        undo=NoUndo("it changes nothing"),
        deadline=deadline,
    )


def book(*steps: Step, **other: object) -> Book[Facts]:
    """Return a book of these steps; `other` replaces any of its parts."""
    parts: dict[str, object] = {
        "name": "toy",
        "facts_type": Facts,
        "gather": lambda: Facts(marks=tuple(step.name for step in steps)),
        "steps": lambda _facts: steps,
        "summary": lambda facts: f"makes {len(facts.marks)} marks",
    }
    return Book(**{**parts, **other})  # type: ignore[arg-type] # a test replaces any part


def marks(world: World, *names: str) -> Book[Facts]:
    """Return a book that makes these marks, built from its facts."""
    return book(
        gather=lambda: Facts(marks=names),
        steps=lambda facts: tuple(step(name, world) for name in facts.marks),
    )


def fused(home: Path, fuse: Fuse) -> Runner:
    """Return a runner that ticks before every entry of its journal."""
    redact = FusedRedactor(())
    redact.fuse = fuse
    return Runner(home=Folder(home), stack=STACK, stack_argument=STACK, actor="on-call", show=Watcher(), redact=redact)


def runner(
    home: Path,
    *,
    show: Show | None = None,
    secrets: tuple[str, ...] = (),
    actor: str = "on-call",
    clock: Callable[[], datetime] = utc_now,
) -> Runner:
    """Return a runner of the toy stack."""
    return Runner(
        home=Folder(home),
        stack=STACK,
        stack_argument=STACK,
        actor=actor,
        show=show or Watcher(),
        redact=Redactor(secrets),
        clock=clock,
    )
