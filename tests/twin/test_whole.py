"""The whole twin over the wire: a Worker uploaded by the API, its database, cron, KV and console, kill and recovery."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from tests.twin.running import eventually, running
from twin import packages

if TYPE_CHECKING:
    from pathlib import Path

    from tests.twin.running import Running

pytestmark = pytest.mark.twin

HOST, CRON = "api.ems.example", "*/30 * * * *"
WORKER = """
import postgres from "postgres";
const query = async (env, text) => {
  const sql = postgres(env.DB.connectionString, { max: 1, fetch_types: false });
  try { return await sql.unsafe(text); } finally { await sql.end({ timeout: 1 }); }
};
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/kv") {
      await env.KV.put("a key", "value", { metadata: { n: 1 } });
      const { value, metadata } = await env.KV.getWithMetadata("a key");
      return Response.json({ value, metadata, missing: await env.KV.get("none"), keys: (await env.KV.list()).keys });
    }
    if (pathname === "/self") return env.SELF.fetch("https://inside/kv");
    console.warn("asked", pathname);
    try { return Response.json(await query(env, "select count(*)::int as beats from beats")); }
    catch (error) { return new Response(error.message, { status: 503 }); }
  },
  async scheduled(event, env) { await query(env, "insert into beats values (now())"); },
};
"""


def test_a_worker_lives_on_the_twin(tmp_path: Path) -> None:
    """Uploaded, bound to database, KV and itself, beating by cron, logged; refused by restrictions, then let in."""
    (tmp_path / "index.js").write_text(WORKER, "utf-8")
    given = ("--zone", "ems.example", "--project", "p" * 20)
    with running(tmp_path / "state", *given) as twin:
        with psycopg.connect(twin.line["database_url"], autocommit=True) as session:
            session.execute("create table beats (at timestamptz)")
            deploy(twin, packages.bundle(tmp_path / "index.js"))
            edge = httpx.Client(base_url=twin.line["edge"], headers={"host": HOST})
            assert eventually(lambda: edge.get("/beats").json() == [{"beats": 1}], within=5)
            assert edge.get("/kv").json() == {
                "value": "value",
                "metadata": {"n": 1},
                "missing": None,
                "keys": [{"name": "a key", "metadata": {"n": 1}}],
            }
            assert edge.get("/self").json()["value"] == "value"
            fired = control(twin, "POST", "cron", {"script": "api", "cron": CRON})
            assert fired == {"fired": CRON, "outcome": "ok"}
            assert edge.get("/beats").json() == [{"beats": 2}]
            console = tmp_path / "state" / "logs" / "worker.ndjson"
            assert eventually(lambda: '["asked", "/beats"]' in console.read_text("utf-8"), within=5)
            restrict(twin, "127.0.0.1/32")
            refused = "Address not in tenant allow_list: {203, 0, 113, 10}"
            assert eventually(lambda: refused in edge.get("/beats").text, within=10)
            assert session.execute("select count(*) from beats").fetchone() == (2,)
            restrict(twin, "0.0.0.0/0")
            assert eventually(lambda: edge.get("/beats").status_code == 200, within=10)
        state = control(twin, "GET", "state")
        assert state["database"]["state"] == "running"
        assert [one["script"] for one in state["running"]] == ["api"]
        control(twin, "POST", "break", {"what": "postgres-stop"})
        assert edge.get("/beats").status_code == 503
        control(twin, "POST", "reset")
        assert edge.get("/beats").json() == [{"beats": 2}]
        edge.close()
    with running(tmp_path / "state", *given) as again:
        answer = httpx.get(again.line["edge"] + "/kv", headers={"host": HOST})
        assert answer.json()["value"] == "value"


def deploy(twin: Running, code: str) -> None:
    """Upload the code with its bindings, give it a host and a schedule."""
    account, origin = twin.line["account"], urlsplit(twin.line["database_url"])
    token = {"authorization": f"Bearer {twin.line['tokens']['CLOUDFLARE_API_TOKEN']}"}
    with httpx.Client(base_url=twin.line["cloudflare"], headers=token) as api:

        def make(method: str, path: str, **body: Any) -> Any:  # noqa: ANN401 - the API's own shapes
            answer = api.request(method, path, **body)
            assert answer.is_success, answer.text
            return answer.json()["result"]

        named = {"host": origin.hostname, "port": origin.port, "user": origin.username, "password": origin.password}
        config = {"name": "db", "origin": {"scheme": "postgres", "database": "postgres", **named}}
        database = make("POST", f"/accounts/{account}/hyperdrive/configs", json=config)
        namespace = make("POST", f"/accounts/{account}/storage/kv/namespaces", json={"title": "kv"})
        metadata = {
            "main_module": "index.js",
            "compatibility_date": "2026-04-01",
            "compatibility_flags": ["nodejs_compat"],
            "bindings": [
                {"type": "hyperdrive", "name": "DB", "id": database["id"]},
                {"type": "kv_namespace", "name": "KV", "namespace_id": namespace["id"]},
                {"type": "service", "name": "SELF", "service": "api"},
            ],
        }
        files = {
            "metadata": (None, json.dumps(metadata), "application/json"),
            "index.js": ("index.js", code, "application/javascript+module"),
        }
        make("PUT", f"/accounts/{account}/workers/scripts/api", files=files)
        zone = make("GET", "/zones")[0]["id"]
        domain = {"environment": "production", "hostname": HOST, "service": "api", "zone_id": zone}
        make("PUT", f"/accounts/{account}/workers/domains", json=domain)
        make("PUT", f"/accounts/{account}/workers/scripts/api/schedules", json=[{"cron": CRON}])


def restrict(twin: Running, *cidrs: str) -> None:
    """Apply network restrictions by Supabase's API."""
    token = {"authorization": f"Bearer {twin.line['tokens']['SUPABASE_ACCESS_TOKEN']}"}
    path = f"{twin.line['supabase']}/v1/projects/{'p' * 20}/network-restrictions/apply"
    answer = httpx.post(path, headers=token, json={"dbAllowedCidrs": cidrs, "dbAllowedCidrsV6": []})
    assert answer.is_success, answer.text


def control(twin: Running, method: str, name: str, body: dict[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
    """Call the twin's own API."""
    answer = httpx.request(method, f"{twin.line['supabase']}/__twin/{name}", json=body)
    assert answer.is_success, answer.text
    return answer.json()
