"""Every form in which a Worker's code and files can be uploaded runs in the real runtime, or is refused by it."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.twin.running import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.twin.running import Running

pytestmark = pytest.mark.twin
ESM, SCRIPT = "application/javascript+module", "application/javascript"
WASM = bytes.fromhex("0061736d01000000010501600001 7f030201000707010361736b00000a06010400412a0b".replace(" ", ""))
"""A WebAssembly module that exports `ask`, which returns 42."""

MODULES = """
import wasm from "./answer.wasm";
import text from "./note.txt";
import data from "./data.bin";
import { twice } from "./lib/twice.js";
export default { async fetch() {
  const { exports } = await WebAssembly.instantiate(wasm);
  return Response.json({ wasm: twice(exports.ask()), text, data: [...new Uint8Array(data)] });
} };
"""
CACHED = """
addEventListener("fetch", (event) => event.respondWith(answer(event.request)));
async function answer(request) {
  const { search } = new URL(request.url), other = await caches.open("other");
  const key = new Request("https://shop.ems.example/" + search);
  if (request.method === "DELETE") return new Response(await caches.default.delete(key));
  const kept = await caches.default.match(key);
  const there = !!await other.match(key);
  if (kept) return Response.json([kept.status, kept.headers.get("x-kept"), await kept.text(), there]);
  const [name, value] = search === "?a=1" ? ["set-cookie", "a=1"] : ["cache-control", "max-age=60"];
  await caches.default.put(key, new Response("body", { headers: { "x-kept": name, [name]: value } })).catch(() => {});
  return new Response("new");
}
"""
SERVICE_WORKER = """
addEventListener("fetch", (event) => event.respondWith(answer()));
async function answer() {
  const { exports } = await WebAssembly.instantiate(ANSWER);
  return new Response(`${GREETING} ${TOKEN} ${exports.ask()}`);
}
"""
FILES = """
export default { async fetch(request, env) {
  const { pathname } = new URL(request.url);
  if (pathname === "/bound") return env.ASSETS.fetch("https://any/about");
  return new Response("code " + pathname);
} };
"""
STORES = """
const told = async (work) => { try { return await work(); } catch (error) { return error.message; } };
export default { async fetch(request, env) {
  const { KV, R2 } = env, out = {};
  await KV.put("one", "1", { metadata: { n: 1 }, expirationTtl: 60 });
  await KV.put("two", "2");
  out.many = Object.fromEntries(await KV.get(["one", "two", "none"]));
  out.soon = await told(() => KV.put("x", "y", { expirationTtl: 5 }));
  out.long = await told(() => KV.get("k".repeat(513)));
  const put = await R2.put("a/one.txt", "0123456789", { httpMetadata: { contentType: "text/plain" }, customMetadata: { n: "1" } });
  await R2.put("a/b/two.txt", "two"); await R2.put("three.txt", "three", { sha256: await digest("three") });
  const part = await (await R2.get("a/one.txt", { range: { offset: 2, length: 3 } })).text();
  const tail = await (await R2.get("a/one.txt", { range: { suffix: 2 } })).text();
  const met = await R2.get("a/one.txt", { onlyIf: { etagDoesNotMatch: put.etag } });
  out.r2 = { part, tail, body: met && "body" in met, size: put.size, type: (await R2.head("a/one.txt")).httpMetadata.contentType };
  out.refused = await R2.put("a/one.txt", "x", { onlyIf: { etagMatches: "other" } });
  const top = await R2.list({ delimiter: "/" }), paged = await R2.list({ limit: 2, include: ["customMetadata"] });
  out.list = [top.objects.map((o) => o.key), top.delimitedPrefixes, paged.truncated, paged.objects.map((o) => o.customMetadata)];
  out.rest = (await R2.list({ cursor: paged.cursor })).objects.map((o) => o.key);
  const upload = await R2.createMultipartUpload("big");
  const first = await upload.uploadPart(1, new Uint8Array(5 * 1024 * 1024)), second = await upload.uploadPart(2, "end");
  out.big = [(await upload.complete([first, second])).size, (await R2.head("big")).etag.endsWith("-2")];
  const gone = await R2.createMultipartUpload("gone"); await gone.abort();
  out.aborted = await told(() => gone.uploadPart(1, "x"));
  await R2.delete(["a/b/two.txt", "big"]); out.missing = await R2.get("big");
  return Response.json(out);
} };
const digest = (text) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
"""  # noqa: E501 - JavaScript


OBJECTS = """
import { DurableObject } from "cloudflare:workers";
export class Counter extends DurableObject {
  async next() {
    const count = ((await this.ctx.storage.get("count")) ?? 0) + 1;
    await this.ctx.storage.put("count", count);
    return count;
  }
}
export default { async fetch(request, env) {
  env.SEEN.writeDataPoint({ blobs: ["visit"] });
  const { success } = await env.LIMIT.limit({ key: new URL(request.url).pathname });
  if (!success) return new Response("", { status: 429 });
  return new Response(VERSION + await env.COUNTER.getByName("one").next());
} };
"""


class Api:
    """The script API of one twin, spoken in multipart as uploads are."""

    def __init__(self, twin: Running) -> None:
        self.twin = twin
        token = {"Authorization": f"Bearer {twin.line['tokens']['CLOUDFLARE_API_TOKEN']}"}
        self.http = httpx.Client(base_url=f"{twin.line['cloudflare']}/accounts/{twin.line['account']}/", headers=token)

    def upload(
        self, method: str, path: str, metadata: dict[str, Any], *parts: tuple[str, bytes, str]
    ) -> httpx.Response:
        """Send metadata and parts; a script answers on workers.dev from then on."""
        whole = {"compatibility_date": "2026-04-01", **metadata}
        files: list[tuple[str, Any]] = [("metadata", (None, json.dumps(whole)))]
        files += [(name, (name, body, kind)) for name, body, kind in parts]
        answer = self.http.request(method, path, files=files)
        if method == "PUT" and answer.is_success:
            self.http.post(f"{path.partition('/content')[0]}/subdomain", json={"enabled": True}).raise_for_status()
        return answer

    def visit(self, script: str, path: str = "/", *, method: str = "GET", **headers: str) -> httpx.Response:
        """Ask a script on workers.dev."""
        whole = {"host": f"{script}.twin.workers.dev", **headers}
        return httpx.request(method, self.twin.line["edge"] + path, headers=whole)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Start one twin for all uploads."""
    folder: Path = tmp_path_factory.mktemp("code")
    with running(folder / "state", "--zone", "ems.example") as twin:
        made = Api(twin)
        yield made
        made.http.close()


