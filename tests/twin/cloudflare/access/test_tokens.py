"""API tokens: made of permission groups, bound to resources, times and places, and refused as the provider refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.twin.serving import ACCOUNT, TOKENS
from twin.cloudflare.access.permissions import ACCOUNT as ON_ACCOUNT
from twin.cloudflare.access.permissions import GROUPS, USER, ZONE

if TYPE_CHECKING:
    import httpx

    from tests.twin.cloudflare.conftest import Plane

WHOLE_ACCOUNT = {f"{ON_ACCOUNT}.{ACCOUNT}": "*"}
EVERY_ZONE = {f"{ON_ACCOUNT}.{ACCOUNT}": {f"{ZONE}.*": "*"}}


def policy(resources: dict[str, Any], *names: str, effect: str = "allow") -> dict[str, Any]:
    """Return a policy that names permission groups by their ids."""
    groups = [{"id": group.id} for group in GROUPS.values() if group.name in names]
    return {"effect": effect, "resources": resources, "permission_groups": groups}


def made(plane: Plane, *policies: dict[str, Any], path: str = "user/tokens", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Make a token and return it with its value."""
    answer = plane.http.post(path, json={"name": "runbooks", "policies": list(policies), **more})
    assert answer.is_success, answer.text
    token: dict[str, Any] = answer.json()["result"]
    return token


def told(answer: httpx.Response) -> tuple[int, int, str]:
    """Return status, code and text of a refusal; code 0 and no text of a success."""
    errors = answer.json()["errors"]
    return answer.status_code, errors[0]["code"] if errors else 0, errors[0]["message"] if errors else ""


def asks(plane: Plane, token: dict[str, Any], method: str, path: str, **more: Any) -> tuple[int, int, str]:  # noqa: ANN401
    """Make a call with a token."""
    headers = {"Authorization": f"Bearer {token['value']}"}
    return told(plane.http.request(method, path, headers=headers, **more))


def test_a_token_may_do_what_its_groups_say(plane: Plane) -> None:
    """Read is not Write, one product is not another; the refusal is 10000, and 9109 on zones."""
    zone, account = plane.zone, plane.account
    token = made(
        plane,
        policy(WHOLE_ACCOUNT, "Workers Scripts Read", "Pages Write"),
        policy({f"{ZONE}.{zone}": "*"}, "DNS Read", "Zone Read"),
    )
    refused, on_zone = (403, 10000, "Authentication error"), (403, 9109, "Unauthorized to access requested resource")
    project = {"name": "web", "production_branch": "main"}
    for method, path, body, expected in (
        ("GET", f"{account}/workers/scripts", None, (200, 0, "")),
        ("POST", f"{account}/workers/workers", {"name": "api"}, refused),
        ("POST", f"{account}/pages/projects", project, (200, 0, "")),
        ("GET", f"{account}/storage/kv/namespaces", None, refused),
        ("GET", f"{account}", None, (200, 0, "")),
        ("GET", f"zones/{zone}", None, (200, 0, "")),
        ("GET", f"zones/{zone}/dns_records", None, (200, 0, "")),
        ("POST", f"zones/{zone}/dns_records", {"type": "A"}, on_zone),
        ("GET", f"zones/{zone}/settings/ssl", None, on_zone),
        ("GET", f"zones/{'0' * 32}/dns_records", None, on_zone),
        ("GET", "user/tokens", None, refused),
        ("GET", f"accounts/{'f' * 32}/workers/scripts", None, refused),
    ):
        assert asks(plane, token, method, path, json=body) == expected, (method, path)
    assert plane.ask("GET", "workers/workers") == []


def test_a_denial_outweighs_and_scopes_bound(plane: Plane) -> None:
    """A deny takes away what an allow gave; a group counts only on its own kind of resource."""
    zone = plane.zone
    denied = made(plane, policy(EVERY_ZONE, "DNS Write"), policy(EVERY_ZONE, "DNS Write", effect="deny"))
    records = f"zones/{zone}/dns_records"
    assert asks(plane, denied, "GET", records)[1] == 9109
    assert asks(plane, made(plane, policy(EVERY_ZONE, "DNS Write")), "GET", records)[0] == 200
    on_the_account_only = made(plane, policy(WHOLE_ACCOUNT, "DNS Write"))
    assert asks(plane, on_the_account_only, "GET", records)[1] == 9109
    elsewhere = made(plane, policy({f"{ZONE}.{'0' * 32}": "*"}, "DNS Write", "Zone Read"))
    assert asks(plane, elsewhere, "GET", records)[1] == 9109
    listed = plane.http.get("zones", headers={"Authorization": f"Bearer {elsewhere['value']}"}).json()["result"]
    assert listed == []


