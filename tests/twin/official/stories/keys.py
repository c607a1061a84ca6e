"""KV: namespaces, single keys, many keys at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.twin.official.wrangler import Wrangler


def story(operator: Wrangler, folder: Path) -> None:
    """Make a namespace, write, read, list and delete in it."""
    operator.types("kv", "namespace", "create", "notes")
    space = next(row["id"] for row in operator.sees("storage/kv/namespaces") if row["title"] == "notes")
    assert {"id": space, "title": "notes", "supports_url_encoding": True} in json.loads(
        operator.types("kv", "namespace", "list")
    )
    here = ("--remote", "--namespace-id", space)
    operator.types("kv", "key", "put", "a/key ü", "text", *here, "--metadata", '{"by":"me"}', "--ttl", "3600")
    values = f"storage/kv/namespaces/{space}"
    assert operator.asks(f"{values}/values/a%2Fkey%20%C3%BC").text == "text"
    assert operator.sees(f"{values}/metadata/a%2Fkey%20%C3%BC") == {"by": "me"}
    assert operator.types("kv", "key", "get", "a/key ü", *here) == "text"
    many = [{"key": f"many/{number:04}", "value": str(number)} for number in range(1500)]
    (folder / "many.json").write_text(json.dumps(many), "utf-8")
    operator.types("kv", "bulk", "put", str(folder / "many.json"), *here)
    listed = json.loads(operator.types("kv", "key", "list", *here, "--prefix", "many/"))
    assert [row["name"] for row in listed] == [row["key"] for row in many]
    operator.types("kv", "key", "delete", "a/key ü", *here)
    assert operator.run("kv", "key", "get", "a/key ü", *here).returncode == 1
    (folder / "few.json").write_text(json.dumps([row["key"] for row in many[:1499]]), "utf-8")
    operator.types("kv", "bulk", "delete", str(folder / "few.json"), *here, "--force")
    assert [row["name"] for row in operator.sees(f"{values}/keys")] == ["many/1499"]
