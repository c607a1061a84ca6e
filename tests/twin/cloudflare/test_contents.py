"""Keys, objects and zone files on the wire: limits, locks, paging, and the way there and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.twin.cloudflare.conftest import Plane

ZONE_FILE = """$ORIGIN example.com.
$TTL 300
@ IN SOA ns1.example.com. admin.example.com. 1 7200 3600 86400 3600
@ IN NS ns1.example.com.
www 600 IN CNAME site.pages.dev. ; front end cf_tags=owner:web,cf-proxied:true
api IN A 192.0.2.1 ; no mark
@ IN MX 10 mail.example.com.
@ IN TXT "v=spf1; -all" ; with a semicolon inside
_sip._tcp IN SRV 1 2 5060 sip.example.com.
@ IN CAA 0 issue "letsencrypt.org"
$GENERATE 1-2 host$ A 192.0.2.1$
"""


@pytest.fixture
def space(plane: Plane) -> str:
    """Give the path of a KV namespace."""
    made = plane.ask("POST", "storage/kv/namespaces", json={"title": "one"})
    return f"storage/kv/namespaces/{made['id']}"


@pytest.mark.parametrize(
    ("key", "status", "said"),
    [
        ("k?expiration_ttl=59", 400, "Invalid expiration_ttl of 59. Expiration TTL must be at least 60."),
        ("k?expiration_ttl=x", 400, "Invalid expiration_ttl of x. Please specify integer greater than 0."),
        ("k?expiration=1", 400, "Invalid expiration of 1. Expiration times must be at least 60 seconds in the"),
        ("k" * 513, 414, "UTF-8 encoded length of 513 exceeds key length limit of 512."),
    ],
)
def test_what_a_key_cannot_be(plane: Plane, space: str, key: str, status: int, said: str) -> None:
    """Names that are too long and ends that are too near are refused, and nothing is written."""
    told = plane.refused("PUT", f"{space}/values/{key}", content=b"v")
    assert told[0] == status
    assert told[2].startswith(said)
    assert plane.ask("GET", f"{space}/keys") == []


def test_keys_are_listed_by_pages_until_the_cursor_is_empty(plane: Plane, space: str) -> None:
    """A list goes on where it stopped; its limit is 10 to 1000."""
    rows = [{"key": f"k{number:02}", "value": "", "metadata": {"n": number}} for number in range(25)]
    plane.ask("PUT", f"{space}/bulk", json=rows)
    names: list[str] = []
    cursor = ""
    while True:
        answer = plane.http.get(f"{plane.account}/{space}/keys", params={"limit": 10, "cursor": cursor}).json()
        names += [row["name"] for row in answer["result"]]
        cursor = answer["result_info"]["cursor"]
        if not cursor:
            break
    assert names == [row["key"] for row in rows]
    assert answer["result_info"]["count"] == 5
    assert answer["result"][0]["metadata"] == {"n": 20}
    assert plane.refused("GET", f"{space}/keys?limit=9")[0] == 400
    assert plane.refused("GET", f"{space}/keys?cursor=%3F")[0] == 400


def test_a_bulk_write_is_whole_or_nothing(plane: Plane, space: str) -> None:
    """One bad key keeps all from being written; base64 and expiry are understood."""
    good: dict[str, Any] = {"key": "a", "value": "AP8=", "base64": True, "expiration_ttl": 3600}
    assert plane.refused("PUT", f"{space}/bulk", json=[good, {"key": "b", "value": "", "expiration_ttl": 5}])[0] == 400
    assert plane.ask("GET", f"{space}/keys") == []
    plane.ask("PUT", f"{space}/bulk", json=[good])
    raw = plane.http.get(f"{plane.account}/{space}/values/a")
    assert raw.content == b"\x00\xff"
    assert abs(int(raw.headers["expiration"]) - datetime.now(UTC).timestamp() - 3600) < 60
    assert plane.refused("GET", f"{space}/values/none") == (404, 10009, "get: 'key not found'")
    plane.ask("DELETE", space)
    assert plane.refused("GET", f"{space}/values/a")[:2] == (404, 10013)


def test_many_keys_are_read_at_once(plane: Plane, space: str) -> None:
    """Values come as text or JSON, with metadata when asked; what is missing is null; 100 keys at most."""
    plane.ask("PUT", f"{space}/bulk", json=[{"key": "a", "value": '{"b":1}', "metadata": {"m": 1}}])
    asked = {"keys": ["a", "none"], "type": "json"}
    assert plane.ask("POST", f"{space}/bulk/get", json=asked) == {"values": {"a": {"b": 1}, "none": None}}
    whole = plane.ask("POST", f"{space}/bulk/get", json={"keys": ["a"], "withMetadata": True})
    assert whole == {"values": {"a": {"value": '{"b":1}', "metadata": {"m": 1}}}}
    assert plane.refused("POST", f"{space}/bulk/get", json={"keys": ["k"] * 101})[0] == 400


@pytest.mark.parametrize(
    "condition",
    [
        {"type": "Age", "maxAgeSeconds": 3600},
        {"type": "Date", "date": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
        {"type": "Indefinite"},
    ],
)
def test_a_lock_keeps_objects(plane: Plane, condition: dict[str, Any]) -> None:
    """Below a locked prefix nothing is replaced or deleted; elsewhere and afterwards it is."""
    plane.ask("POST", "r2/buckets", json={"name": "dumps"})
    where = "r2/buckets/dumps/objects"
    for key in ("daily/one", "free"):
        plane.ask("PUT", f"{where}/{key}", content=b"1")
    rules = [{"id": "keep", "enabled": True, "prefix": "daily/", "condition": condition}]
    assert plane.ask("PUT", "r2/buckets/dumps/lock", json={"rules": rules}) == {"rules": rules}
    for method in ("PUT", "DELETE"):
        refused = plane.refused(method, f"{where}/daily/one", content=b"2" if method == "PUT" else None)
        assert refused == (409, 10069, "The object is locked by the bucket policy.")
        plane.ask(method, f"{where}/free", content=b"2" if method == "PUT" else None)
    plane.ask("PUT", "r2/buckets/dumps/lock", json={"rules": []})
    plane.ask("DELETE", f"{where}/daily/one")
    plane.ask("DELETE", "r2/buckets/dumps")


def test_objects_are_listed_by_pages_and_folders(plane: Plane) -> None:
    """A delimiter tells folders once; the cursor goes on behind them."""
    plane.ask("POST", "r2/buckets", json={"name": "files"})
    for key in ("a/1", "a/2", "b", "c/1", "d"):
        plane.ask("PUT", f"r2/buckets/files/objects/{key}", content=key.encode())
    listing, asked = f"{plane.account}/r2/buckets/files/objects", {"delimiter": "/", "per_page": "2"}
    first = plane.http.get(listing, params=asked).json()
    assert [row["key"] for row in first["result"]] == ["b"]
    assert first["result_info"]["delimited"] == ["a/"]
    rest = plane.http.get(listing, params=asked | {"cursor": first["result_info"]["cursor"]}).json()
    assert ([row["key"] for row in rest["result"]], rest["result_info"]["delimited"]) == (["d"], ["c/"])
    assert plane.refused("GET", "r2/buckets/files/objects/none") == (404, 10007, "The specified key does not exist.")


def test_a_zone_file_goes_in_and_comes_out(plane: Plane) -> None:
    """Records, comments, tags and the proxied mark survive; a second import adds nothing."""
    zone = f"zones/{plane.zone}/dns_records"
    sent = {"files": {"file": ("zone.txt", ZONE_FILE)}, "data": {"proxied": "false"}}
    answer = plane.http.post(f"{zone}/import", **sent)  # type: ignore[arg-type]
    assert answer.json()["result"] == {"recs_added": 8, "total_records_parsed": 8}, answer.text
    rows = {(row["name"], row["type"]): row for row in plane.http.get(zone).json()["result"]}
    www = rows["www.example.com", "CNAME"]
    assert (www["ttl"], www["proxied"], www["comment"], www["tags"]) == (1, True, "front end", ["owner:web"])
    assert rows["api.example.com", "A"]["comment"] == "no mark"
    assert rows["example.com", "MX"]["priority"] == 10
    assert rows["example.com", "TXT"]["content"] == '"v=spf1; -all"'
    assert rows["host2.example.com", "A"]["content"] == "192.0.2.12"
    exported = plane.http.get(f"{zone}/export").text
    for row in rows.values():
        plane.http.delete(f"{zone}/{row['id']}").raise_for_status()
    again = plane.http.post(f"{zone}/import", files={"file": ("zone.txt", exported)})
    assert again.json()["result"]["recs_added"] == 8, again.text
    back = {(row["name"], row["type"]): row for row in plane.http.get(zone).json()["result"]}
    kept = ("content", "ttl", "proxied", "comment", "tags", "priority")
    assert {key: [row.get(k) for k in kept] for key, row in back.items()} == {
        key: [row.get(k) for k in kept] for key, row in rows.items()
    }
    twice = plane.http.post(f"{zone}/import", files={"file": ("zone.txt", exported)})
    assert twice.json()["result"] == {"recs_added": 0, "total_records_parsed": 8}


def test_a_bad_zone_file_changes_nothing(plane: Plane) -> None:
    """Neither nonsense nor an include nor one refused record leaves anything behind."""
    zone = f"zones/{plane.zone}/dns_records"
    for text in ("api IN A nonsense", "$INCLUDE /etc/passwd", "api 300 IN A 192.0.2.1\nb 10 IN A 192.0.2.2", ""):
        answer = plane.http.post(f"{zone}/import", files={"file": ("zone.txt", text)})
        assert answer.status_code == 400, text
    assert plane.http.get(zone).json()["result"] == []


def test_a_purge_names_what_it_forgets(plane: Plane) -> None:
    """Everything or one kind of thing; not both, not nothing, not too much."""
    path = f"zones/{plane.zone}/purge_cache"
    good: list[dict[str, Any]] = [{"purge_everything": True}, {"files": ["https://example.com/"]}, {"hosts": ["a"]}]
    bad: list[dict[str, Any]] = [{}, {"purge_everything": True, "files": ["x"]}, {"files": ["x"] * 101}]
    assert [plane.http.post(path, json=body).status_code for body in good] == [200] * 3
    assert [plane.http.post(path, json=body).status_code for body in bad] == [400] * 3


def test_a_version_is_made_from_the_newest(plane: Plane) -> None:
    """A merge patch changes one binding, takes one away and keeps the others, secrets included."""
    worker = plane.worker()
    plane.version(
        worker,
        {"type": "secret_text", "name": "KEPT", "text": "s"},
        {"type": "plain_text", "name": "GONE", "text": "x"},
    )
    patch = {"env": {"NEW": {"type": "secret_text", "text": "n"}, "GONE": None}, "compatibility_date": "2026-05-01"}
    made = plane.ask("PATCH", f"workers/workers/{worker}/versions/latest", json=patch)
    assert [(b["name"], b["type"]) for b in made["bindings"]] == [("KEPT", "secret_text"), ("NEW", "secret_text")]
    assert made["compatibility_date"] == "2026-05-01"
    runnable = plane.routing.runnable("api", made["id"])
    assert {b["name"]: b["text"] for b in runnable.bindings} == {"KEPT": "s", "NEW": "n"}
    assert plane.ask("GET", f"workers/workers/{worker}/versions/latest")["id"] == made["id"]


def test_a_zone_waits_for_its_name_servers(plane: Plane) -> None:
    """A new zone is pending; its name is taken then; deleting it ends it."""
    made = plane.http.post("zones", json={"name": "second.example", "type": "full"}).json()["result"]
    assert made["status"] == "pending"
    again = plane.http.post("zones", json={"name": "second.example"}).json()["errors"][0]
    assert (again["code"], again["message"]) == (1061, "second.example already exists")
    assert plane.http.post("zones", json={"name": "no zone"}).status_code == 400
    assert [zone["name"] for zone in plane.http.get("zones?status=pending").json()["result"]] == ["second.example"]
    assert plane.http.delete(f"zones/{made['id']}").json()["result"] == {"id": made["id"]}
    assert plane.http.get(f"zones/{made['id']}").status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("PUT", "storage/kv/namespaces/{space}/bulk", [1]),
        ("POST", "storage/kv/namespaces/{space}/bulk/get", {"keys": 5}),
        ("POST", "storage/kv/namespaces/{space}/bulk/delete", {"a": 1}),
        ("PUT", "r2/buckets/files/lock", {"rules": [1]}),
        ("PUT", "r2/buckets/files/lock", {"rules": [{"id": "a", "condition": 5}]}),
        ("PUT", "r2/buckets/files/cors", {"rules": "all"}),
        ("POST", "workers/scripts/api/assets-upload-session", {"manifest": {"/a": 1}}),
        ("PUT", "workers/scripts/api/routes", [1]),
        ("PUT", "workers/scripts/api/domains/records", {"origins": ["a"]}),
        ("POST", "workers/scripts/api/domains/changeset", {"a": 1}),
    ],
)
def test_garbage_is_a_bad_request(plane: Plane, space: str, method: str, path: str, sent: object) -> None:
    """JSON of another shape than the call takes is refused in the envelope, never a broken server."""
    plane.worker()
    plane.ask("POST", "r2/buckets", json={"name": "files"})
    at = path.format(space=space.rpartition("/")[2])
    status, code, _ = plane.refused(method, at, json=sent)
    assert (status, code > 0) == (400, True)
