"""The health contract, field by field, and the smoke checks."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from infra.stack import Health, Smoke
from runbooks.clients.edge import Edge
from runbooks.clients.transport import Answer
from runbooks.engine.step import Evidence, Settling, Sight, Yes
from runbooks.model.errors import NotSo, Unreachable
from runbooks.steps.cloudflare.edge import Proof, edge_answers, health_faults, smoke_faults, smoke_passes
from runbooks.steps.cloudflare.workers import given

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.runbooks.stand_in import StandIn

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
CONTRACT = Health(path="/api/health", status="ok", message="API opérationnelle", fresh_seconds=60)
GOOD = {"status": "ok", "message": "API opérationnelle", "timestamp": "2026-11-23T09:59:30Z", "version": "v1"}


def answer(body: object, status: int = 200) -> Answer:
    """Make an answer of the health path."""
    return Answer("GET https://api.example/api/health", status, {}, msgspec.json.encode(body), 1.0)


@pytest.fixture
def edge(stand_in: StandIn) -> Iterator[Edge]:
    """Give the way to the stand-in's edge."""
    edge = Edge(stand_in.address, patience=2)
    yield edge
    edge.close()


def test_the_contract_is_kept() -> None:
    """A right answer has no faults, extra fields are nobody's business."""
    assert health_faults(answer({**GOOD, "region": "x"}), CONTRACT, version="v1", now=NOW) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"status": "degraded"}, "status: expected 'ok', got 'degraded'"),
        ({"message": "API"}, "message: expected 'API opérationnelle', got 'API'"),
        ({"version": "v0"}, "version: expected 'v1', got 'v0'"),
        ({"timestamp": "2026-11-23T09:00:00Z"}, "timestamp: expected at most 60 s from now, got +3600 s"),
        ({"timestamp": "2026-11-23T10:05:00+00:00"}, "timestamp: expected at most 60 s from now, got -300 s"),
        ({"timestamp": "2026-11-23T10:00:00"}, "timestamp: expected a zone, got '2026-11-23T10:00:00'"),
        ({"timestamp": "yesterday"}, "timestamp: expected RFC 3339, got 'yesterday'"),
    ],
)
def test_each_field_is_checked(change: dict[str, str], fault: str) -> None:
    """A wrong field is named with what was expected and what came."""
    assert health_faults(answer({**GOOD, **change}), CONTRACT, version="v1", now=NOW) == [fault]


def test_another_status_or_shape_breaks_the_contract() -> None:
    """Anything but 200 and the four fields is a fault."""
    assert health_faults(answer({}, 503), CONTRACT, version=None, now=NOW) == ["status code: expected 200, got 503"]
    (fault,) = health_faults(answer({"status": "ok"}), CONTRACT, version=None, now=NOW)
    assert fault.startswith("body: expected JSON with status, message, timestamp, version; got")


def test_smoke_checks_look_at_status_and_body() -> None:
    """A smoke check fails by its status, or by what is not in the body."""
    seen = Answer("GET https://x/", 200, {}, b"<h1>Stables</h1>", 1.0)
    assert smoke_faults(seen, Smoke(path="/", contains="Stables")) == []
    assert smoke_faults(seen, Smoke(path="/", status=404)) == ["GET https://x/: expected 404, got 200"]
    assert smoke_faults(seen, Smoke(path="/", contains="Riders")) == [
        "GET https://x/: expected 'Riders' in the body, it is not there"
    ]


def test_health_is_proven_several_times_in_a_row(stand_in: StandIn, edge: Edge) -> None:
    """The step holds after three good answers with the version, asked under the service's own name."""
    version = stand_in.upload()
    stand_in.deploy(version)
    step = edge_answers(edge, "api.example", CONTRACT, version=given(version), clock=_now, next_command=None)
    held = step.holds(Sight())
    assert isinstance(held, Yes)
    assert held.evidence["answers"] == 3
    assert {headers["host"] for *_, headers, _ in stand_in.seen} == {"api.example"}


def test_a_fault_may_settle_then_it_is_final(stand_in: StandIn, edge: Edge) -> None:
    """At first a fault is on its way; when its time is over the proof fails and names the next command."""
    version = stand_in.upload()
    stand_in.deploy(version)
    stand_in.sick[version] = {"status_code": 500}
    step = edge_answers(
        edge,
        "api.example",
        CONTRACT,
        version=given(version),
        clock=_now,
        next_command="invoke rollback",
        within=0.3,
    )
    assert isinstance(step.holds(Sight()), Settling)
    with pytest.raises(NotSo, match="status code: expected 200, got 500") as raised:
        step.act(Sight())
    assert raised.value.next_command == "invoke rollback"


def test_all_smoke_checks_must_pass(stand_in: StandIn, edge: Edge) -> None:
    """Each failing check is named."""
    stand_in.failing_paths.update({"/api/horses": 500})
    checks = tuple(("api.example", Smoke(path=path)) for path in ("/api/horses", "/api/lessons"))
    step = smoke_passes(edge, checks, next_command=None, within=0.2)
    with pytest.raises(NotSo, match=r"GET https://api\.example/api/horses at .*: expected 200, got 500") as raised:
        step.act(Sight())
    assert "lessons" not in str(raised.value)
    stand_in.failing_paths.clear()
    assert step.act(Sight()) is None
    assert isinstance(step.holds(Sight()), Yes)


def test_one_lost_answer_is_no_verdict() -> None:
    """An answer that takes longer than all the time there is to settle is asked for once more."""
    looks = iter((0.2, 0.0))

    def look(_sight: Sight) -> tuple[list[str], Evidence]:
        seconds = next(looks)
        time.sleep(seconds)
        if seconds:
            message = "no answer"
            raise Unreachable(message)
        return [], {"passed": 1}

    step = Proof(look, 0.1, None).step("smoke", "pass")
    assert step.act(Sight()) is None
    assert step.holds(Sight()) == Yes({"passed": 1})


def _now() -> datetime:
    return datetime.now(UTC) + timedelta(0)
