"""Write a run's post-mortem beside its journal. Reads the journal and a drill's evidence; changes nothing else.

Doing it again gives the same bytes: all of it comes from what was recorded, nothing from the moment of writing.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from runbooks.engine.record.entry import entries_of
from runbooks.engine.record.folder import Folder
from runbooks.engine.record.home import RUNS
from runbooks.model.errors import Refused
from runbooks.model.evidence import DRILLS, EVIDENCE, DrillEvidence
from runbooks.render.documents import postmortem
from runbooks.render.story import story

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.engine.record.home import Home
    from runbooks.model.settings import Settings


@dataclass(frozen=True)
class Written:
    """Where the post-mortem of `run` lies."""

    run: str
    markdown: str
    html: str


def write(settings: Settings, home: Home, run: str | None, *, redact: Callable[[str], str]) -> Written:
    """Write `postmortem.md` and `postmortem.html` of a run (None: the newest) beside its journal.

    Runs of drills count; their own ops homes lie on this machine. Raises Refused when there is no such run, or its
    journal was altered, and OSError.
    """
    name, home = _found(settings, home, run)
    evidence = _evidence(home, name)
    around = [(other.journal, entries_of(home, other.run)) for other in (evidence.related if evidence else ())]
    told = story(
        name,
        entries_of(home, name),
        product=settings.stack.product.title,
        objectives=settings.stack.objectives,
        contacts=settings.stack.contacts,
        evidence=evidence,
        related=around,
    )
    markdown, html = (f"{RUNS}/{name}/postmortem.{ending}" for ending in ("md", "html"))
    for file, text in zip((markdown, html), postmortem(told), strict=True):
        home.replace(file, redact(text).encode())
    return Written(name, home.where(markdown), home.where(html))


def _found(settings: Settings, home: Home, run: str | None) -> tuple[str, Home]:
    """Return a run's id and the ops home that it lies in: the stack's, or a drill's own."""
    homes = [home, *(Folder(drill) for drill in sorted((settings.home / DRILLS).glob("*")))]
    known = {name: home for home in homes for name in home.names(RUNS)}
    where = home.where(RUNS)
    if not known:
        message = f"{where}: no run is recorded there yet; expected one to write about"
        raise Refused(message, next_command="invoke drill")
    newest = sorted(known)
    name = run or newest[-1]
    if name not in known:
        message = f"run {name}: expected one of the runs in {where}, the newest are {', '.join(newest[-3:])}"
        raise Refused(message, next_command=f"invoke runs --stack {shlex.quote(settings.argument)}")
    return name, known[name]


def _evidence(home: Home, run: str) -> DrillEvidence | None:
    name = f"{RUNS}/{run}/{EVIDENCE}"
    content = home.get(name)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=DrillEvidence)
    except msgspec.MsgspecError as error:
        message = f"{home.where(name)}: expected a drill's evidence, got {error}"
        raise Refused(message) from None
