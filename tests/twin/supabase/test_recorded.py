"""Answers that the real Management API gave, replayed: same status, same keys, same types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.twin.serving import PROJECT

if TYPE_CHECKING:
    from tests.twin.supabase.conftest import Plane

RECORDED: Final = [
    json.loads(line)
    for line in (Path(__file__).parent.parent / "conformance" / "supabase_answers.jsonl")
    .read_text("utf-8")
    .splitlines()
]
"""Requests with the shape of their answers, from the recordings in the test suite of Supabase's own client."""

TYPES: Final = {bool: "true or false", int: "number", float: "number", str: "text", type(None): "null"}
NEEDS_DATABASE: Final = "/database/query"
"""Answered by a real database: replayed in test_query.py."""


def fits(have: object, shape: Any) -> bool:  # noqa: ANN401 - JSON
    """Tell whether an answer has a recorded shape: same keys, same types, list entries like one of those recorded."""
    if isinstance(shape, dict):
        return isinstance(have, dict) and set(have) == set(shape) and all(fits(have[k], v) for k, v in shape.items())
    if isinstance(shape, list):
        return isinstance(have, list) and all(any(fits(entry, like) for like in shape) for entry in have)
    return bool(TYPES.get(type(have)) == shape)


def arrange(plane: Plane, row: dict[str, Any]) -> None:
    """Bring the project into the state that a recording was made in."""
    if "backups" in row["path"] or "addons" in row["path"]:
        plane.ask("DELETE", "/billing/addons/pitr_7")
    if row["method"] == "GET" and "config/database" in row["path"] and row["answer"]:
        sent = {"shared_buffers": "256MB", "max_connections": 100, "statement_timeout": "8s"}
        plane.ask("PUT", "/config/database/postgres", json=sent | {"effective_cache_size": "768MB"})
    if row["method"] == "GET" and "restrictions" in row["path"] and row["answer"]["config"]["dbAllowedCidrsV6"] == []:
        cidrs = ["0.0.0.0/0"] if "applied_at" not in row["answer"] else ["192.0.2.0/24"]
        plane.ask("POST", "/network-restrictions/apply", json={"dbAllowedCidrs": cidrs, "dbAllowedCidrsV6": []})
        plane.until(lambda: bool(plane.ask("GET", "/network-restrictions")["status"] == "applied"))


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=f"{row['method']} {row['path']} {number}")
        for number, row in enumerate(RECORDED)
        if not row["path"].endswith(NEEDS_DATABASE)
    ],
)
def test_answers_are_like_the_recorded_ones(plane: Plane, row: dict[str, Any]) -> None:
    """Each recorded request gets the recorded status, headers and shape."""
    arrange(plane, row)
    path = row["path"].replace("{ref}", PROJECT)
    answer = plane.http.request(row["method"], path, params=row["query"], json=row["body"])
    assert answer.status_code == row["status"], answer.text
    assert set(row["headers"]) <= set(answer.headers)
    if row["status"] >= 400:
        assert answer.json() == row["answer"]
    elif row["answer"] == "null":
        assert answer.content == b""
    else:
        assert fits(answer.json(), row["answer"]), answer.json()
