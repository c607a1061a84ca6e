"""Pages: direct upload with the real hashes, live and preview deployments, rollback, and how a site answers."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from twin.cloudflare.pages.uploads import hash_of
from twin.world import Asset, SiteTarget

if TYPE_CHECKING:
    from tests.twin.cloudflare.conftest import Plane

SITE = {
    "/index.html": "<h1>hi</h1>\n",
    "/about.html": "about",
    "/docs/index.html": "docs",
    "/docs/404.html": "no such doc",
    "/404.html": "nowhere",
    "/assets/site.css": "body{}",
}
HEADERS = """# cache what has a hash in its name
/assets/*
  Cache-Control: public, max-age=31536000, immutable
/*
  X-Frame-Options: DENY
  ! Referrer-Policy
"""
REDIRECTS = """/old /about
/blog/* /docs/:splat 301
/user/:name /about?user=:name 307
/shown /about.html 200
/strange /about 999
/kept /about?own=1#part 301
/twice/:x/:x /about
/elsewhere http://other.test/
/proxied https://other.test/ 200
/* /index.html 200
/moved-out https://other.test/:splat 302 # with a comment
"""


def jwt(plane: Plane, project: str) -> dict[str, str]:
    """Return the header of an upload call."""
    return {"Authorization": "Bearer " + plane.ask("GET", f"pages/projects/{project}/upload-token")["jwt"]}


def upload(plane: Plane, files: dict[str, str], project: str = "site") -> dict[str, str]:
    """Upload what is missing, as wrangler does, and return the manifest."""
    manifest = {path: hash_of(text.encode(), path.rpartition(".")[2]) for path, text in files.items()}
    headers = jwt(plane, project)
    asked = plane.http.post("pages/assets/check-missing", json={"hashes": list(manifest.values())}, headers=headers)
    missing = set(asked.raise_for_status().json()["result"])
    kinds = {"html": "text/html", "css": "text/css"}
    sent = [
        {
            "key": key,
            "value": base64.b64encode(files[path].encode()).decode(),
            "metadata": {"contentType": kinds[path.rpartition(".")[2]]},
            "base64": True,
        }
        for path, key in manifest.items()
        if key in missing
    ]
    plane.http.post("pages/assets/upload", json=sent, headers=headers).raise_for_status()
    hashes = {"hashes": list(manifest.values())}
    plane.http.post("pages/assets/upsert-hashes", json=hashes, headers=headers).raise_for_status()
    return manifest


def form(manifest: dict[str, str] | None, **more: str) -> dict[str, tuple[str | None, str]]:
    """Return the multipart form of a deployment; names that begin with `_` are files."""
    parts: dict[str, tuple[str | None, str]] = {} if manifest is None else {"manifest": (None, json.dumps(manifest))}
    return parts | {name: (name if name.startswith("_") else None, text) for name, text in more.items()}


def deploy(plane: Plane, files: dict[str, str], **more: str) -> Any:  # noqa: ANN401 - the provider's JSON
    """Upload and deploy a site."""
    return plane.ask("POST", "pages/projects/site/deployments", files=form(upload(plane, files), **more))


@pytest.fixture
def site(plane: Plane) -> Plane:
    """Give a plane with the empty project `site`."""
    plane.ask("POST", "pages/projects", json={"name": "site", "production_branch": "main"})
    return plane


def fetch(plane: Plane, path: str, host: str = "site.pages.dev") -> Asset:
    """Ask what the edge would be told to answer."""
    target = plane.routing.target(host, path)
    assert isinstance(target, SiteTarget)
    return plane.routing.asset(target, path)


def test_the_hash_is_the_real_one() -> None:
    """The value that wrangler computes for a known file."""
    assert hash_of(b"<h1>hi</h1>\n", "html") == "17453d0cfb9bacc76d9f30d3cb9ca048"


def test_a_direct_upload_goes_live(site: Plane) -> None:
    """Only missing files are sent; the deployment succeeds and is canonical; a second upload sends nothing."""
    made = deploy(site, SITE, branch="main", commit_message="release · request 9", commit_dirty="false")
    assert made["latest_stage"] == made["stages"][-1]
    assert (made["environment"], made["latest_stage"]["status"]) == ("production", "success")
    assert made["url"] == f"https://{made['short_id']}.site.pages.dev"
    assert made["deployment_trigger"]["metadata"]["commit_message"] == "release · request 9"
    project = site.ask("GET", "pages/projects/site")
    assert project["canonical_deployment"] == made == project["latest_deployment"]
    asked = site.http.post(
        "pages/assets/check-missing",
        json={"hashes": list(upload(site, SITE).values())},
        headers=jwt(site, "site"),
    )
    assert asked.json()["result"] == []
    assert fetch(site, "/").body == b"<h1>hi</h1>\n"
    assert fetch(site, "/", f"{made['short_id']}.site.pages.dev").body == b"<h1>hi</h1>\n"
    assert site.ask("GET", f"pages/projects/site/deployments/{made['id']}/history/logs")["total"] == 1


def test_uploads_need_their_own_token(site: Plane) -> None:
    """The API token, a forged and an empty token get 8000013."""
    good = jwt(site, "site")["Authorization"]
    for header in ("Bearer " + "t" * 40, good[:-2] + "xx", ""):
        answer = site.http.post("pages/assets/check-missing", json={"hashes": []}, headers={"Authorization": header})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, 8000013)


@pytest.mark.parametrize(
    ("manifest", "code"),
    [(None, 8000096), ({"/a.html": "0" * 32}, 8000000), ({"/a.css": "17453d0cfb9bacc76d9f30d3cb9ca048"}, 8000000)],
)
def test_a_wrong_manifest_is_refused(site: Plane, manifest: dict[str, str] | None, code: int) -> None:
    """No manifest, a file that was not uploaded, and a hash that is not that of the file."""
    upload(site, {"/index.html": "<h1>hi</h1>\n"})
    refused = site.refused("POST", "pages/projects/site/deployments", files=form(manifest, branch="main"))
    assert refused[:2] == (400, code)
    assert site.ask("GET", "pages/projects/site")["canonical_deployment"] is None


def test_a_preview_has_its_alias_and_leaves_production_alone(site: Plane) -> None:
    """Another branch gets its own host and is kept from search engines."""
    live = deploy(site, SITE, branch="main")
    preview = deploy(site, {"/index.html": "new"}, branch="Feature/Nice one")
    assert preview["aliases"] == ["https://feature-nice-one.site.pages.dev"]
    shown = fetch(site, "/", "feature-nice-one.site.pages.dev")
    assert shown.body == b"new"
    assert ("X-Robots-Tag", "noindex") in shown.headers
    assert site.ask("GET", "pages/projects/site")["canonical_deployment"]["id"] == live["id"]
    listed = site.ask("GET", "pages/projects/site/deployments", params={"env": "preview"})
    assert [row["id"] for row in listed] == [preview["id"]]
    assert site.refused("POST", f"pages/projects/site/deployments/{preview['id']}/rollback")[0] == 400
    assert site.refused("DELETE", f"pages/projects/site/deployments/{preview['id']}")[0] == 400
    site.ask("DELETE", f"pages/projects/site/deployments/{preview['id']}?force=true")


def test_a_rollback_moves_only_what_is_canonical(site: Plane) -> None:
    """The old site answers at once, the list stays as it was, and going forward again works."""
    one = deploy(site, {"/index.html": "one"}, branch="main")
    two = deploy(site, {"/index.html": "two"}, branch="main")
    path = "pages/projects/site/deployments"
    assert site.ask("POST", f"{path}/{one['id']}/rollback") == one
    assert fetch(site, "/").body == b"one"
    project = site.ask("GET", "pages/projects/site")
    assert (project["canonical_deployment"]["id"], project["latest_deployment"]["id"]) == (one["id"], two["id"])
    assert [row["id"] for row in site.ask("GET", path)] == [two["id"], one["id"]]
    site.ask("POST", f"{path}/{two['id']}/rollback")
    assert fetch(site, "/").body == b"two"
    assert site.refused("POST", f"{path}/{two['id']}/retry")[0] == 400
    assert site.refused("DELETE", f"{path}/{two['id']}")[0] == 400
    assert site.refused("GET", f"{path}/nothing")[:2] == (404, 8000009)


def test_more_than_25_a_page_is_refused(site: Plane) -> None:
    """The undocumented limit of both lists."""
    for path in ("pages/projects", "pages/projects/site/deployments"):
        assert site.refused("GET", path, params={"per_page": 26}) == (
            400,
            8000024,
            "Invalid list options provided. Review the `page` or `per_page` parameter.",
        )
        assert site.http.get(f"{site.account}/{path}", params={"per_page": 25}).is_success


@pytest.mark.parametrize(
    ("path", "status", "found"),
    [
        ("/", 200, "<h1>hi</h1>\n"),
        ("/index.html", 308, "/"),
        ("/about", 200, "about"),
        ("/about.html?a=1", 308, "/about?a=1"),
        ("/about/", 308, "/about"),
        ("/docs", 308, "/docs/"),
        ("/docs/", 200, "docs"),
        ("/docs/index.html", 308, "/docs/"),
        ("/docs/none", 404, "no such doc"),
        ("/none/at/all", 404, "nowhere"),
        ("/assets/site.css", 200, "body{}"),
        ("/old", 302, "/about"),
        ("/blog/a/b", 301, "/docs/a/b"),
        ("/user/ann", 307, "/about?user=ann"),
        ("/shown", 308, "/about"),
        ("/strange", 404, "nowhere"),
        ("/old?a=1", 302, "/about?a=1"),
        ("/kept?a=1", 301, "/about?own=1#part"),
        ("/twice/a/b", 404, "nowhere"),
        ("/elsewhere", 404, "nowhere"),
        ("/proxied", 404, "nowhere"),
        ("/moved-out", 302, "https://other.test/:splat"),
        ("/docs/index", 308, "/docs/"),
    ],
)
def test_addresses_are_clean(site: Plane, path: str, status: int, found: str) -> None:
    """Files, folders, redirects and 404 pages answer as Pages does."""
    deploy(site, SITE, branch="main", _headers=HEADERS, _redirects=REDIRECTS)
    answer = fetch(site, path)
    assert answer.status == status
    assert (dict(answer.headers).get("Location") if 300 <= status < 400 else answer.body.decode()) == found


def test_headers_are_those_of_pages_and_of_the_site(site: Plane) -> None:
    """`_headers` replaces and removes Pages' own headers; text has a charset; each file its ETag."""
    deploy(site, SITE, branch="main", _headers=HEADERS)
    css, page = dict(fetch(site, "/assets/site.css").headers), dict(fetch(site, "/").headers)
    assert css["Cache-Control"] == "public, max-age=31536000, immutable"
    assert page["Cache-Control"] == "public, max-age=0, must-revalidate"
    assert page["Content-Type"] == "text/html; charset=utf-8"
    assert page["ETag"] == '"17453d0cfb9bacc76d9f30d3cb9ca048"'
    assert page["X-Frame-Options"] == css["X-Frame-Options"] == "DENY"
    assert "Referrer-Policy" not in page
    assert "ETag" not in dict(fetch(site, "/none").headers)


def test_headers_may_be_for_one_host(site: Plane) -> None:
    """An `https://` block counts under that host only; redirects have the headers too; nobody keeps a 404."""
    rules = (
        "https://:project.pages.dev/*\nX-Robots-Tag: noindex\n/*\n  Cache-Control: max-age=9\n  X-Of: :project\n"
        "https://site.pages.dev:8080/*\n  X-Port: 1\n/a/*/b/*\n  X-Two: 1\n"
    )
    deploy(site, SITE, branch="main", _headers=rules, _redirects=REDIRECTS)
    page = dict(fetch(site, "/").headers)
    assert (page["X-Robots-Tag"], page["X-Of"], page.keys() & {"X-Port", "X-Two"}) == ("noindex", ":project", set())
    assert dict(fetch(site, "/old").headers)["X-Of"] == ":project"
    assert dict(fetch(site, "/none").headers)["Cache-Control"] == "no-store"
    target = SiteTarget("site", fetch_id(site), "www.example.com")
    assert "X-Robots-Tag" not in dict(site.routing.asset(target, "/").headers)


def fetch_id(plane: Plane) -> str:
    """Return the id of the live deployment."""
    return str(plane.ask("GET", "pages/projects/site")["canonical_deployment"]["id"])


def test_a_site_without_a_404_page_is_one_application(site: Plane) -> None:
    """Every unknown address gets the start page."""
    deploy(site, {"/index.html": "app"}, branch="main")
    assert (fetch(site, "/any/where").status, fetch(site, "/any/where").body) == (200, b"app")


def test_a_custom_domain_needs_its_record(site: Plane) -> None:
    """The domain is pending and unserved until a CNAME in the zone leads to the project."""
    deploy(site, SITE, branch="main")
    site.ask("POST", "pages/projects/site/domains", json={"name": "www.example.com"})
    assert site.routing.target("www.example.com", "/") is None
    assert site.ask("GET", "pages/projects/site/domains/www.example.com")["status"] == "pending"
    record = {"type": "CNAME", "name": "www", "content": "site.pages.dev", "ttl": 1, "proxied": True}
    site.http.post(f"zones/{site.zone}/dns_records", json=record).raise_for_status()
    assert site.ask("GET", "pages/projects/site/domains/www.example.com")["status"] == "active"
    assert fetch(site, "/about", "www.example.com:8443").body == b"about"
    assert site.refused("POST", "pages/projects/site/domains", json={"name": "www.example.com"})[:2] == (409, 8000018)


def test_a_project_name_is_checked(plane: Plane) -> None:
    """A bad name and a name that is taken are refused."""
    body = {"name": "Not Good", "production_branch": "main"}
    assert plane.refused("POST", "pages/projects", json=body)[:2] == (400, 8000003)
    plane.ask("POST", "pages/projects", json=body | {"name": "good"})
    assert plane.refused("POST", "pages/projects", json=body | {"name": "good"})[:2] == (409, 8000002)
    assert isinstance(plane.http, httpx.Client)
