"""The API on the real Workers runtime and a real PostgreSQL, asked through the edge."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.examples.conftest import SCRIPT, Twin

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

pytestmark = pytest.mark.twin
BOOKING = {"lesson_id": 1, "rider_id": 2}
STAFF = {"email": "Accueil@example.com", "password": "demo-7"}
VALID = {
    "horses": {"name": " Zéphyr ", "sex": "mare", "birth_date": "2016-02-29", "height_cm": 160},
    "riders": {"first_name": "Anaïs", "last_name": "D'Été", "email": "anais@example.com", "galop": 3},
    "lessons": {
        "title": "Cross",
        "discipline": "cross",
        "starts_at": "2031-03-30T02:30:00.123456+01:00",
        "price_cents": 3000,
    },
    "bookings": {**BOOKING, "note": "avec ''quotes'' et 🐴"},
    "invoices": {"rider_id": 2, "lines": [{"label": "Cross", "unit_cents": 3000, "quantity": 2, "booking_id": 1}]},
}


def line_of(twin: Twin, answer: httpx.Response) -> dict[str, Any]:
    """Wait for the one log line about an answer."""
    wanted = answer.headers["x-request-id"]
    for _ in range(100):
        written = (json.loads(line) for line in (twin.state / "logs" / "worker.ndjson").read_text().splitlines())
        said = [json.loads(line["message"]) for line in written if str(line["message"]).startswith("{")]
        if found := [line for line in said if line["request_id"] == wanted]:
            assert len(found) == 1
            return dict(found[0])
        time.sleep(0.05)
    raise AssertionError(wanted)


def audits(database: Connection) -> int:
    """Count the audit rows."""
    row = database.execute("select count(*) from ops.audit").fetchone()
    assert row is not None
    return int(row[0])


def test_health_keeps_its_contract(api: httpx.Client) -> None:
    """The answer is 200 with exactly status, message, a fresh timestamp in milliseconds and the version's id."""
    answer = api.get("/api/health")
    body = answer.json()
    assert answer.status_code == 200
    assert list(body) == ["status", "message", "timestamp", "version"]
    assert (body["status"], body["message"]) == ("ok", "API opérationnelle")
    said = datetime.strptime(body["timestamp"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert len(body["timestamp"]) == len("2026-01-01T00:00:00.000Z")
    assert abs(datetime.now(UTC) - said) < timedelta(seconds=5)
    assert UUID(body["version"])
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", VALID)
def test_a_created_row_is_answered_whole(api: httpx.Client, database: Connection, name: str) -> None:
    """POST answers 201 with the row as the database has it, which GET answers again; one audit row says who."""
    before = audits(database)
    answer = api.post(f"/api/{name}", json=VALID[name])
    assert answer.status_code == 201, answer.text
    row = answer.json()
    (kept,) = database.execute(f"select to_jsonb(t) from public.{name} t where id = %s", [row["id"]]).fetchone() or ()  # noqa: S608 - names of this file
    assert {key: value for key, value in row.items() if key != "lines"} == kept
    assert datetime.fromisoformat(row["created_at"]).tzinfo is not None
    assert api.get(f"/api/{name}/{row['id']}").json() == row
    assert api.get(f"/api/{name}?limit=1").json()["items"][0]["id"] == row["id"]
    written = database.execute(
        "select actor, action, request_id from ops.audit where row_id = %s order by id desc limit 1", [str(row["id"])]
    ).fetchone()
    assert audits(database) == before + 1
    assert written == ("anonymous", f"create {name}", answer.headers["x-request-id"])


def test_an_invoice_sums_its_lines(api: httpx.Client) -> None:
    """The total is computed from the lines, and each line stands in the answer."""
    body = {"rider_id": 3, "lines": [{"label": "a", "unit_cents": 150, "quantity": 3}, {"label": "b", "unit_cents": 1}]}
    row = api.post("/api/invoices", json=body).json()
    assert row["total_cents"] == 451
    assert [(line["label"], line["amount_cents"]) for line in row["lines"]] == [("a", 450), ("b", 1)]


def test_lists_are_paged_newest_first(api: httpx.Client) -> None:
    """Fifty rows unless told otherwise, newest first; the next page starts where the last ended."""
    first = api.get("/api/bookings").json()
    ids = [row["id"] for row in first["items"]]
    assert (first["limit"], first["offset"], len(ids)) == (50, 0, 50)
    assert ids == sorted(ids, reverse=True)
    assert api.get("/api/bookings?limit=2&offset=1").json()["items"] == first["items"][1:3]


@pytest.mark.parametrize(
    ("name", "change", "field"),
    [
        ("bookings", {"lesson_id": "1"}, "lesson_id"),
        ("bookings", {"lesson_id": 0}, "lesson_id"),
        ("bookings", {"rider_id": None}, "rider_id"),
        ("bookings", {"rider_id": 1.5}, "rider_id"),
        ("bookings", {"id": 7}, "id"),
        ("bookings", {"note": "a\u0000b"}, "note"),
        ("bookings", {"note": "x" * 501}, "note"),
        ("horses", {"birth_date": "2015-02-29"}, "birth_date"),
        ("horses", {"birth_date": ["2015-02-28"]}, "birth_date"),
        ("horses", {"sex": "cheval"}, "sex"),
        ("horses", {"name": "   "}, "name"),
        ("riders", {"email": "nobody"}, "email"),
        ("lessons", {"starts_at": "2031-03-30T02:30:00"}, "starts_at"),
        ("lessons", {"starts_at": "2031-02-30T02:30:00Z"}, "starts_at"),
        ("invoices", {"lines": [{"label": "a"}]}, "lines"),
    ],
)
def test_a_field_at_fault_is_named(api: httpx.Client, name: str, change: dict[str, Any], field: str) -> None:
    """A value of the wrong kind answers 422 and names the field; nothing else is at fault."""
    answer = api.post(f"/api/{name}", json={**VALID[name], **change})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "invalid_fields")
    assert list(error["fields"]) == [field]


@pytest.mark.parametrize(
    ("status", "code", "request_"),
    [
        (404, "not_found", {"method": "GET", "url": "/api/nothing-here"}),
        (404, "not_found", {"method": "GET", "url": "/api/horses/999999999999999999"}),
        (404, "not_found", {"method": "GET", "url": "/api/horses/:id"}),
        (405, "method_not_allowed", {"method": "DELETE", "url": "/api/horses"}),
        (400, "invalid_parameter", {"method": "GET", "url": "/api/horses?limit=201"}),
        (415, "unsupported_media_type", {"method": "POST", "url": "/api/horses", "content": "{}"}),
        (400, "invalid_json", {"content": b'{"a":'}),
        (400, "invalid_json", {"content": b'"\xff"'}),
        (413, "body_too_large", {"content": b" " * 70_000}),
        (413, "body_too_large", {"content": (b" " * 7_000 for _ in range(10))}),
        (422, "invalid_fields", {"content": b"[]"}),
        (422, "unknown_reference", {"content": b'{"lesson_id":1,"rider_id":999999}'}),
        (400, "invalid_idempotency_key", {"content": b"{}", "headers": {"idempotency-key": "a b"}}),
        (401, "invalid_token", {"method": "GET", "url": "/api/horses", "headers": {"authorization": "Bearer x"}}),
    ],
)
def test_refusals_are_json(api: httpx.Client, status: int, code: str, request_: dict[str, Any]) -> None:
    """What cannot be done is answered with its status and a code, in JSON."""
    given = {"method": "POST", "url": "/api/bookings", **request_}
    if given["url"] == "/api/bookings":
        given["headers"] = {"content-type": "application/json", **given.get("headers", {})}
    answer = api.request(**given)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json()["error"]["code"] == code
    assert (answer.headers.get("allow") == "GET, HEAD, POST, OPTIONS") == (status == 405)


def test_a_double_is_refused(api: httpx.Client) -> None:
    """Two riders do not share an address, whatever its case."""
    rider = {**VALID["riders"], "email": "double@example.com"}
    assert api.post("/api/riders", json=rider).status_code == 201
    answer = api.post("/api/riders", json={**rider, "email": "DOUBLE@example.com"})
    assert answer.status_code == 409
    assert answer.json()["error"]["fields"] == {"email": "existe déjà"}


def test_an_idempotency_key_creates_once(api: httpx.Client, database: Connection) -> None:
    """Ten calls at once with one key and body get one answer and make one row; another body is refused."""
    headers = {"Idempotency-Key": str(uuid4())}
    before = audits(database)

    def book(_: int) -> httpx.Response:
        return api.post("/api/bookings", json=BOOKING, headers=headers)

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(book, range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 9
    assert audits(database) == before + 1
    refused = api.post("/api/bookings", json={**BOOKING, "rider_id": 3}, headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "idempotency_key_reused")


def test_a_refused_call_leaves_its_key_free(api: httpx.Client) -> None:
    """A key whose call failed may be used again with a body that is right."""
    headers = {"Idempotency-Key": str(uuid4())}
    assert api.post("/api/bookings", json={**BOOKING, "rider_id": 999999}, headers=headers).status_code == 422
    assert api.post("/api/bookings", json=BOOKING, headers=headers).status_code == 201


def test_the_same_booking_twice_is_two_bookings(api: httpx.Client) -> None:
    """Without a key each call books: neither seats nor a rider's other booking refuse one."""
    first, second = (api.post("/api/bookings", json=BOOKING).json() for _ in range(2))
    assert second["id"] > first["id"]


def test_login_attempts_are_put_down(api: httpx.Client, database: Connection) -> None:
    """A wrong password and an unknown address answer alike; every attempt is kept, without the password."""
    wrong = api.post("/api/login", json={**STAFF, "password": "wrong"})
    unknown = api.post("/api/login", json={**STAFF, "email": "nobody@example.com"})
    assert (wrong.status_code, wrong.json()) == (unknown.status_code, unknown.json())
    assert wrong.status_code == 401
    assert api.post("/api/login", json=STAFF).status_code == 200
    attempts = database.execute(
        "select email, succeeded, account_id is not null from ops.login_attempts order by id desc limit 3"
    ).fetchall()
    assert attempts == [
        ("accueil@example.com", True, True),
        ("nobody@example.com", False, False),
        ("accueil@example.com", False, True),
    ]


def test_a_signed_in_user_is_named(api: httpx.Client, twin: Twin, database: Connection) -> None:
    """With the token of a login, the audit row and the log line name the account."""
    session = api.post("/api/login", json=STAFF).json()
    answer = api.post("/api/bookings", json=BOOKING, headers={"Authorization": f"Bearer {session['token']}"})
    assert answer.status_code == 201
    actor = database.execute("select actor from ops.audit order by id desc limit 1").fetchone()
    assert actor == (session["user"]["id"],)
    assert line_of(twin, answer)["user"] == session["user"]["id"]


def test_each_request_writes_one_line(api: httpx.Client, twin: Twin) -> None:
    """The line names the route's pattern, not the path, with level, status and milliseconds."""
    good = line_of(twin, api.get("/api/horses/3"))
    assert list(good) == ["level", "time", "request_id", "user", "method", "route", "status", "ms"]
    assert (good["level"], good["user"], good["method"]) == ("INFO", "anonymous", "GET")
    assert (good["route"], good["status"]) == ("/api/horses/:id", 200)
    assert good["ms"] >= 0
    bad = line_of(twin, api.get("/api/nothing-here"))
    assert (bad["level"], bad["route"], bad["status"]) == ("WARN", "(none)", 404)


def test_the_site_may_read_and_others_may_not(api: httpx.Client) -> None:
    """A browser on www.<zone> is let in, another origin only to the health."""
    site = {"Origin": "https://www.ems.example"}
    assert api.get("/api/lessons?limit=1", headers=site).headers["access-control-allow-origin"] == site["Origin"]
    other = {"Origin": "https://www.ems.example.org"}
    assert "access-control-allow-origin" not in api.get("/api/lessons?limit=1", headers=other).headers
    assert api.get("/api/health", headers=other).headers["access-control-allow-origin"] == "*"
    before = api.options("/api/bookings", headers=site)
    assert (before.status_code, before.headers["access-control-allow-methods"]) == (204, "GET, HEAD, POST, OPTIONS")


def test_head_answers_without_a_body(api: httpx.Client) -> None:
    """HEAD is GET without the body."""
    answer = api.head("/api/horses")
    assert (answer.status_code, answer.content) == (200, b"")


def test_the_schedule_writes_a_heartbeat(api: httpx.Client, twin: Twin, database: Connection) -> None:
    """One cron event writes one row of the live version."""
    version = api.get("/api/health").json()["version"]
    control = twin.says["cloudflare"].removesuffix("/client/v4")
    fired = httpx.post(f"{control}/__twin/cron", json={"script": SCRIPT, "cron": "* * * * *"})
    assert fired.is_success, fired.text
    beats = database.execute("select version, clock_timestamp() - beat_at < '5 s' from ops.heartbeat").fetchall()
    assert beats == [(version, True)]


def test_a_lost_database_is_told(api: httpx.Client, twin: Twin) -> None:
    """Health answers 503 with a reason but no address, a write 503 with its stack in the log; then all is well."""
    control = twin.says["cloudflare"].removesuffix("/client/v4")
    httpx.post(f"{control}/__twin/break", json={"what": "postgres-stop"}).raise_for_status()
    try:
        health, booking = api.get("/api/health"), api.post("/api/bookings", json=BOOKING)
    finally:
        httpx.post(f"{control}/__twin/break", json={"what": "postgres-start"}).raise_for_status()
    body = health.json()
    assert (health.status_code, body["status"]) == (503, "error")
    assert list(body) == ["status", "message", "reason", "timestamp", "version"]
    assert body["reason"].startswith("database: ")
    assert "127.0.0.1" not in health.text
    assert (booking.status_code, booking.json()["error"]["code"]) == (503, "database_unavailable")
    assert booking.headers["retry-after"] == "5"
    line = line_of(twin, booking)
    assert line["level"] == "ERROR"
    assert "at " in line["error"]["stack"]
    assert api.get("/api/health").status_code == 200
