"""Pages: a project, what is deployed to it, and who sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.twin.official.wrangler import Wrangler


def story(operator: Wrangler, folder: Path) -> None:
    """Create a project, deploy production and a preview, list both, delete the project."""
    operator.types("pages", "project", "create", "front", "--production-branch", "main")
    assert "front.pages.dev" in operator.types("pages", "project", "list")
    site = folder / "site"
    site.mkdir()
    (site / "index.html").write_text("<h1>one</h1>", "utf-8")
    (site / "style.css").write_text("h1 { color: red }", "utf-8")
    deploy = ("pages", "deploy", str(site), "--project-name", "front", "--commit-dirty=true")
    operator.types(*deploy, "--branch", "main", "--commit-message", "the first")
    assert operator.visits("front.pages.dev").text == "<h1>one</h1>"
    assert operator.visits("front.pages.dev", "/style.css").headers["content-type"] == "text/css; charset=utf-8"
    (site / "index.html").write_text("<h1>two</h1>", "utf-8")
    said = operator.types(*deploy, "--branch", "next")
    assert "Uploaded 1 files (1 already uploaded)" in said
    assert operator.visits("front.pages.dev").text == "<h1>one</h1>"
    assert operator.visits("next.front.pages.dev").text == "<h1>two</h1>"
    preview, production = operator.sees("pages/projects/front/deployments")
    assert production["deployment_trigger"]["metadata"]["commit_message"] == "the first"
    listed = operator.types("pages", "deployment", "list", "--project-name", "front")
    assert preview["id"] in listed
    assert production["id"] in listed
    operator.types("pages", "project", "delete", "front", "--yes")
    assert operator.sees("pages/projects/front") is None
