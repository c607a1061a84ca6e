"""Rules declared by the API are obeyed by the edge of a real twin, from the next request on."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from blake3 import blake3

from tests.twin.cloudflare.live import Live, live

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.twin

ECHO = "export default { async fetch(request) { return new Response(new URL(request.url).pathname) } }"
RATE = {"characteristics": ["cf.colo.id", 'http.request.headers["x-who"]'], "period": 10, "requests_per_period": 2}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Give a running twin with a Worker at api and a site at www."""
    with live(tmp_path_factory.mktemp("twin")) as one:
        one.worker("api", ECHO)
        one.ask("POST", "A/pages/projects", json={"name": "web", "production_branch": "main"})
        publish(one, "first")
        one.ask("POST", "A/pages/projects/web/domains", json={"name": "www.ems.example"})
        record = {"type": "CNAME", "name": "www", "content": "web.pages.dev", "proxied": True, "ttl": 1}
        one.ask("POST", "Z/dns_records", json=record)
        yield one


def publish(twin: Live, text: str) -> str:
    """Deploy a site whose one asset says this."""
    value = base64.b64encode(text.encode())
    key = blake3(value + b"txt").hexdigest()[:32]
    jwt = twin.ask("GET", "A/pages/projects/web/upload-token")["jwt"]
    file = {"key": key, "value": value.decode(), "metadata": {"contentType": "text/plain"}, "base64": True}
    twin.api.post("pages/assets/upload", json=[file], headers={"Authorization": f"Bearer {jwt}"}).raise_for_status()
    form = {"manifest": (None, json.dumps({"/assets/a.txt": key}))}
    return str(twin.ask("POST", "A/pages/projects/web/deployments", files=form)["id"])


def declare(twin: Live, phase: str, *rules: dict[str, Any]) -> None:
    """Replace the rules of a phase."""
    twin.ask("PUT", f"Z/rulesets/phases/{phase}/entrypoint", json={"rules": list(rules)})


def test_the_firewall_blocks_from_the_next_request_on(twin: Live) -> None:
    """A path of the declared kind is 403, counted as no service's; gone is gone; other paths are served."""
    dotfiles = 'starts_with(http.request.uri.path, "/.") and not starts_with(http.request.uri.path, "/.well-known/")'
    assert twin.get("api", "/.git/config").status_code == 200
    declare(twin, "http_request_firewall_custom", {"action": "block", "expression": dotfiles})
    blocked = twin.get("api", "/.git/config")
    assert (blocked.status_code, blocked.text, blocked.headers["server"]) == (403, "error code: 1020", "cloudflare")
    assert twin.get("api", "/.well-known/security.txt").text == "/.well-known/security.txt"
    challenge = {"action": "managed_challenge", "expression": 'http.host eq "api.ems.example"'}
    declare(twin, "http_request_firewall_custom", challenge)
    assert twin.get("api", "/").headers["cf-mitigated"] == "challenge"
    assert twin.get("www", "/assets/a.txt").status_code == 200
    declare(twin, "http_request_firewall_custom")
    assert twin.get("api", "/.git/config").status_code == 200

    counted = twin.api.get(str(twin.api.base_url).partition("/client")[0] + "/__twin/state").json()["requests"]
    assert {"service": "", "version": "", "status": 403, "count": 2} in counted


def test_a_rate_limit_stops_one_and_not_another(twin: Live) -> None:
    """The third request of one key is 429 with Retry-After; another key goes on; counting ends with the rule."""
    limit = {"action": "block", "expression": 'http.request.method eq "POST"', "ratelimit": RATE}
    declare(twin, "http_ratelimit", limit | {"ratelimit": RATE | {"mitigation_timeout": 60}})

    def post(who: str) -> int:
        return twin.get("api", "/", method="POST", headers={"x-who": who}).status_code

    assert [post(who) for who in "aaaab"] == [200, 200, 429, 429, 200]
    assert 0 < int(twin.get("api", "/", method="POST", headers={"x-who": "a"}).headers["retry-after"]) <= 60
    assert twin.get("api", "/", headers={"x-who": "a"}).status_code == 200
    declare(twin, "http_ratelimit")
    assert post("a") == 200


def test_a_cache_rule_keeps_a_site_until_it_is_purged(twin: Live) -> None:
    """Missed, then hit, also after a new deployment, until the purge; a Worker's answers are never kept."""
    ttl = {"cache": True, "edge_ttl": {"mode": "override_origin", "default": 3600}}
    declare(
        twin,
        "http_request_cache_settings",
        {"action": "set_cache_settings", "expression": "true", "action_parameters": ttl},
    )

    def asked() -> tuple[str, str]:
        answer = twin.get("www", "/assets/a.txt")
        return answer.headers["cf-cache-status"], answer.text

    assert [asked(), asked()] == [("MISS", "first"), ("HIT", "first")]
    tag = twin.get("www", "/assets/a.txt").headers["etag"]
    assert twin.get("www", "/assets/a.txt", headers={"if-none-match": tag}).status_code == 304
    publish(twin, "second")
    assert asked() == ("HIT", "first")
    files = {"files": ["https://www.ems.example/assets/a.txt"]}
    assert twin.ask("POST", "Z/purge_cache", json=files) == {"id": twin.zone}
    assert asked() == ("MISS", "second")
    twin.ask("PATCH", "Z/settings/development_mode", json={"value": "on"})
    assert asked() == ("BYPASS", "second")
    twin.ask("PATCH", "Z/settings/development_mode", json={"value": "off"})
    assert "cf-cache-status" not in twin.get("api", "/").headers
    declare(twin, "http_request_cache_settings")
    assert "cf-cache-status" not in twin.get("www", "/assets/a.txt").headers


def test_a_rule_that_is_not_understood_is_logged_and_harms_nobody(twin: Live) -> None:
    """Its neighbour is obeyed; the twin's log names the rule once, not at every request."""
    unknown = {"action": "block", "expression": "cf.threat_score gt 5", "description": "threats"}
    blocking = {"action": "block", "expression": 'http.request.uri.path eq "/no"'}
    declare(twin, "http_request_firewall_custom", unknown, blocking)
    assert [twin.get("api", path).status_code for path in ("/yes", "/no", "/yes")] == [200, 403, 200]
    twin.worker("other", ECHO)
    assert twin.get("other", "/yes").status_code == 200
    log = (twin.state / "logs" / "twin.log").read_text("utf-8")
    assert log.count("kept, not applied: http_request_firewall_custom rule 'threats'") == 1
    declare(twin, "http_request_firewall_custom")
