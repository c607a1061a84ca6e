"""Measure one scenario: workload and ledger around it, a watch before and after it, and what all of it proves."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.clients import child
from runbooks.drills.rig import tables
from runbooks.drills.rig.detect import Watch
from runbooks.drills.rig.ledger import Snapshot, Span, compare, read_ledger
from runbooks.drills.rig.scenario import Scene
from runbooks.drills.rig.workload import Orders
from runbooks.engine.record.home import JOURNAL
from runbooks.model.errors import Exit, NotSo, NotThere, Unreachable
from runbooks.model.evidence import Counts, Damage, DrillEvidence, Objective, RelatedRun

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from runbooks.drills.rig.detect import Look
    from runbooks.drills.rig.ledger import Compared, Write
    from runbooks.drills.rig.scenario import Broken, Repaired, Scenario
    from runbooks.drills.rig.stage import Stage

WARM_LIMIT: Final = 20.0
BACK_LIMIT: Final = 60.0  # seconds after the book's end in which users must be served
AFTERWARDS: Final = 5  # writes that must be accepted after the recovery
LOOK: Final = 0.1  # seconds between looks into the ledger
ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True)
class Measured:
    """A drill's evidence, and the run that repaired (None: none did)."""

    evidence: DrillEvidence
    repaired: Repaired | None


@dataclass
class Bench:
    """One scenario on one stage."""

    stage: Stage
    scenario: Scenario

    def measure(self) -> Measured:
        """Break, wait until it is noticed, repair by the real book, compare ledger and table row by row."""
        stage, site, name = self.stage, self.stage.site, self.scenario.name
        workload = site.settings.stack.drill.workload
        watch = Watch(site.settings.stack, site.edge, site.postgres)
        with stage.phases.measured(f"{name}: prepare"):
            before = tables.fingerprints(site.postgres, workload)
            counted = tables.row_counts(site.postgres)
        ledger = stage.folder / f"ledger-{name}.jsonl"
        repaired: Repaired | None = None
        with self._writing(ledger):
            with stage.phases.measured(f"{name}: warm up"):
                good = self._warm(watch, ledger)
                counted_then = tables.row_counts(site.postgres)
            with stage.phases.measured(f"{name}: break and notice"):
                broken = self.scenario.break_it(Scene(stage, watch, good))
                counted_broken = self._counts()
            if broken.noticed_at is not None:
                stage.show.note(f"{name}: noticed: {broken.noticed_by[0]}")
                repaired = self.scenario.repair(Scene(stage, watch, good), broken)
                watch = self._follow(repaired, watch)
            with stage.phases.measured(f"{name}: served again"):
                look = watch.until_good(BACK_LIMIT if repaired else 0.0)
            with stage.phases.measured(f"{name}: writes afterwards"):
                wrote = self._writes_again(ledger, look)
        with stage.phases.measured(f"{name}: compare"):
            damage = _damage(counted_then, counted_broken, self._counts())
            now = self._now(before)
            compared = compare(read_ledger(ledger), key=workload.key, before=before, now=now, span=_span(repaired))
        problems = [*broken.problems, *_of_repair(broken, repaired, look), *compared.problems]
        if not wrote:
            problems.append("no write was accepted after the recovery")
        problems += _of_damage(damage, counted)
        evidence = self._evidence(broken, repaired, look, compared)
        problems += _of_objectives(evidence)
        evidence = msgspec.structs.replace(
            evidence, damage=damage, passed=not problems, problems=tuple(problems), phases=dict(stage.phases.seconds)
        )
        return Measured(evidence, repaired)

    def _follow(self, repaired: Repaired, watch: Watch) -> Watch:
        """Look at the product where it is now: a repair may have moved it."""
        if repaired.site is None:
            return watch
        self.stage = replace(self.stage, site=repaired.site)
        return Watch(repaired.site.settings.stack, repaired.site.edge, repaired.site.postgres)

    def _evidence(self, broken: Broken, repaired: Repaired | None, look: Look, compared: Compared) -> DrillEvidence:
        objectives = self.stage.site.settings.stack.objectives
        served = look.ended if repaired and not look.faults else None
        point = repaired.point if repaired else None
        return DrillEvidence(
            drill=self.scenario.name,
            passed=False,
            problems=(),
            trigger=broken.trigger,
            fault_at=broken.at.isoformat(),
            detected_at=broken.noticed_at.isoformat() if broken.noticed_at else None,
            detected_by=broken.noticed_by,
            recovered_at=served.isoformat() if served else None,
            point=point.isoformat() if point else None,
            point_from=repaired.point_from if repaired else "",
            objective=Objective(objectives.rto_seconds, objectives.rpo_seconds),
            lost_window_seconds=compared.window,
            counts=compared.counts,
            lost=compared.lost,
            damage=(),
            related=_related(broken, repaired),
            phases={},
        )

    @contextmanager
    def _writing(self, ledger: Path) -> Iterator[None]:
        """Let the workload write while the block runs."""
        site, stack = self.stage.site, self.stage.site.settings.stack
        workload = stack.drill.workload
        orders = Orders(
            edge=stack.endpoints.edge,
            host=stack.api.host,
            path=workload.path,
            key=workload.key,
            per_second=workload.per_second,
            choices=self._choices(workload.body),
            headers=workload.headers,
            ledger=str(ledger),
        )
        file = ledger.with_suffix(".orders.json")
        file.write_bytes(msgspec.json.encode(orders))
        words = [sys.executable, "-m", "runbooks.drills.rig.workload", str(file)]
        with ledger.with_suffix(".stderr").open("w+b") as stderr:
            program = child.start(words, folder=site.settings.root, environment=site.environ, stderr=stderr)
            try:
                yield
            finally:
                code = child.stop(program)
            if code:
                message = f"the workload: expected exit 0, got {code}: {child.tail(stderr)}"
                raise NotSo(message)

    def _choices(self, body: Mapping[str, str]) -> dict[str, list[msgspec.Raw]]:
        """Return the values of each field that the stack file's SQL gives."""
        choices: dict[str, list[msgspec.Raw]] = {}
        with self.stage.site.postgres.reading() as session:
            for name, sql in body.items():
                values = [msgspec.Raw(ENCODER.encode(row[0])) for row in session.rows(sql)]
                if not values:
                    message = f"drill.workload.body.{name}: expected `{sql}` to return values, got none"
                    raise NotSo(message)
                choices[name] = values
        return choices

    def _warm(self, watch: Watch, ledger: Path) -> Look:
        """Wait until writes have been accepted for a while and all is well; return that look."""
        wanted = self.scenario.warm_seconds
        until = time.monotonic() + WARM_LIMIT
        while time.monotonic() < until:
            accepted = _accepted(ledger)
            if accepted and (accepted[-1] - accepted[0]).total_seconds() >= wanted:
                look = watch.look()
                if not look.faults:
                    return look
            time.sleep(LOOK)
        writes = read_ledger(ledger) if ledger.is_file() else ()
        refused = next((f" (answered {write.why})" for write in writes if write.why), "")
        seen = "; ".join(watch.look().faults) or f"{len(writes)} requests, {len(_accepted(ledger))} accepted{refused}"
        message = f"before the fault: expected accepted writes for {wanted:g} s and no fault, got: {seen}"
        raise NotSo(message)

    def _writes_again(self, ledger: Path, look: Look) -> bool:
        if look.faults:
            return False
        until = time.monotonic() + WARM_LIMIT
        while time.monotonic() < until:
            if sum(at > look.ended for at in _accepted(ledger)) >= AFTERWARDS:
                return True
            time.sleep(LOOK)
        return False

    def _now(self, before: Mapping[str, str]) -> Snapshot:
        """Return the workload's table; without a row where nobody has brought it, or its key, back."""
        try:
            return tables.snapshot(
                self.stage.site.postgres, self.stage.site.settings.stack.drill.workload, before=before
            )
        except NotThere:
            return Snapshot({}, {})

    def _counts(self) -> dict[str, int]:
        """Return the rows of each table; none where the database is gone."""
        try:
            return tables.row_counts(self.stage.site.postgres)
        except Unreachable:
            return {}


