"""Cut from Supabase's OpenAPI what the twin serves: `python -m tests.twin.supabase.excerpt OPENAPI.json` writes it.

What is kept of an operation: its answers by status with their schema, and the schema of its body; references resolved,
prose left out, OpenAPI's `nullable` said as JSON Schema says it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

from twin.supabase.routes import ROUTES

FILE: Final = Path(__file__).parent.parent / "conformance" / "supabase_operations.json"
METHODS: Final = ("get", "post", "put", "patch", "delete")
PROSE: Final = ("description", "example", "examples", "title", "x-internal", "deprecated")
NAMES: Final = ("properties", "patternProperties")
"""Keywords whose keys are names of the API, not words of the schema language."""


def nameless(call: str) -> str:
    """Return a call with its placeholders' names left out, so that two spellings of one path are equal."""
    return re.sub(r"{[^}]*}", "{}", call)


def schema_of(held: dict[str, Any], document: dict[str, Any]) -> Any:  # noqa: ANN401 - a JSON schema
    """Return the schema of a body or an answer, None where it has none."""
    found = held.get("content", {}).get("application/json", {}).get("schema")
    return None if found is None else plain(found, document)


def plain(schema: Any, document: dict[str, Any]) -> Any:  # noqa: ANN401 - a part of a JSON schema
    """Return a schema without references, prose and `nullable`."""
    if isinstance(schema, list):
        return [plain(part, document) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return plain(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    kept: dict[str, Any] = {}
    for key, part in schema.items():
        if key in NAMES:
            kept[key] = {name: plain(inner, document) for name, inner in part.items()}
        elif key not in (*PROSE, "nullable"):
            kept[key] = plain(part, document)
    return {"anyOf": [kept, {"type": "null"}]} if schema.get("nullable") else kept


def excerpt(document: dict[str, Any]) -> dict[str, Any]:
    """Return the operations of the twin's routes, by call."""
    wanted = {nameless(f"{route.method} {route.path}") for route in ROUTES}
    found = {}
    for path, operations in document["paths"].items():
        for method, told in operations.items():
            call = nameless(f"{method.upper()} {path}")
            if method in METHODS and call in wanted:
                answers = {status: schema_of(answer, document) for status, answer in told["responses"].items()}
                found[call] = {"answers": answers, "body": schema_of(told.get("requestBody", {}), document)}
    return dict(sorted(found.items()))


if __name__ == "__main__":
    lines = [
        f"{json.dumps(call)}: {json.dumps(told)}"
        for call, told in excerpt(json.loads(Path(sys.argv[1]).read_text("utf-8"))).items()
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