def test_modules_of_all_kinds_run(api: Api) -> None:
    """A main module imports another module, WebAssembly, text and data; its code can be read back whole."""
    parts = (
        ("index.js", MODULES.encode(), ESM),
        ("lib/twice.js", b"export const twice = (n) => 2 * n;", ESM),
        ("answer.wasm", WASM, "application/wasm"),
        ("note.txt", "ünïcode".encode(), "text/plain"),
        ("data.bin", bytes([0, 255]), "application/octet-stream"),
    )
    put = api.upload("PUT", "workers/scripts/modules", {"main_module": "index.js"}, *parts)
    assert put.is_success, put.text
    assert put.json()["result"]["has_modules"] is True
    assert put.json()["result"]["startup_time_ms"] >= 1
    assert api.visit("modules").json() == {"wasm": 84, "text": "ünïcode", "data": [0, 255]}
    content = api.http.get("workers/scripts/modules/content/v2")
    assert content.headers["cf-entrypoint"] == "index.js"
    assert all(body in content.content for _, body, _ in parts)
    changed = ("index.js", b"export default { fetch() { return new Response('only code') } }", ESM)
    replaced = api.upload("PUT", "workers/scripts/modules/content", {"main_module": "index.js"}, changed)
    assert replaced.is_success, replaced.text
    assert api.visit("modules").text == "only code"


def test_a_service_worker_runs(api: Api) -> None:
    """The older format: `body_part`, bindings as globals, a WebAssembly module bound by its part's name."""
    bindings = [
        {"type": "plain_text", "name": "GREETING", "text": "hello"},
        {"type": "secret_text", "name": "TOKEN", "text": "hidden"},
        {"type": "wasm_module", "name": "ANSWER", "part": "answer"},
    ]
    metadata = {"body_part": "script", "bindings": bindings}
    parts = (("script", SERVICE_WORKER.encode(), SCRIPT), ("answer", WASM, "application/wasm"))
    put = api.upload("PUT", "workers/scripts/old", metadata, *parts)
    assert put.is_success, put.text
    assert put.json()["result"]["has_modules"] is False
    assert api.visit("old").text == "hello hidden 42"
    content = api.http.get("workers/scripts/old/content/v2")
    assert (content.text, content.headers["content-type"].partition(";")[0]) == (SERVICE_WORKER, SCRIPT)


