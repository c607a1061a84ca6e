"""Write a run's post-mortem beside its journal. Reads the journal and a drill's evidence; changes nothing else.

Doing it again gives the same bytes: all of it comes from what was recorded, nothing from the moment of writing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from runbooks.engine.record.entry import read
from runbooks.engine.record.folder import Folder
from runbooks.engine.record.home import RUNS
from runbooks.model.errors import Refused
from runbooks.model.evidence import DRILLS, EVIDENCE, DrillEvidence
from runbooks.render.documents import postmortem
from runbooks.render.story import story

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runbooks.model.settings import Settings


@dataclass(frozen=True)
class Written:
    """Where the post-mortem of `run` lies."""

    run: str
    markdown: Path
    html: Path


def write(settings: Settings, run: str | None, *, redact: Callable[[str], str]) -> Written:
    """Write `postmortem.md` and `postmortem.html` of a run (None: the newest) into its folder; runs of drills count.

    Raises Refused when there is no such run, or its journal was altered.
    """
    name, folder = _found(settings, run)
    evidence = _evidence(folder)
    around = [(other.journal, read(folder / other.journal)) for other in (evidence.related if evidence else ())]
    told = story(
        name,
        read(folder),
        product=settings.stack.product.title,
        objectives=settings.stack.objectives,
        contacts=settings.stack.contacts,
        evidence=evidence,
        related=around,
    )
    written = Written(name, folder / "postmortem.md", folder / "postmortem.html")
    markdown, html = postmortem(told)
    for file, text in ((written.markdown, markdown), (written.html, html)):
        draft = file.with_suffix(f"{file.suffix}.draft")
        draft.write_text(redact(text), "utf-8")
        draft.replace(file)
    return written


def _found(settings: Settings, run: str | None) -> tuple[str, Path]:
    """Return a run's id and folder, wherever in this ops home it lies."""
    homes = [Folder(settings.home), *(Folder(home) for home in sorted((settings.home / DRILLS).glob("*")))]
    known = {name: home.root / RUNS / name for home in homes for name in home.names(RUNS)}
    if not known:
        message = f"{settings.home}: no run is recorded there yet; expected one to write about"
        raise Refused(message, next_command="invoke drill")
    newest = sorted(known)
    name = run or newest[-1]
    if name not in known:
        message = f"run {name}: expected one of the runs in {settings.home}, the newest are {', '.join(newest[-3:])}"
        raise Refused(message, next_command=f"invoke runs --stack {settings.argument}")
    return name, known[name]


def _evidence(folder: Path) -> DrillEvidence | None:
    file = folder / EVIDENCE
    if not file.is_file():
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=DrillEvidence)
    except msgspec.MsgspecError as error:
        message = f"{file}: expected a drill's evidence, got {error}"
        raise Refused(message) from None
