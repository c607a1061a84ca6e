"""DNS records: the provider's checks, lists, batches and export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.twin.cloudflare.conftest import Plane


def record(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - the provider's JSON
    """Return the body of an A record with some fields replaced."""
    return {"type": "A", "name": "www", "content": "192.0.2.1", "ttl": 300, "proxied": False, **fields}


def add(plane: Plane, **fields: Any) -> Any:  # noqa: ANN401
    """Create a record and return it."""
    answer = plane.http.post(f"zones/{plane.zone}/dns_records", json=record(**fields))
    assert answer.is_success, answer.text
    return answer.json()["result"]


@pytest.mark.parametrize(
    ("fields", "code", "text"),
    [
        ({"content": "192.0.2.256"}, 9005, "Content for A record must be a valid IPv4 address."),
        ({"type": "AAAA"}, 9005, "Content for AAAA record must be a valid IPv6 address."),
        ({"type": "CNAME", "content": "not a host"}, 9007, "Content for CNAME record is invalid."),
        ({"ttl": 30}, 9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic."),
        ({"type": "TXT", "content": "x", "proxied": True}, 9004, "This record type cannot be proxied."),
        ({"proxied": True, "content": "10.0.0.1"}, 9003, "Target 10.0.0.1 is not allowed for a proxied record."),
        ({"type": "CNAME", "content": "www.example.com"}, 9039, "CNAME content cannot reference itself."),
        ({"type": "MX", "content": "mail.example.com"}, 9100, "DNS record priority is required."),
        ({"name": ""}, 9000, "DNS name is required."),
        ({"name": "a", "content": "192.0.2.9"}, 81058, "An identical record already exists."),
        (
            {"name": "a", "type": "CNAME", "content": "x.test"},
            81053,
            "An A, AAAA, or CNAME record with that host already exists.",
        ),
        ({"name": "c", "content": "192.0.2.9"}, 81054, "A CNAME record with that host already exists."),
    ],
)
def test_a_wrong_record_is_refused(plane: Plane, fields: dict[str, Any], code: int, text: str) -> None:
    """Each check answers 400 with the provider's code and text, and leaves the zone as it was."""
    add(plane, name="a", content="192.0.2.9")
    add(plane, name="c", type="CNAME", content="x.test")
    answer = plane.http.post(f"zones/{plane.zone}/dns_records", json=record(**fields))
    error = answer.json()["errors"][0]
    assert (answer.status_code, error["code"], error["message"]) == (400, code, text)
    assert len(plane.routing.records()) == 2


def test_structured_data_becomes_content(plane: Plane) -> None:
    """A CAA record is given as data and shown with both."""
    made = add(plane, type="CAA", content=None, data={"flags": 0, "tag": "issue", "value": "letsencrypt.org"})
    assert made["content"] == '0 issue "letsencrypt.org"'
    assert made["data"]["tag"] == "issue"


def test_parts_that_are_missing_are_named_one_by_one(plane: Plane) -> None:
    """A record of parts is made of its data only; each part that is not there is an error of its own."""
    for sent in (
        {"data": {"priority": 1, "weight": 2}},
        {"content": "2 443 x.test", "data": {"weight": 0, "priority": 1}},
    ):
        answer = plane.http.post(f"zones/{plane.zone}/dns_records", json=record(type="SRV", name="_s._tcp", **sent))
        assert [(one["code"], one["message"]) for one in answer.json()["errors"]] == [
            (9101, f"{part} is a required data field.") for part in ("port", "target")
        ]
    made = add(plane, type="SRV", name="_s._tcp", data={"priority": 1, "weight": 0, "port": 443, "target": "x.test"})
    assert (made["content"], made["priority"]) == ("0 443 x.test", 1)


def test_a_missing_record_is_81044(plane: Plane) -> None:
    """Reading, changing and deleting what is not there is 404."""
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = plane.http.request(method, f"zones/{plane.zone}/dns_records/{'0' * 32}", json=record())
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, 81044)


def test_put_replaces_and_patch_changes(plane: Plane) -> None:
    """PUT resets what is not sent, PATCH keeps it."""
    made = add(plane, comment="why", tags=["a:1"])
    path = f"zones/{plane.zone}/dns_records/{made['id']}"
    changed = plane.http.patch(path, json={"content": "192.0.2.2"}).json()["result"]
    assert (changed["content"], changed["comment"], changed["ttl"]) == ("192.0.2.2", "why", 300)
    replaced = plane.http.put(path, json={"type": "A", "name": "www", "content": "192.0.2.3"}).json()["result"]
    assert (replaced["comment"], replaced["tags"], replaced["ttl"]) == (None, [], 1)
    assert replaced["created_on"] == made["created_on"]