def test_a_script_alone_runs_and_has_a_cache(api: Api) -> None:
    """A body of JavaScript is a service worker; what it keeps in the cache API is there until it is deleted."""
    kind = {"content-type": SCRIPT}
    put = api.http.put("workers/scripts/cached", content=CACHED.encode(), headers=kind)
    assert put.is_success, put.text
    api.http.post("workers/scripts/cached/subdomain", json={"enabled": True}).raise_for_status()
    assert [api.visit("cached", "/?max-age=60").text for _ in range(2)] == ["new", '[200,"cache-control","body",false]']
    assert [api.visit("cached", "/?a=1").text for _ in range(2)] == ["new", "new"]
    assert api.visit("cached", "/?max-age=60", method="DELETE").text == "true"
    assert api.visit("cached", "/?max-age=60", method="DELETE").text == "false"
    nothing = api.http.put("workers/scripts/cached", files={"files": ("x.js", b"", ESM)})
    assert nothing.json()["errors"][0] == {"code": 10021, "message": "could not read content for part metadata"}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("export default {", "SyntaxError"),
        ("throw new Error('not today'); export default { fetch() {} }", "not today"),
        ("import './missing.js'; export default { fetch() {} }", "missing.js"),
    ],
)
@pytest.mark.parametrize("path", ["workers/scripts/broken", "workers/scripts/whole/versions"])
def test_what_does_not_start_is_refused(api: Api, source: str, said: str, path: str) -> None:
    """An upload that the runtime cannot start is a 10021 with the runtime's own words; nothing of it stays."""
    good = ("index.js", b"export default { fetch() { return new Response('good') } }", ESM)
    assert api.upload("PUT", "workers/scripts/whole", {"main_module": "index.js"}, good).is_success
    before = api.http.get("workers/scripts/whole/versions").json()["result"]["items"]
    method = "POST" if path.endswith("versions") else "PUT"
    answer = api.upload(method, path, {"main_module": "index.js"}, ("index.js", source.encode(), ESM))
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (400, 10021)
    assert said in error["message"]
    assert api.http.get("workers/scripts/broken/settings").status_code == 404
    assert api.http.get("workers/scripts/whole/versions").json()["result"]["items"] == before
    assert api.visit("whole").text == "good"


COUNTED = (
    {"type": "durable_object_namespace", "name": "COUNTER", "class_name": "Counter"},
    {"type": "analytics_engine", "name": "SEEN", "dataset": "visits"},
    {"type": "ratelimit", "name": "LIMIT", "namespace_id": "1", "simple": {"limit": 3, "period": 60}},
)


def counting(api: Api, method: str, path: str, version: str, **more: Any) -> httpx.Response:  # noqa: ANN401
    """Upload a version of a Worker that counts in a Durable Object."""
    code = OBJECTS.replace("VERSION", json.dumps(version)).encode()
    metadata = {"main_module": "index.js", "bindings": list(COUNTED), **more}
    return api.upload(method, path, metadata, ("index.js", code, ESM))