def _accepted(ledger: Path) -> list[datetime]:
    """Return when writes were accepted, in order."""
    writes: tuple[Write, ...] = read_ledger(ledger) if ledger.is_file() else ()
    return sorted(write.ended for write in writes if write.outcome == "accepted" and write.ended)


def _damage(then: Mapping[str, int], broken: Mapping[str, int], now: Mapping[str, int]) -> tuple[Damage, ...]:
    """Return the tables that the fault took rows from."""
    return tuple(
        Damage(table, rows, broken.get(table, 0), now.get(table, 0))
        for table, rows in then.items()
        if broken.get(table, 0) < rows
    )


def _span(repaired: Repaired | None) -> Span | None:
    if repaired is None or repaired.point is None or repaired.back is None:
        return None
    return Span(repaired.point, repaired.back)


def _of_damage(damage: tuple[Damage, ...], before: Mapping[str, int]) -> list[str]:
    """Return the tables that have fewer rows than before the workload began."""
    fewer = [table for table in damage if table.after < before[table.table]]
    return [f"{table.table} had {before[table.table]} rows, it has {table.after}" for table in fewer]


def _of_repair(broken: Broken, repaired: Repaired | None, look: Look) -> list[str]:
    if repaired is None:
        return ["the fault did not bite: nobody noticed anything, so nothing was proven"]
    problems = list(repaired.problems)
    if repaired.outcome.exit is not Exit.DONE:
        said = repaired.outcome.text or repaired.outcome.status
        problems.append(f"{repaired.outcome.plan.book} ended as {repaired.outcome.status}: {said}")
    elif repaired.outcome.status == "already so":
        problems.append(f"{repaired.outcome.plan.book} had nothing to repair: the fault did not bite")
    problems += [f"after the repair: {fault}" for fault in look.faults]
    if broken.noticed_at is not None and broken.noticed_at < broken.at:
        problems.append("it was noticed before it was done: something else was wrong")
    return problems


def _of_objectives(evidence: DrillEvidence) -> list[str]:
    problems, counts = [], evidence.counts
    recovery, limits = evidence.recovery_seconds, evidence.objective
    if recovery is not None and recovery > limits.rto_seconds:
        problems.append(f"recovery took {recovery:.1f} s, the objective is {limits.rto_seconds:g} s")
    if evidence.lost_window_seconds > limits.rpo_seconds:
        problems.append(
            f"writes of {evidence.lost_window_seconds:.1f} s were lost, of {limits.rpo_seconds:g} s at most"
        )
    if counts != Counts() and not counts.kept:
        problems.append("no accepted write was found again: nothing was compared")
    if evidence.point is None and counts.lost:
        problems.append(f"{counts.lost} accepted writes were lost, though no data was taken back")
    return problems


def _related(broken: Broken, repaired: Repaired | None) -> tuple[RelatedRun, ...]:
    own = repaired.outcome.run if repaired else None
    return tuple(
        RelatedRun(outcome.run, outcome.plan.book, f"../{outcome.run}/{JOURNAL}")
        for outcome in (*broken.around, *(repaired.around if repaired else ()))
        if outcome.journal is not None and outcome.run != own
    )
