"""Keep one stage for drills in a row; after one that did not go well, the next drill gets a fresh one."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runbooks.drills.rig.stage import Phases, Stage, staged
from runbooks.engine.signals import AT_ONCE
from runbooks.model.errors import OpsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from runbooks.engine.runner import Show
    from runbooks.engine.signals import Stop
    from runbooks.model.settings import Settings


@dataclass
class Stages:
    """The stage that stands now, if one does. `redact` hides the secrets of the newest one."""

    base: Settings
    environ: Mapping[str, str]
    show: Show
    actor: str
    stop: Stop | None
    redact: Callable[[str], str]
    phases: Phases = field(default_factory=Phases)
    stack_files: list[Path] = field(default_factory=list)
    """Of every stage: each leads to the journals of its drills when its twin is long gone."""
    now: Stage | None = None
    _leaving: ExitStack = field(default_factory=ExitStack)

    def standing(self) -> Stage:
        """Return the stage, set now if none stands. Raises StopNow, and what setting it raises."""
        if self.stop is not None:
            self.stop.again(AT_ONCE)
        if self.now is None:
            setting = staged(
                self.base, environ=self.environ, show=self.show, actor=self.actor, phases=self.phases, stop=self.stop
            )
            self.now = self._leaving.enter_context(setting)
            self.redact = self.now.site.redact
            self.stack_files.append(self.now.site.settings.file)
        return self.now

    def leave(self) -> None:
        """Take down the stage, if one stands; no signal cuts that short."""
        self.now = None
        if self.stop is not None:
            self.stop.hold()
        try:
            self._leaving.close()
        except (OpsError, OSError) as error:
            self.show.note(self.redact(f"the drill's twin could not be taken down: {error}"))