def test_durable_objects_outlast_releases_and_rollbacks(api: Api) -> None:
    """What an object stores is there for the next version and the one before; limits count, data points are taken."""
    script, made = "workers/scripts/counter", {"new_tag": "v1", "steps": [{"new_sqlite_classes": ["Counter"]}]}
    refused = counting(api, "PUT", script, "a")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, 10061)
    assert counting(api, "PUT", script, "a", migrations=made).is_success
    first = api.http.get(f"{script}/deployments").json()["result"]["deployments"][0]["versions"]
    assert (
        api.http.get("workers/services/counter").json()["result"]["default_environment"]["script"]["migration_tag"]
        == "v1"
    )
    assert api.visit("counter", "/1").text == "a1"
    assert counting(api, "PUT", script, "b").is_success
    assert api.visit("counter", "/2").text == "b2"
    back = {"strategy": "percentage", "versions": first}
    api.http.post(f"{script}/deployments", json=back).raise_for_status()
    assert [api.visit("counter", "/3").text for _ in range(4)] == ["a3", "a4", "a5", ""]
    for method, path, migrations, code in (
        ("PUT", script, made, 10079),
        ("PUT", script, {"old_tag": "v1", "new_tag": "v2", "steps": [{"new_classes": ["None"]}]}, 10070),
        ("POST", f"{script}/versions", {"old_tag": "v1", "new_tag": "v2", "steps": []}, 10211),
    ):
        answer = counting(api, method, path, "c", migrations=migrations)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, code)
    renamed = {"old_tag": "v1", "new_tag": "v2", "steps": [{"deleted_classes": ["Counter"]}]}
    plain = ("index.js", b"export default { fetch() { return new Response('none') } }", ESM)
    assert api.upload("PUT", script, {"main_module": "index.js", "migrations": renamed}, plain).is_success
    across = api.http.post(f"{script}/deployments", json=back)
    assert (across.status_code, across.json()["errors"][0]["code"]) == (400, 10079)
    assert api.visit("counter").text == "none"


def test_a_binding_that_workers_do_not_get_here_is_told(api: Api) -> None:
    """It is 501 with the file to extend, and nothing is uploaded."""
    metadata = {"main_module": "index.js", "bindings": [{"type": "queue", "name": "Q", "queue_name": "q"}]}
    answer = api.upload("PUT", "workers/scripts/queued", metadata, ("index.js", b"export default {}", ESM))
    assert answer.status_code == 501
    assert "no binding of type queue (Q): add it to twin/workerd/config.py" in answer.json()["errors"][0]["message"]
    assert api.http.get("workers/scripts/queued/settings").status_code == 404


