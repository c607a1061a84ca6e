"""What the commands on own backups print: what there is, what is missing, what has not been proven for too long."""

from __future__ import annotations

import shlex
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Console as Screen
from rich.table import Table
from whenever import Instant

from runbooks.commands.frame.homes import open_catalog
from runbooks.model.errors import CheckError, Exit, NotSo, Refused
from runbooks.model.timepoint import distance
from runbooks.steps.backups.proofs import proofs, proven_last
from runbooks.steps.backups.retention import days_without, kept

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from runbooks.clients.supabase import Backup
    from runbooks.commands.frame.console import Console
    from runbooks.steps.backups.catalog import Manifest
    from runbooks.steps.backups.proofs import Proof


def listed(console: Console, *, check: bool) -> Exit:
    """Print every backup, own and the provider's; with `check` say which is too old or missing, and leave with 5."""
    now, told = console.clock(), console.settings.stack.backups
    catalog = open_catalog(console.settings)
    own, proven = catalog.all(), proofs(console.runner.home, catalog)
    last = proven_last(console.runner.home, catalog)
    stays = kept([(one.id, one.at) for one in own], told.keep, proven=last.backup if last else None)
    provider, unasked = _of_provider(console)
    gaps = days_without([one.at for one in own], now=now, days=told.keep.daily)
    alarms = [*_alarms(console, own, last, now), *_not_good(own, proven), *(f"no backup of {day}" for day in gaps)]
    alarms += [f"the manifest of {name} cannot be read" for name in catalog.unreadable()]
    alarms += [
        f"the manifest of {name}, which was proven, is missing" for name in catalog.leftovers() if name in proven
    ]
    if console.flags.json:
        document = {
            "where": catalog.files.where(""),
            "backups": [_own(one, proven, stays) for one in own],
            "provider": provider,
            "not_asked": unasked,
            "days_without": gaps,
            "alarms": alarms,
        }
        console.print_json(document)
        return Exit.UNPROVEN if check and alarms else Exit.DONE
    names = ("backup", "age", "size", "files", "proven", "stays as")
    _print(console, names, [_row(one, proven.get(one.id), stays, now) for one in own])
    for line in (*(f"provider  {one.inserted_at}  {one.status}" for one in provider), unasked):
        _say(console, line)
    if not own:
        _say(console, f"No own backup yet in {catalog.files.where('')}.")
    if check and alarms:
        message = f"Backups of {console.settings.name}: {'; '.join(alarms)}."
        raise NotSo(message, next_command=_mends(console, alarms))
    for alarm in alarms:
        _say(console, f"!  {alarm}")
    return Exit.DONE


def _alarms(console: Console, own: Sequence[Manifest], last: Proof | None, now: datetime) -> list[str]:
    """Return what must wake somebody: no backup, none for too long, none proven for too long."""
    told, alarms = console.settings.stack.backups, []
    if not own:
        alarms.append("there is no own backup")
    elif now - own[-1].at > timedelta(hours=told.newest_hours):
        alarms.append(f"the newest backup is {_age(own[-1].at, now)} old, {told.newest_hours:g} h are allowed")
    if last is None:
        alarms.append("no backup was ever proven")
    elif now - last.at > timedelta(days=told.proof_days):
        alarms.append(f"the last proof is {_age(last.at, now)} old, {told.proof_days:g} days are allowed")
    return alarms


def _not_good(own: Sequence[Manifest], proven: dict[str, Proof]) -> list[str]:
    found = [proven[one.id] for one in own if one.id in proven]
    return [f"backup {proof.backup} is not good: {'; '.join(proof.faults)}" for proof in found if not proof.good]


def _mends(console: Console, alarms: Sequence[str]) -> str:
    made = any("proof" not in alarm and "proven" not in alarm and "not good" not in alarm for alarm in alarms)
    return f"invoke backup{'' if made else '.verify'} --stack {shlex.quote(console.settings.argument)}"


def _of_provider(console: Console) -> tuple[tuple[Backup, ...], str]:
    """Return the provider's backups, or why they could not be asked for: own ones are listed all the same."""
    try:
        return console.supabase.backups().backups, ""
    except (CheckError, Refused) as error:
        return (), f"The provider's backups are not known: {error}"


def _own(one: Manifest, proven: dict[str, Proof], stays: dict[str, str]) -> dict[str, Any]:
    return {
        "id": one.id,
        "at": one.at,
        "bytes": one.bytes,
        "files": len(one.files),
        "encrypted_for": one.envelope.recipient if one.envelope else None,
        "left_out": one.left_out,
        "proof": proven.get(one.id),
        "stays": stays.get(one.id),
    }


def _row(one: Manifest, proof: Proof | None, stays: dict[str, str], now: datetime) -> tuple[str, ...]:
    shown = "never" if proof is None else f"{_age(proof.at, now)} ago" if proof.good else "NOT GOOD"
    sealed = " encrypted" if one.envelope else ""
    return (one.id, _age(one.at, now), f"{one.bytes / 1e6:.1f} MB{sealed}", str(len(one.files)), shown,
            stays.get(one.id, "goes at the next prune"))  # fmt: skip


def _age(at: datetime, now: datetime) -> str:
    return distance(Instant(now) - Instant(at))


def _print(console: Console, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on a terminal, and lines of the same columns elsewhere."""
    if not sys.stdout.isatty():
        for row in rows:
            _say(console, "  ".join(cell for cell in row if cell))
        return
    table = Table(*names, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(console.redact(cell) for cell in row))
    Screen(_environ=console.environ, highlight=False).print(table)


def _say(console: Console, text: str) -> None:
    if text:
        print(console.redact(text))  # noqa: T201 - the command's own output