def test_a_value_is_shown_once_and_kept_nowhere(plane: Plane) -> None:
    """Only creation and roll show it; lists and reads do not, nor does the twin's own state."""
    token = made(plane, policy(EVERY_ZONE, "Zone Read"))
    assert token["value"].startswith("cfut_")
    read = plane.http.get(f"user/tokens/{token['id']}").json()["result"]
    assert {"value", "digest", "owner"}.isdisjoint(read)
    assert [row["id"] for row in plane.http.get("user/tokens").json()["result"]] == [token["id"]]
    rolled = plane.http.put(f"user/tokens/{token['id']}/value", json={}).json()["result"]
    state = (plane.folder / "cloudflare.json").read_text("utf-8")
    assert token["value"] not in state
    assert rolled not in state
    assert asks(plane, token, "GET", "zones") == (403, 9109, "Invalid access token")
    assert asks(plane, {"value": rolled}, "GET", "zones") == (200, 0, "")


def test_verify_tells_the_state(plane: Plane) -> None:
    """Active, disabled and expired tokens are told so; elsewhere the last two count as none."""
    token = made(plane, policy(EVERY_ZONE, "Zone Read"), expires_on="2035-12-31T23:59:59Z")
    headers = {"Authorization": f"Bearer {token['value']}"}
    path = f"user/tokens/{token['id']}"
    good = plane.http.get("user/tokens/verify", headers=headers).json()
    assert good["result"] == {"id": token["id"], "status": "active", "expires_on": "2035-12-31T23:59:59Z"}
    assert good["messages"][0]["message"] == "This API Token is valid and active"
    body = {"name": "runbooks", "policies": token["policies"]}
    for change, state in (({"status": "disabled"}, "disabled"), ({"expires_on": "2020-01-01T00:00:00Z"}, "expired")):
        assert plane.http.put(path, json=body | change).json()["result"]["status"] == state
        assert plane.http.get("user/tokens/verify", headers=headers).json()["result"]["status"] == state
        assert asks(plane, token, "GET", "zones") == (403, 9109, "Invalid access token")
    plane.http.put(path, json=body | {"not_before": "2035-01-01T00:00:00+01:00"})
    assert asks(plane, token, "GET", "accounts") == (403, 10000, "Authentication error")
    assert plane.http.delete(path).json()["result"] == {"id": token["id"]}
    assert asks(plane, token, "GET", "user/tokens/verify") == (401, 1000, "Invalid API Token")


def test_a_token_may_be_bound_to_a_place(plane: Plane) -> None:
    """From another address than those named, or from one that is left out, it is refused with the address."""
    away = made(plane, policy(EVERY_ZONE, "Zone Read"), condition={"request_ip": {"in": ["192.0.2.0/24"]}})
    assert asks(plane, away, "GET", "zones") == (403, 9109, "Cannot use the access token from location: 127.0.0.1")
    left_out = {"request_ip": {"in": ["127.0.0.0/8"], "not_in": ["127.0.0.1/32"]}}
    assert asks(plane, made(plane, policy(EVERY_ZONE, "Zone Read"), condition=left_out), "GET", "zones")[1] == 9109
    here = made(plane, policy(EVERY_ZONE, "Zone Read"), condition={"request_ip": {"in": ["127.0.0.1"]}})
    assert asks(plane, here, "GET", "zones")[0] == 200