def test_lists_are_filtered_and_paged(plane: Plane) -> None:
    """Filters by name, type and comment, any or all; result_info counts; a page past the end is empty."""
    for number in range(5):
        add(plane, name=f"h{number}", content=f"192.0.2.{number}", comment="odd" if number % 2 else "even")
    path = f"zones/{plane.zone}/dns_records"

    def names(**query: str) -> list[str]:
        return [row["name"].split(".")[0] for row in plane.http.get(path, params=query).json()["result"]]

    assert names(name="h1.example.com") == ["h1"]
    assert names(**{"name.startswith": "h", "comment.contains": "od"}) == ["h1", "h3"]
    assert names(name="h0.example.com", content="192.0.2.4", match="any") == ["h0", "h4"]
    assert names(type="CNAME") == []
    assert names(order="content", direction="desc", per_page="2") == ["h4", "h3"]
    page = plane.http.get(path, params={"page": 3, "per_page": 2}).json()
    add(plane, name="front", proxied=True, tags=["team:web", "kind:Page"])
    assert names(proxied="true") == ["front"]
    assert names(proxied="false") == ["h0", "h1", "h2", "h3", "h4"]
    for tag in ({"tag": "team:web"}, {"tag.present": "team"}, {"tag.contains": "kind:ag"}, {"tag.exact": "KIND:page"}):
        assert names(**tag) == ["front"]
    assert names(**{"tag.absent": "team", "name.contains": "4"}) == ["h4"]
    assert names(**{"tag.present": "none", "tag.exact": "team:web", "tag_match": "any"}) == ["front"]
    assert page["result_info"] == {"page": 3, "per_page": 2, "count": 1, "total_count": 5, "total_pages": 3}
    assert plane.http.get(path, params={"page": 4, "per_page": 2}).json()["result"] == []


def test_names_are_shown_in_punycode(plane: Plane) -> None:
    """Whatever is sent, as name servers and certificates have it; what cannot be a label is refused."""
    assert add(plane, name="bücher")["name"] == "xn--bcher-kva.example.com"
    refused = plane.http.post(f"zones/{plane.zone}/dns_records", json=record(name="ü" * 64))
    assert refused.json()["errors"][0]["code"] == 9000


def test_a_proxied_record_has_no_ttl_of_its_own(plane: Plane) -> None:
    """Whatever is sent, it is automatic; an address of a private network cannot be proxied at all."""
    assert add(plane, name="p", proxied=True)["ttl"] == 1
    assert [add(plane, name=to, content=to)["proxiable"] for to in ("192.168.1.1", "192.0.2.1")] == [False, True]


def test_a_batch_is_all_or_nothing(plane: Plane) -> None:
    """Deletes free names for puts and posts; one failing part leaves every record untouched."""
    old = add(plane, name="www", content="192.0.2.1")
    other = add(plane, name="x", content="192.0.2.5")
    path = f"zones/{plane.zone}/dns_records/batch"
    before = plane.routing.records()
    wrong = {"deletes": [{"id": old["id"]}], "posts": [record(name="y"), record(name="z", content="nowhere")]}
    refused = plane.http.post(path, json=wrong)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, 9005)
    assert plane.routing.records() == before
    right = {
        "deletes": [{"id": old["id"]}],
        "patches": [{"id": other["id"], "ttl": 600}],
        "posts": [record(name="www", type="CNAME", content="site.pages.dev", proxied=True, ttl=1)],
    }
    done = plane.http.post(path, json=right).json()["result"]
    assert [len(done[part]) for part in ("deletes", "patches", "puts", "posts")] == [1, 1, 0, 1]
    back = {"deletes": [{"id": done["posts"][0]["id"]}], "puts": [old]}
    restored = plane.http.post(path, json=back).json()["result"]["puts"][0]
    assert (restored["id"], restored["content"]) == (old["id"], "192.0.2.1")


def test_the_zone_is_exported_in_bind_form(plane: Plane) -> None:
    """The export is text with one line a record, comment and proxied mark behind it."""
    add(plane, type="CNAME", content="site.pages.dev", proxied=True, ttl=1, comment="front")
    add(plane, type="MX", name="@", content="mail.example.com", priority=10)
    answer = plane.http.get(f"zones/{plane.zone}/dns_records/export")
    assert answer.headers["Content-Type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert "www.example.com.\t1\tIN\tCNAME\tsite.pages.dev. ; front cf_tags=cf-proxied:true" in lines
    assert "example.com.\t300\tIN\tMX\t10 mail.example.com." in lines


def test_zones_are_found_by_name_and_id(plane: Plane) -> None:
    """A zone is found by its name; another name gives an empty list; an unknown id is not ours."""
    assert plane.http.get("zones", params={"name": "other.example"}).json()["result"] == []
    shown = plane.http.get(f"zones/{plane.zone}").json()["result"]
    assert (shown["name"], shown["status"]) == ("example.com", "active")
    unknown = plane.http.get(f"zones/{'0' * 32}")
    assert (unknown.status_code, unknown.json()["errors"][0]["code"]) == (403, 9109)


def test_the_record_of_a_custom_domain_is_read_only(plane: Plane) -> None:
    """Attaching a host makes a proxied record that cannot be edited; beside another record it is refused."""
    plane.worker("api")
    body = {"hostname": "api.example.com", "service": "api", "zone_id": plane.zone}
    plane.ask("PUT", "workers/domains", json=body)
    (made,) = plane.routing.records()
    assert (made["type"], made["content"], made["proxied"]) == ("AAAA", "100::", True)
    refused = plane.http.delete(f"zones/{plane.zone}/dns_records/{made['id']}")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, 1043)
    add(plane, name="www", content="192.0.2.1")
    assert plane.refused("PUT", "workers/domains", json=body | {"hostname": "www.example.com"})[:2] == (409, 100117)
    override = body | {"hostname": "www.example.com", "override_existing_dns_record": True}
    plane.ask("PUT", "workers/domains", json=override)
