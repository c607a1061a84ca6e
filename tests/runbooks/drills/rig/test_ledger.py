"""The ledger against the table: every accepted write is found equal, listed as lost, or reported."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from runbooks.drills.rig.ledger import Ended, Outcome, Sent, Snapshot, Span, Write, compare, read_ledger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from runbooks.drills.rig.ledger import Compared

START = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
POINT = START + timedelta(seconds=10)
BACK = START + timedelta(seconds=20)


def write(number: int, at: float, outcome: Outcome = "accepted", **row: Any) -> Write:  # noqa: ANN401 - columns
    """Return a request sent `at` seconds and answered 10 ms later, for row `number`."""
    sent = START + timedelta(seconds=at)
    answered = {"id": number, "rider_id": 7, **row} if outcome == "accepted" else {}
    return Write(f"request {number}", sent, sent + timedelta(milliseconds=10), outcome, {"rider_id": 7}, answered)


def compared(writes: Sequence[Write], rows: dict[str, dict[str, Any]], span: Span | None = None) -> Compared:
    """Compare with a table that held row 1 before."""
    fingerprints = {"1": "as it was", **{key: str(row) for key, row in rows.items()}}
    return compare(writes, key="id", before={"1": "as it was"}, now=Snapshot(fingerprints, rows), span=span)


def test_what_is_there_as_answered_is_kept() -> None:
    """An accepted write that is there with the same values is kept, and nothing is a problem."""
    result = compared([write(2, 1)], {"2": {"id": 2, "rider_id": 7, "note": None}})
    assert (result.counts.kept, result.counts.accepted, result.problems) == (1, 1, [])
    assert result.counts.fields_compared == 2


@pytest.mark.parametrize(
    ("answered", "stored"),
    [
        ("12", 12),
        ("12.50", 12.5),
        ("2026-11-23T10:00:00.123Z", "2026-11-23T10:00:00.123456+00:00"),
        ("2026-11-23T11:00:00+01:00", "2026-11-23T10:00:00+00:00"),
        (None, None),
    ],
)
def test_the_same_value_may_be_written_in_another_way(answered: object, stored: object) -> None:
    """Times, numbers and big integers are compared by what they mean."""
    result = compared([write(2, 1, value=answered)], {"2": {"id": 2, "rider_id": 7, "value": stored}})
    assert result.counts.kept == 1


@pytest.mark.parametrize(("answered", "stored"), [("a", "b"), (1, True), (None, 0), ("2026-11-23T10:00:00Z", "soon")])
def test_another_value_is_reported(answered: object, stored: object) -> None:
    """A row that differs from what was answered is reported."""
    result = compared([write(2, 1, value=answered)], {"2": {"id": 2, "rider_id": 7, "value": stored}})
    assert result.counts.altered == 1
    assert "other values: 2" in result.problems[0]


def test_a_missing_write_is_reported() -> None:
    """Without a recovery every accepted write must be there."""
    result = compared([write(2, 1)], {})
    assert (result.counts.missing, result.lost) == (1, ())
    assert "are not there: 2" in result.problems[0]


def test_only_what_came_after_the_point_is_lost() -> None:
    """Writes between a recovery's point and the return of the data are lost and listed; earlier ones are not."""
    writes = [write(2, 1), write(3, 9.995), write(4, 12), write(5, 19), write(6, 21)]
    result = compared(writes, {"6": {"id": 6, "rider_id": 7}}, Span(POINT, BACK))
    assert [lost.key for lost in result.lost] == ["3", "4", "5"]
    assert (result.counts.missing, result.counts.kept) == (1, 1)
    assert result.window == pytest.approx(9.01)


def test_a_write_after_the_recovery_must_be_there() -> None:
    """What was accepted after the data was back is not excused."""
    result = compared([write(6, 21)], {}, Span(POINT, BACK))
    assert result.counts.missing == 1


def test_an_id_that_is_used_again_hides_no_loss() -> None:
    """After a recovery a lost row's id may belong to another row: the first is lost, the second kept."""
    writes = [write(4, 12, note="first"), write(4, 21, note="second")]
    result = compared(writes, {"4": {"id": 4, "rider_id": 7, "note": "second"}}, Span(POINT, BACK))
    assert (result.counts.lost, result.counts.kept, result.problems) == (1, 1, [])


def test_a_row_that_nobody_was_promised_is_reported() -> None:
    """A new row without an accepted request is foreign, and counted once."""
    result = compared([write(2, 1)], {"2": {"id": 2, "rider_id": 7}, "9": {"id": 9, "rider_id": 7}})
    assert result.counts.foreign == 1
    assert "nobody was promised: 9" in result.problems[0]


def test_a_request_without_an_answer_explains_one_row() -> None:
    """A failed or unanswered request may have written one row of its own values, not two and not another's."""
    rows = {"8": {"id": 8, "rider_id": 7}, "9": {"id": 9, "rider_id": 7}}
    assert compared([write(0, 1, "failed"), write(0, 1, "unanswered")], rows).counts.foreign == 0
    assert compared([write(0, 1, "failed")], rows).counts.foreign == 1
    assert compared([write(0, 1, "failed")], {"9": {"id": 9, "rider_id": 8}}).counts.foreign == 1
    assert compared([write(0, 1, "refused")], {"9": {"id": 9, "rider_id": 7}}).counts.foreign == 1


def test_rows_from_before_must_be_as_they_were() -> None:
    """A row of the seed that is gone or differs is reported."""
    now = Snapshot({"1": "altered"}, {})
    result = compare([], key="id", before={"1": "as it was", "2": "too"}, now=now, span=None)
    assert (result.counts.seed_rows, result.counts.seed_missing) == (2, 2)
    assert "before the workload are gone or differ: 1, 2" in result.problems[0]


def test_an_accepted_answer_without_its_row_is_reported() -> None:
    """An answer that says yes but holds no row proves nothing."""
    nothing = Write("request", START, START, "accepted", {"rider_id": 7}, {})
    assert compared([nothing], {}).counts.missing == 1


def test_a_ledger_is_read_with_its_torn_end(tmp_path: Path) -> None:
    """A request whose answer is not in the ledger counts as unanswered; a torn last line is left out."""
    file = tmp_path / "ledger.jsonl"
    at = START.isoformat()
    lines = [
        Sent(request="a", at=at, body={"rider_id": 7}),
        Ended(request="a", at=at, outcome="accepted", status=201, row={"id": msgspec.Raw(b"5")}),
        Sent(request="b", at=at, body={"rider_id": 8}),
    ]
    file.write_bytes(b"\n".join(msgspec.json.encode(line) for line in lines) + b'\n{"type":"ended","reque')
    first, second = read_ledger(file)
    assert (first.outcome, first.row, first.body) == ("accepted", {"id": 5}, {"rider_id": 7})
    assert (second.outcome, second.ended) == ("unanswered", None)