def test_account_tokens_are_the_accounts(plane: Plane) -> None:
    """They are verified below the account, list no accounts, see no user, and make tokens where they may."""
    tokens = f"{plane.account}/tokens"
    token = made(plane, policy(WHOLE_ACCOUNT, "Account API Tokens Write", "Workers Scripts Write"), path=tokens)
    assert token["value"].startswith("cfat_")
    assert asks(plane, token, "GET", f"{tokens}/verify") == (200, 0, "")
    assert asks(plane, token, "GET", "user/tokens/verify") == (401, 1000, "Invalid API Token")
    assert asks(plane, token, "GET", "user") == (403, 9109, "Valid user-level authentication not found")
    assert asks(plane, token, "GET", "accounts")[1] == 1001
    inner = {"name": "inner", "policies": [policy(WHOLE_ACCOUNT, "Pages Read")]}
    assert asks(plane, token, "POST", tokens, json=inner) == (200, 0, "")
    assert len(plane.http.get(tokens).json()["result"]) == 2
    assert plane.http.get("user/tokens").json()["result"] == []


def test_what_a_token_did_is_in_the_audit_log(plane: Plane) -> None:
    """The entry names the token by id and name."""
    token = made(plane, policy(WHOLE_ACCOUNT, "Workers Scripts Write"))
    asks(plane, token, "POST", f"{plane.account}/workers/workers", json={"name": "api"})
    query = f"logs/audit?since=2020-01-01&before=2100-01-01&actor_token_id={token['id']}"
    (entry,) = plane.ask("GET", query)
    assert (entry["actor"]["token_name"], entry["action"]["description"]) == ("runbooks", "worker api created")


def test_permission_groups_are_listed_with_their_scopes(plane: Plane) -> None:
    """By the user's call all three kinds, by the account's those of accounts and zones; filtered by name and scope."""
    (one,) = plane.http.get("user/tokens/permission_groups", params={"name": "Workers Scripts Write"}).json()["result"]
    assert one == {"id": "e086da7e2179491d91ee5f35b3ca210a", "name": "Workers Scripts Write", "scopes": [ON_ACCOUNT]}
    names = {
        group["name"]
        for group in plane.ask("GET", "tokens/permission_groups")
        if group["scopes"] != [USER] or pytest.fail(group["name"])
    }
    assert {"Cache Purge", "Zone WAF Write", "Notifications Write", "Workers Tail Read", "Logs Write"} <= names
    on_zones = plane.http.get("user/tokens/permission_groups", params={"scope": ZONE}).json()["result"]
    assert {group["scopes"][0] for group in on_zones} == {ZONE}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": ""}, "name is required"),
        ({"policies": []}, "policies must name at least one policy"),
        ({"policies": [{"effect": "maybe"}]}, "effect must be allow or deny"),
        ({"policies": [{"effect": "allow"}]}, "permission_groups and resources are required in a policy"),
        ({"expires_on": "tomorrow"}, "expires_on must be an RFC 3339 time with its zone"),
        ({"expires_on": "2030-01-01T00:00:00"}, "expires_on must be an RFC 3339 time with its zone"),
        ({"condition": {"request_ip": {"in": ["home"]}}}, "condition.request_ip: 'home' is no address or CIDR"),
        ({"condition": {"country": "FR"}}, "condition may have request_ip with in and not_in, nothing else"),
        ({"status": "expired"}, "status must be active or disabled"),
    ],
)
def test_a_token_that_says_nothing_is_not_made(plane: Plane, change: dict[str, Any], text: str) -> None:
    """Each thing that cannot be is refused by name, and no token is made."""
    body = {"name": "x", "policies": [policy(EVERY_ZONE, "Zone Read")]} | change
    assert told(plane.http.post("user/tokens", json=body)) == (400, 1004, text)
    assert plane.http.get("user/tokens").json()["result"] == []


def test_unknown_groups_and_the_twins_own_token_are_refused(plane: Plane) -> None:
    """A policy names groups that there are; the token that runs the twin cannot be taken away from it."""
    unknown = {"effect": "allow", "resources": EVERY_ZONE, "permission_groups": [{"id": "0" * 32}]}
    refused = plane.http.post("user/tokens", json={"name": "x", "policies": [unknown]})
    assert told(refused)[2] == f"Permission group {'0' * 32!r} is invalid"
    own = plane.http.get("user/tokens/verify").json()["result"]["id"]
    assert told(plane.http.delete(f"user/tokens/{own}"))[2].startswith("the twin's own token cannot be shown")
    assert plane.http.headers["Authorization"] == f"Bearer {TOKENS['CLOUDFLARE_API_TOKEN']}"
    assert plane.http.get("zones").status_code == 200
