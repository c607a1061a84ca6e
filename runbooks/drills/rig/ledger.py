"""Compare what the workload was promised with what the database holds, row by row.

The ledger is JSON lines: `sent` before a request leaves, `ended` when its answer is there. Nothing is inferred from
counters: every accepted write is either found equal, or listed as lost, or reported.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from runbooks.model.evidence import Counts, LostWrite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Outcome = Literal["accepted", "refused", "failed", "unanswered"]
"""`refused`: surely not written. `failed`, `unanswered`: it may have been."""


class Sent(msgspec.Struct, frozen=True, kw_only=True, tag="sent"):
    """A request is about to leave."""

    request: str
    at: str
    body: dict[str, Any]


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended", omit_defaults=True):
    """Its answer is there, or is known not to come. `row` as answered."""

    request: str
    at: str
    outcome: Outcome
    status: int = 0
    row: dict[str, msgspec.Raw] | None = None
    why: str = ""


@dataclass(frozen=True)
class Write:
    """One request, whole. `ended` is None while its answer is unknown; `why` is how it was answered unless accepted."""

    request: str
    sent: datetime
    ended: datetime | None
    outcome: Outcome
    body: dict[str, Any]
    row: dict[str, Any]
    why: str = ""


@dataclass(frozen=True)
class Snapshot:
    """The table now. `seed` are (key, fingerprint) of every row, `rows` the content of those that matter."""

    fingerprints: Mapping[str, str]
    rows: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Span:
    """What a recovery cannot keep: accepted after `point` and sent before `back`, when the data was there again."""

    point: datetime
    back: datetime


@dataclass
class Compared:
    """The result: counts, the lost writes, and what could not be accounted for."""

    counts: Counts
    lost: tuple[LostWrite, ...]
    window: float
    problems: list[str] = field(default_factory=list)


def read_ledger(file: Path) -> tuple[Write, ...]:
    """Return every request of a ledger in the order of sending; a torn last line is left out."""
    sent: dict[str, Sent] = {}
    ended: dict[str, Ended] = {}
    for line in file.read_bytes().split(b"\n")[:-1]:
        entry = msgspec.json.decode(line, type=Sent | Ended)
        if isinstance(entry, Sent):
            sent[entry.request] = entry
        else:
            ended[entry.request] = entry
    return tuple(_write(one, ended.get(name)) for name, one in sent.items())


def compare(
    writes: Sequence[Write], *, key: str, before: Mapping[str, str], now: Snapshot, span: Span | None
) -> Compared:
    """Return how the ledger and the database fit. `before` are the rows that were there before the workload.

    With a `span` (a recovery to a point), accepted writes inside it are lost unless they are there; without one
    every accepted write must be there.
    """
    found: dict[str, list[Write]] = {"kept": [], "lost": [], "missing": [], "altered": []}
    for write in writes:
        if write.outcome == "accepted":
            found[_fate(write, now.rows.get(_key(write, key)), span)].append(write)
    known = {_key(write, key) for write in (*found["kept"], *found["altered"])}
    strangers = [name for name in now.fingerprints if name not in before and name not in known]
    unknown = [write for write in writes if write.outcome in ("failed", "unanswered")]
    foreign = [name for name in strangers if not _claimed(now.rows.get(name, {}), unknown)]
    gone = [name for name, fingerprint in before.items() if now.fingerprints.get(name) != fingerprint]
    outcomes = [write.outcome for write in writes]
    counts = Counts(
        requests=len(writes),
        accepted=outcomes.count("accepted"),
        refused=outcomes.count("refused"),
        failed=outcomes.count("failed"),
        unanswered=outcomes.count("unanswered"),
        kept=len(found["kept"]),
        lost=len(found["lost"]),
        missing=len(found["missing"]),
        altered=len(found["altered"]),
        foreign=len(foreign),
        seed_rows=len(before),
        seed_missing=len(gone),
        fields_compared=sum(len(_expected(write, now.rows[_key(write, key)])) for write in found["kept"]),
    )
    lost = tuple(
        LostWrite(write.request, _key(write, key), write.ended.isoformat() if write.ended else "")
        for write in found["lost"]
    )
    ends = [write.ended for write in found["lost"] if write.ended]
    window = round((max(ends) - span.point).total_seconds(), 3) if ends and span else 0.0
    return Compared(counts, lost, window, _problems(found, foreign, gone, key))


def _write(sent: Sent, ended: Ended | None) -> Write:
    row = {name: msgspec.json.decode(value) for name, value in (ended.row or {}).items()} if ended else {}
    return Write(
        request=sent.request,
        sent=datetime.fromisoformat(sent.at),
        ended=datetime.fromisoformat(ended.at) if ended else None,
        outcome=ended.outcome if ended else "unanswered",
        body=sent.body,
        row=row,
        why=f"{ended.status or 'no answer'} {ended.why}".strip() if ended and ended.outcome != "accepted" else "",
    )


def _key(write: Write, key: str) -> str:
    return str(write.row.get(key, ""))


def _fate(write: Write, row: Mapping[str, Any] | None, span: Span | None) -> str:
    if row is not None and all(_same(value, row[name]) for name, value in _expected(write, row).items()):
        return "kept"
    if span is not None and write.ended is not None and write.ended > span.point and write.sent < span.back:
        return "lost"  # also where the row is another one: after a recovery ids are used again
    return "missing" if row is None else "altered"


def _expected(write: Write, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the table can be asked about: what was sent, overruled by what was answered."""
    return {name: value for name, value in {**write.body, **write.row}.items() if name in row}


def _same(answered: object, stored: object) -> bool:
    """Tell whether two JSON values mean the same: APIs write times, numbers and big integers in other ways."""
    if isinstance(answered, bool) or isinstance(stored, bool):
        return answered is stored  # 1 is not true
    if answered == stored or str(answered) == str(stored):
        return True
    times = (_time(answered), _time(stored))
    if times[0] is not None and times[1] is not None:
        return abs((times[0] - times[1]).total_seconds()) < 0.001  # noqa: PLR2004 - JavaScript knows milliseconds
    numbers = (_number(answered), _number(stored))
    return numbers[0] is not None and numbers[0] == numbers[1]


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _number(value: object) -> Decimal | None:
    if not isinstance(value, str | int | float):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _claimed(row: Mapping[str, Any], unknown: list[Write]) -> bool:
    """Tell whether a request without a clear answer wrote this row, and let it claim no second one."""
    for write in unknown:
        sent = {name: value for name, value in write.body.items() if name in row}
        if sent and all(_same(value, row[name]) for name, value in sent.items()):
            unknown.remove(write)
            return True
    return False


def _problems(found: Mapping[str, list[Write]], foreign: list[str], gone: list[str], key: str) -> list[str]:
    def some(names: Sequence[str]) -> str:
        return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")  # noqa: PLR2004 - a line, not a list

    problems = []
    if found["missing"]:
        names = [_key(write, key) for write in found["missing"]]
        problems.append(f"{len(names)} accepted writes outside the lost window are not there: {some(names)}")
    if found["altered"]:
        names = [_key(write, key) for write in found["altered"]]
        problems.append(f"{len(names)} accepted writes are there with other values: {some(names)}")
    if foreign:
        problems.append(f"{len(foreign)} rows are there that nobody was promised: {some(foreign)}")
    if gone:
        problems.append(f"{len(gone)} rows from before the workload are gone or differ: {some(gone)}")
    return problems
