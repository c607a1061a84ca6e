"""The site's files are deployed once, by direct upload, against the twin's Cloudflare plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pulumi
import pytest
from aiohttp import web

from infra.dynamic import pages_upload
from infra.dynamic.pages_content import ContentProvider
from infra.dynamic.pages_upload import Site, deploy
from infra.sources import read_site
from tests.twin import serving
from twin import cloudflare

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

TOKEN = serving.TOKENS["CLOUDFLARE_API_TOKEN"]
PROJECT = f"/accounts/{serving.ACCOUNT}/pages/projects"


class Pages:
    """A Pages project on a fresh plane; `lose` is the path of the call whose answer gets lost next."""

    def __init__(self, folder: Path) -> None:
        """Start with one file."""
        self.folder = folder
        self.base_url = ""
        self.lose: str | None = None
        self.calls: list[str] = []
        (folder / "web").mkdir()
        (folder / "web" / "index.html").write_text("<h1>hi</h1>\n")

    @property
    def site(self) -> Site:
        """Return the site as its files are now."""
        manifest = read_site("web", root=self.folder)
        return Site(serving.ACCOUNT, "site", "main", self.folder / "web", manifest)

    def deploy(self) -> str:
        """Deploy the files and return the deployment's id."""
        self.calls.clear()
        return deploy(self.site, base_url=self.base_url, token=TOKEN).id

    def ask(self, path: str) -> Any:  # noqa: ANN401 - the provider's JSON
        """Return the result of a GET."""
        answer = httpx.get(f"{self.base_url}{path}", headers={"Authorization": f"Bearer {TOKEN}"})
        return answer.json()["result"]

    @web.middleware
    async def watch(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Record a call, and lose its answer when told so."""
        self.calls.append(f"{request.method} {request.path.removeprefix('/client/v4')}")
        answer = await handler(request)
        if self.lose and self.lose in request.path:
            self.lose = None
            assert request.transport is not None
            request.transport.abort()
        return answer


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    """Serve a fresh plane with one empty project."""
    pages = Pages(tmp_path)

    def make() -> web.Application:
        app, _ = cloudflare.app(serving.home(tmp_path), serving.Noted().engines())
        app.middlewares.insert(0, pages.watch)
        return app

    with serving.served(make) as address:
        pages.base_url = f"{address}/client/v4"
        body = {"name": "site", "production_branch": "main"}
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert httpx.post(f"{pages.base_url}{PROJECT}", json=body, headers=headers).is_success
        yield pages


def test_files_become_the_live_deployment(pages: Pages) -> None:
    """What is deployed is what Pages serves in production, under a message made of its hashes."""
    deployment = pages.deploy()
    live = pages.ask(f"{PROJECT}/site")["canonical_deployment"]
    assert live["id"] == deployment
    assert live["deployment_trigger"]["metadata"]["commit_message"] == pages.site.message
    assert live["environment"] == "production"


def test_the_same_files_make_no_second_deployment(pages: Pages) -> None:
    """Files that are live already are found, not deployed again."""
    assert pages.deploy() == pages.deploy()
    assert pages.calls == [f"GET {PROJECT}/site"]


def test_only_new_files_are_uploaded(pages: Pages) -> None:
    """Of a changed site only what Pages lacks travels; serving rules are no assets."""
    pages.deploy()
    (pages.folder / "web" / "new.css").write_text("a{}")
    (pages.folder / "web" / "_headers").write_text("/*\n  x-a: b\n")
    deployment = pages.deploy()
    assert pages.calls.count("POST /pages/assets/upload") == 1
    assert deployment == pages.ask(f"{PROJECT}/site")["canonical_deployment"]["id"]
    (pages.folder / "web" / "new.css").unlink()
    pages.deploy()
    assert "POST /pages/assets/upload" not in pages.calls


@pytest.mark.parametrize("lost", ["/deployments", "/upload", "/check-missing", "/upload-token"])
def test_a_lost_answer_makes_no_second_deployment(pages: Pages, lost: str) -> None:
    """Whatever answer is lost, there is one deployment in the end."""
    pages.lose = lost
    deployment = pages.deploy()
    assert not pages.lose
    assert [each["id"] for each in pages.ask(f"{PROJECT}/site/deployments")] == [deployment]


def test_a_refusal_is_told_with_its_code(pages: Pages) -> None:
    """The provider's code and text stand in the message."""
    site = Site(serving.ACCOUNT, "other", "main", pages.folder / "web", {"/index.html": "0" * 32})
    with pytest.raises(
        pulumi.RunError, match=r"Pages content: GET .*projects/other: expected success, got 404 .*8000007"
    ):
        deploy(site, base_url=pages.base_url, token=TOKEN)


def test_the_difference_is_that_of_the_hashes() -> None:
    """Equal manifests are no change, whatever the folder is called; another project is another resource."""
    provider = ContentProvider()
    olds = {"account": "a", "project": "p", "branch": "main", "folder": "x", "manifest": {"/a": "1"}, "deployment": "d"}
    assert provider.diff("p", olds, {**olds, "folder": "y"}).changes is False
    assert provider.diff("p", olds, {**olds, "manifest": {"/a": "2"}}).changes is True
    assert provider.diff("p", olds, {**olds, "project": "q"}).replaces == ["project"]
    assert provider.diff("p", olds, {**olds, "pin": "d"}).changes is True


def hold(pages: Pages, pin: str) -> str:
    """Upload the files beside a pinned deployment and return what is live."""
    pages.calls.clear()
    return pages_upload.hold(pages.site, pin, base_url=pages.base_url, token=TOKEN).id


def test_under_a_pin_new_files_wait_beside_it(pages: Pages) -> None:
    """They are uploaded once, as a preview with an address of its own; what is pinned stays live."""
    pinned = pages.deploy()
    (pages.folder / "web" / "index.html").write_text("<h1>new</h1>\n")
    assert hold(pages, pinned) == pinned
    assert hold(pages, pinned) == pinned
    held, live = pages.ask(f"{PROJECT}/site/deployments")
    assert (live["id"], pages.ask(f"{PROJECT}/site")["canonical_deployment"]["id"]) == (pinned, pinned)
    assert (held["environment"], held["aliases"]) == ("preview", ["https://main-held.site.pages.dev"])
    assert held["deployment_trigger"]["metadata"]["commit_message"] == pages.site.message
    assert not any(call.startswith("POST") for call in pages.calls)


def test_under_a_pin_what_is_live_goes_back_to_it(pages: Pages) -> None:
    """Where something else is live, the pinned one is made live again, and files that are there are not sent again."""
    pinned = pages.deploy()
    (pages.folder / "web" / "index.html").write_text("<h1>bad</h1>\n")
    pages.deploy()
    pages.lose = "/rollback"
    assert hold(pages, pinned) == pinned
    assert pages.ask(f"{PROJECT}/site")["canonical_deployment"]["id"] == pinned
    assert [call for call in pages.calls if call.startswith("POST")] == [
        f"POST {PROJECT}/site/deployments/{pinned}/rollback"
    ]
    assert len(pages.ask(f"{PROJECT}/site/deployments")) == 2


def test_a_lost_answer_makes_no_second_preview(pages: Pages) -> None:
    """The deployment that waits is found among the newest."""
    pinned = pages.deploy()
    (pages.folder / "web" / "index.html").write_text("<h1>new</h1>\n")
    pages.lose = "/deployments"
    hold(pages, pinned)
    hold(pages, pinned)
    assert len(pages.ask(f"{PROJECT}/site/deployments")) == 2
