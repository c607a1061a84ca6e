"""Drill without a fault: the newest own backup, restored into a PostgreSQL of its own by the real book, and compared.

Any stack can be rehearsed, production too: nothing of it is changed, but for the proof and its run in the ops home.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks import backup_verify
from runbooks.drills.rig.bench import Measured
from runbooks.drills.rig.scenario import Repaired
from runbooks.drills.rig.site import utc_now, without_secrets
from runbooks.engine.outcome import Consent
from runbooks.engine.record.entry import entries_of
from runbooks.engine.signals import AT_ONCE
from runbooks.model.errors import Exit
from runbooks.model.evidence import Counts, DrillEvidence, Objective

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runbooks.engine.outcome import Outcome
    from runbooks.engine.redaction import Redactor
    from runbooks.engine.runner import Runner
    from runbooks.engine.signals import Stop
    from runbooks.model.settings import Settings
    from runbooks.steps.backups.catalog import Catalog

HOUR: Final = 3600.0


@dataclass(frozen=True)
class Keeper:
    """A stack with its own backups, and who runs books for it. `environ` is what programs see."""

    settings: Settings
    runner: Runner
    catalog: Callable[[], Catalog]
    redact: Redactor
    environ: Mapping[str, str]
    stop: Stop | None = None
    """Hears the signals of the whole command."""


@dataclass(frozen=True)
class Rehearsal:
    """The drill."""

    name: str = "rehearsal"
    what: str = "the newest own backup of the stack is restored into a PostgreSQL of its own, and every table compared"

    def measure(self, keeper: Keeper) -> Measured:
        """Prove the newest backup by the real book. Raises Refused where there is none, or no key for it."""
        catalog, began = keeper.catalog(), utc_now()
        book = backup_verify.book(
            keeper.settings,
            catalog,
            home=keeper.runner.home,
            arguments=backup_verify.Arguments(),
            environment=without_secrets(keeper.environ),
            clock=utc_now,
        )
        outcome = keeper.runner.run(book, arguments={}, consent=Consent(yes=True, reason=f"drill {self.name}"))
        if keeper.stop is not None:
            keeper.stop.again(AT_ONCE)
        made = catalog.get(str(outcome.plan.facts["backup"])).at
        return Measured(self._evidence(keeper, outcome, began, made), Repaired(outcome=outcome))

    def _evidence(self, keeper: Keeper, outcome: Outcome, began: datetime, made: datetime) -> DrillEvidence:
        stack = keeper.settings.stack
        objective = Objective(stack.objectives.rto_seconds, stack.objectives.rpo_seconds)
        hours, limit = (began - made).total_seconds() / HOUR, stack.backups.newest_hours
        problems = (
            [] if outcome.exit is Exit.DONE else [f"{outcome.plan.book} ended as {outcome.status}: {outcome.text}"]
        )
        if hours > limit:
            problems.append(f"the newest backup is {hours:.1f} hours old, expected at most {limit:g}")
        ended = datetime.fromisoformat(entries_of(keeper.runner.home, outcome.run)[-1].at)
        evidence = DrillEvidence(
            drill=self.name,
            passed=False,
            problems=(),
            trigger=f"nothing was broken: backup {outcome.plan.facts['backup']} was restored beside everything else",
            fault_at=began.isoformat(),
            detected_at=began.isoformat(),
            detected_by=("the drill itself",),
            recovered_at=ended.isoformat() if outcome.exit is Exit.DONE else None,
            point=made.isoformat(),
            point_from=f"the newest own backup, {hours:.1f} hours old, of {limit:g} at most",
            objective=objective,
            lost_window_seconds=0.0,
            counts=Counts(),
            lost=(),
            damage=(),
            related=(),
            phases={},
        )
        if (took := evidence.recovery_seconds) is not None and took > objective.rto_seconds:
            problems.append(f"it took {took:.1f} s, the objective for a recovery is {objective.rto_seconds:g} s")
        return msgspec.structs.replace(evidence, passed=not problems, problems=tuple(problems))