def store(api: Api, script: str, files: dict[str, tuple[str, bytes]]) -> str:
    """Upload assets and return the token that a version takes them by."""
    named = {path: hashlib.sha256(kind.encode() + body).hexdigest()[:32] for path, (kind, body) in files.items()}
    manifest = {path: {"hash": named[path], "size": len(body)} for path, (_, body) in files.items()}
    session = api.http.post(f"workers/scripts/{script}/assets-upload-session", json={"manifest": manifest})
    token = str(session.json()["result"]["jwt"])
    for bucket in session.json()["result"]["buckets"]:
        parts = [
            (named[path], (named[path], b64encode(body), kind))
            for path, (kind, body) in files.items()
            if named[path] in bucket
        ]
        answer = api.http.post(
            "workers/assets/upload?base64=true", files=parts, headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 201, answer.text
        token = answer.json()["result"]["jwt"]
    return token


SITE = {
    "/index.html": ("text/html", b"home"),
    "/about.html": ("text/html", b"about"),
    "/docs/index.html": ("text/html", b"docs"),
    "/404.html": ("text/html", b"not here"),
    "/app.css": ("text/css", b"p {}"),
}


def test_files_are_served_before_the_code(api: Api) -> None:
    """A file answers by its tidy address; all else goes to the code, which sees the files through its binding."""
    config = {"_headers": "/app.css\n  X-Of: rule", "_redirects": "/old /about 301"}
    assets = {"jwt": store(api, "files", SITE), "config": config}
    metadata = {"main_module": "index.js", "assets": assets, "bindings": [{"type": "assets", "name": "ASSETS"}]}
    put = api.upload("PUT", "workers/scripts/files", metadata, ("index.js", FILES.encode(), ESM))
    assert put.is_success, put.text
    assert put.json()["result"]["has_assets"] is True
    assert [api.visit("files", path).text for path in ("/", "/about", "/docs/")] == ["home", "about", "docs"]
    moved = api.visit("files", "/about.html?q=1")
    assert (moved.status_code, moved.headers["location"]) == (307, "/about?q=1")
    assert api.visit("files", "/docs").headers["location"] == "/docs/"
    assert api.visit("files", "/old").headers["location"] == "/about"
    style = api.visit("files", "/app.css")
    assert (style.headers["content-type"], style.headers["x-of"]) == ("text/css; charset=utf-8", "rule")
    again = api.visit("files", "/app.css", **{"if-none-match": style.headers["etag"]})
    assert again.status_code == 304
    assert api.visit("files", "/none").text == "code /none"
    assert api.visit("files", "/bound").text == "about"
    session = api.http.post(
        "workers/scripts/files/assets-upload-session", json={"manifest": {"/x": {"hash": "0" * 32, "size": 1}}}
    ).json()["result"]
    assert session["buckets"] == [["0" * 32]]
    unfinished = {"main_module": "index.js", "assets": {"jwt": session["jwt"]}}
    refused = api.upload("POST", "workers/scripts/files/versions", unfinished, ("index.js", FILES.encode(), ESM))
    assert refused.status_code == 401
    kept = {"main_module": "index.js", "keep_assets": True}
    assert api.upload("PUT", "workers/scripts/files", kept, ("index.js", FILES.encode(), ESM)).is_success
    assert api.visit("files", "/about").text == "about"


def test_the_code_may_come_first(api: Api) -> None:
    """`run_worker_first` gives paths to the code although there is a file."""
    config = {"run_worker_first": ["/docs/*", "!/docs/index.html"]}
    metadata = {"main_module": "index.js", "assets": {"jwt": store(api, "first", SITE), "config": config}}
    assert api.upload("PUT", "workers/scripts/first", metadata, ("index.js", FILES.encode(), ESM)).is_success
    assert api.visit("first", "/docs/").text == "code /docs/"
    assert api.visit("first", "/docs/index.html").headers["location"] == "/docs/"
    assert api.visit("first", "/about").text == "about"


@pytest.mark.parametrize(
    ("config", "path", "expected"),
    [
        ({"not_found_handling": "404-page"}, "/none", (404, "not here")),
        ({"not_found_handling": "single-page-application"}, "/none", (200, "home")),
        ({}, "/none", (404, "")),
        ({"html_handling": "drop-trailing-slash"}, "/docs", (200, "docs")),
        ({"html_handling": "force-trailing-slash"}, "/about/", (200, "about")),
        ({"html_handling": "none"}, "/about.html", (200, "about")),
        ({"html_handling": "none"}, "/about", (404, "")),
    ],
)
def test_files_without_code(api: Api, config: dict[str, str], path: str, expected: tuple[int, str]) -> None:
    """A Worker may have nothing but files; its configuration says how addresses are read."""
    metadata = {"assets": {"jwt": store(api, "site", SITE), "config": config}}
    put = api.upload("PUT", "workers/scripts/site", metadata)
    assert put.is_success, put.text
    answer = api.visit("site", path)
    assert (answer.status_code, answer.text) == expected


def test_bindings_of_keys_and_objects(api: Api) -> None:
    """What a Worker can do with KV and R2, and what both refuse, in their own words; REST sees the same."""
    space = api.http.post("storage/kv/namespaces", json={"title": "stores"}).json()["result"]["id"]
    api.http.post("r2/buckets", json={"name": "stores"}).raise_for_status()
    bindings = [
        {"type": "kv_namespace", "name": "KV", "namespace_id": space},
        {"type": "r2_bucket", "name": "R2", "bucket_name": "stores"},
    ]
    metadata = {"main_module": "index.js", "bindings": bindings}
    put = api.upload("PUT", "workers/scripts/stores", metadata, ("index.js", STORES.encode(), ESM))
    assert put.is_success, put.text
    answer = api.visit("stores")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "many": {"one": "1", "two": "2", "none": None},
        "soon": "KV PUT failed: 400 Invalid expiration_ttl of 5. Expiration TTL must be at least 60.",
        "long": "KV GET failed: 414 UTF-8 encoded length of 513 exceeds key length limit of 512.",
        "r2": {"part": "234", "tail": "89", "body": False, "size": 10, "type": "text/plain"},
        "refused": None,
        "list": [["three.txt"], ["a/"], True, [{}, {"n": "1"}]],
        "rest": ["three.txt"],
        "big": [5 * 1024 * 1024 + 3, True],
        "aborted": "uploadPart: The specified multipart upload does not exist. (10024)",
        "missing": None,
    }
    objects = api.http.get("r2/buckets/stores/objects").json()["result"]
    assert [row["key"] for row in objects] == ["a/one.txt", "three.txt"]
    assert api.http.get(f"storage/kv/namespaces/{space}/metadata/one").json()["result"] == {"n": 1}
    api.http.put(f"storage/kv/namespaces/{space}/values/two", content=b"from outside").raise_for_status()
    assert api.visit("stores").json()["many"]["two"] == "2"
