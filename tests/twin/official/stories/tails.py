"""Tails: what a Worker logs and throws is printed by `wrangler tail` while it happens."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tests.twin.running import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.twin.official.wrangler import Wrangler

SOURCE = """
export default {
  async fetch(request) {
    console.log("asked", new URL(request.url).pathname);
    if (request.url.endsWith("/boom")) throw new TypeError("boom");
    return new Response("ok");
  },
};
"""
HOST = "watched.ems.example"


def story(operator: Wrangler, folder: Path) -> None:
    """Deploy, watch as JSON, visit; only what the filter names is printed."""
    (folder / "index.js").write_text(SOURCE, "utf-8")
    route = {"pattern": HOST, "custom_domain": True}
    config = {"name": "watched", "main": "index.js", "compatibility_date": "2026-04-01", "routes": [route]}
    (folder / "wrangler.json").write_text(json.dumps(config), "utf-8")
    operator.types("deploy", folder=folder)
    with (
        ThreadPoolExecutor(1) as reading,
        operator.watches("tail", "watched", "--format", "json", "--status", "error") as tail,
    ):
        assert tail.stdout is not None
        printed = reading.submit(first, tail.stdout)

        def visit() -> bool:
            """Go on until wrangler, which takes its time to connect, has printed something."""
            assert operator.visits(HOST, "/fine").status_code == 200
            assert operator.visits(HOST, "/boom").status_code == 500
            return printed.done()

        assert eventually(visit, within=60)
        told = printed.result()
    assert told["outcome"] == "exception"
    assert told["event"]["request"]["url"] == f"https://{HOST}/boom"
    assert [line["message"] for line in told["logs"]] == [["asked", "/boom"]]
    assert told["exceptions"][0]["message"] == "boom"


def first(lines: Iterable[str]) -> dict[str, Any]:
    """Return the first JSON document that is printed."""
    text = ""
    for line in lines:
        text += line
        if line.startswith("}"):
            document: dict[str, Any] = json.loads(text)
            return document
    raise AssertionError(text)
