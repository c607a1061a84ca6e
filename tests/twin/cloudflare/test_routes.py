"""The door of the Cloudflare plane: tokens, envelopes, headers, what is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.twin.serving import ACCOUNT

if TYPE_CHECKING:
    from tests.twin.cloudflare.conftest import Plane


@pytest.mark.parametrize(
    ("header", "path", "expected"),
    [
        (None, "zones", (400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")),
        ("Bearer short", "zones", (400, 6003, "Invalid request headers")),
        ("Basic " + "x" * 40, "zones", (400, 6003, "Invalid request headers")),
        ("Bearer " + "x" * 40, "user/tokens/verify", (401, 1000, "Invalid API Token")),
        ("Bearer " + "x" * 40, "zones", (403, 9109, "Invalid access token")),
        ("Bearer " + "x" * 40, "accounts", (403, 10000, "Authentication error")),
    ],
)
def test_wrong_tokens_are_refused(plane: Plane, header: str | None, path: str, expected: tuple[int, int, str]) -> None:
    """Each way of not having the token gets the provider's own code and text."""
    request = plane.http.build_request("GET", path)
    del request.headers["Authorization"]
    if header is not None:
        request.headers["Authorization"] = header
    answer = plane.http.send(request)
    error = answer.json()["errors"][0]
    assert (answer.status_code, error["code"], error["message"]) == expected
    if error["code"] == 6003:
        assert error["error_chain"] == [{"code": 6111, "message": "Invalid format for Authorization header"}]


def test_right_token_is_active(plane: Plane) -> None:
    """A good token is told that it is active, by the user's and by the account's call."""
    assert plane.http.get("user/tokens/verify").json()["result"]["status"] == "active"
    assert plane.ask("GET", "tokens/verify")["status"] == "active"
    assert [row["id"] for row in plane.http.get("accounts").json()["result"]] == [ACCOUNT]
    assert "@" in plane.http.get("user").json()["result"]["email"]


def test_another_account_is_closed(plane: Plane) -> None:
    """Another account's id is refused; an id that is none cannot be routed."""
    other = plane.http.get(f"accounts/{'f' * 32}/workers/scripts")
    assert (other.status_code, other.json()["errors"][0]["code"]) == (403, 10000)
    none = plane.http.get("accounts/me/workers/scripts")
    assert (none.status_code, none.json()["errors"][0]["code"]) == (404, 7003)


@pytest.mark.parametrize(
    ("method", "path", "file"),
    [
        ("POST", "zones/z/dns_records/scan", "records.py"),
        ("PUT", "zones/z/settings", "protection.py"),
        ("GET", f"accounts/{ACCOUNT}/alerting/v3/destinations/pagerduty", "alerting/policies.py"),
        ("POST", f"accounts/{ACCOUNT}/workers/observability/telemetry/live-tail", "observability/telemetry.py"),
        ("GET", f"accounts/{ACCOUNT}/storage/kv/namespaces/n/nothing", "storage/values.py"),
        ("POST", "radar/datasets/download", "routes.py"),
    ],
)
def test_what_is_lacking_says_where_to_add_it(plane: Plane, method: str, path: str, file: str) -> None:
    """A call that the twin lacks answers 501 in the envelope of an unknown URI and names the file to extend."""
    answer = plane.http.request(method, path)
    body = answer.json()
    assert answer.status_code == 501
    assert [error["code"] for error in body["errors"]] == [7003, 7000]
    assert body["errors"][1]["message"] == "No route for that URI"
    assert body["messages"] == [
        f"the twin does not answer {method} /client/v4/{path}: add it to twin/cloudflare/{file}"
    ]
    assert answer.headers["x-should-retry"] == "false"


def test_every_answer_has_the_rate_headers(plane: Plane) -> None:
    """Good and bad answers carry cf-ray and what is left of 1200 calls in five minutes."""
    first, second = plane.http.get("zones"), plane.http.get("nowhere")
    assert first.headers["Ratelimit"] == '"default";r=1199;t=300'
    assert second.headers["Ratelimit"] == '"default";r=1198;t=300'
    assert second.headers["Ratelimit-Policy"] == '"default";q=1200;w=300'
    assert second.headers["cf-ray"].endswith("-TWN")


def test_a_body_that_is_no_json_is_refused(plane: Plane) -> None:
    """Broken JSON gets 6007."""
    assert plane.refused("POST", "workers/workers", content=b"{") == (
        400,
        6007,
        "Malformed JSON in request body",
    )
