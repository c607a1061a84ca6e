"""Write the configuration that workerd runs a Worker version from.

Source: workerd.capnp, the schema of workerd's configuration, read 2026-11-23.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twin.world import Runnable

_HERE = Path(__file__).parent
_LOOPBACK = {"127.0.0.1", "localhost", "::1", "[::1]"}
_KINDS = {
    "application/javascript+module": "esModule",
    "text/javascript+module": "esModule",
    "application/javascript": "commonJsModule",
    "text/javascript": "esModule",
    "text/plain": "text",
    "application/octet-stream": "data",
    "application/wasm": "wasm",
    "application/json": "json",
}
_OWN_DATE = "2026-04-01"
_log = logging.getLogger("twin.workerd")


@dataclass(frozen=True)
class Ways:
    """Where a Worker's traffic goes: the twin's own HTTP service, and Cloudflare's way to the twin's PostgreSQL.

    `database` is the host and port that this PostgreSQL has for everyone else: origins there take the `egress`.
    `durable` is the folder in which Durable Objects keep what they store.
    """

    twin: Path
    egress: Path
    database: tuple[str, int]
    durable: Path


@dataclass
class Written:
    """A configuration file, its sockets, and the environment that holds what must not be in it."""

    file: Path
    app: Path
    control: Path
    environment: dict[str, str] = field(default_factory=dict)


def write(runnable: Runnable, folder: Path, ways: Ways) -> Written:
    """Write a version's modules and configuration into `folder`, which nobody else may read."""
    written = Written(folder / "workerd.capnp", folder / "app", folder / "control")
    files = _files(runnable, folder)
    bindings, services = _bindings(runnable, ways, written.environment, files)
    if runnable.classes:
        ways.durable.mkdir(mode=0o700, exist_ok=True)
        services.append(f'(name = "durable", disk = (path = {_text(str(ways.durable))}, writable = true))')
    for name in ("control.js", "tail.js", "analytics.js", "ratelimit.js"):
        (folder / name).write_bytes((_HERE / name).read_bytes())
    labels = {"twin-script": runnable.script, "twin-version": runnable.version}
    text = _CONFIG.format(
        services=", ".join(services),
        twin=_external(ways.twin, labels),
        cache=_external(ways.twin, {"twin-cache": runnable.script}),
        app=_text(f"unix:{written.app}"),
        control=_text(f"unix:{written.control}"),
        modules=_modules(runnable, files),
        durable=_durable(runnable),
        bindings=", ".join(bindings),
        date=_text(runnable.compatibility_date or _OWN_DATE),
        flags=", ".join(map(_text, runnable.compatibility_flags)),
        own=_text(_OWN_DATE),
    )
    written.file.write_text(text, encoding="utf-8")
    return written


_CONFIG = """using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "app", worker = .app), (name = "control", worker = .control), (name = "tail", worker = .tail),
    (name = "twin", {twin}), (name = "cache", {cache}),
    (name = "internet", network = (allow = ["local"], deny = [])), {services} ],
  sockets = [
    (name = "app", address = {app}, service = "app",
      http = (forwardedProtoHeader = "x-forwarded-proto", cfBlobHeader = "twin-cf")),
    (name = "control", address = {control}, service = "control", http = ()) ],
  extensions = [ (modules = [
    (name = "twin:analytics", internal = true, esModule = embed "analytics.js"),
    (name = "twin:ratelimit", internal = true, esModule = embed "ratelimit.js") ]) ] );
const app :Workerd.Worker = (
  {modules},
  compatibilityDate = {date}, compatibilityFlags = [{flags}],
  bindings = [{bindings}],
  {durable}globalOutbound = "internet", cacheApiOutbound = "cache", tails = ["tail"] );
const control :Workerd.Worker = (
  modules = [(name = "control.js", esModule = embed "control.js")],
  compatibilityDate = {own}, compatibilityFlags = ["service_binding_extra_handlers"],
  bindings = [(name = "APP", service = "app")] );
const tail :Workerd.Worker = (
  modules = [(name = "tail.js", esModule = embed "tail.js")],
  compatibilityDate = {own}, bindings = [(name = "TWIN", service = "twin")] );
"""


def _files(runnable: Runnable, folder: Path) -> dict[str, str]:
    """Write the modules as numbered files, since their names may be anything, and return the files by those names."""
    files = {module.name: f"module{number}" for number, module in enumerate(runnable.modules)}
    for module in runnable.modules:
        (folder / files[module.name]).write_bytes(module.body)
    return files


def _modules(runnable: Runnable, files: dict[str, str]) -> str:
    """Return the modules, the main one first; a main one that is a script is a service worker and stands alone."""
    entries = []
    for module in sorted(runnable.modules, key=lambda module: module.name != runnable.main_module):
        kind = _KINDS.get(module.kind.partition(";")[0].strip())
        embed = f'embed "{files[module.name]}"'
        if kind == "commonJsModule" and module.name == runnable.main_module:
            return f"serviceWorkerScript = {embed}"
        if kind is None:
            _log.info("%s: module %s of type %s is left out", runnable.script, module.name, module.kind)
        else:
            entries.append(f"(name = {_text(module.name)}, {kind} = {embed})")
    return f"modules = [{', '.join(entries)}]"


def _durable(runnable: Runnable) -> str:
    """Return which classes are Durable Objects, and that they store on disk."""
    classes = ", ".join(
        f"(className = {_text(name)}, uniqueKey = {_text(key)}, enableSql = {'true' if sql else 'false'})"
        for name, key, sql in runnable.classes
    )
    return classes and f'durableObjectNamespaces = [{classes}], durableObjectStorage = (localDisk = "durable"), '


def _bindings(
    runnable: Runnable, ways: Ways, environment: dict[str, str], files: dict[str, str]
) -> tuple[list[str], list[str]]:
    """Return the bindings and the services that they lead to; secrets go into `environment`."""
    bindings: list[str] = []
    services: list[str] = []
    for number, given in enumerate(runnable.bindings):
        part = files.get(given.get("part", ""))
        value = _value(number, given, runnable, environment) if part is None else _part(given["type"], part)
        service = _service(given, ways, runnable)
        if service is not None:
            services.append(f'(name = "service{number}", {service})')
        if value is None:
            _log.info("%s: binding %s of type %s is left out", runnable.script, given["name"], given["type"])
            continue
        bindings.append(f"(name = {_text(given['name'])}, {value})")
    return bindings, services


def _part(kind: str, file: str) -> str | None:
    """Return what a service worker binds of the upload's own parts."""
    names = {"wasm_module": "wasmModule", "text_blob": "text", "data_blob": "data"}
    return f'{names[kind]} = embed "{file}"' if kind in names else None


def _value(number: int, given: dict[str, Any], runnable: Runnable, environment: dict[str, str]) -> str | None:
    """Return a binding's value in the schema's words, or None for a type that the twin has not."""
    service = _text(f"service{number}")
    value: str | None = None
    match given["type"]:
        case "plain_text":
            value = f"text = {_text(given['text'])}"
        case "secret_text":
            environment[f"TWIN_SECRET_{number}"] = given["text"]
            value = f'fromEnvironment = "TWIN_SECRET_{number}"'
        case "json":
            value = f"json = {_text(json.dumps(given['json']))}"
        case "version_metadata":
            about = {"id": runnable.version, "tag": runnable.tag, "timestamp": runnable.created_on}
            value = f"json = {_text(json.dumps(about))}"
        case "hyperdrive":
            origin = given["origin"]
            words = {key: origin[key] for key in ("database", "user", "password")} | {"scheme": "postgres"}
            described = ", ".join(f"{key} = {_text(str(held))}" for key, held in words.items())
            value = f"hyperdrive = (designator = {service}, {described})"
        case "kv_namespace":
            value = f"kvNamespace = {service}"
        case "r2_bucket":
            value = f"r2Bucket = {service}"
        case "service" | "assets":
            value = f"service = {service}"
        case _:
            value = _made(given)
    return value


def _made(given: dict[str, Any]) -> str | None:
    """Return the value of a binding that leads to code of this very process."""
    match given["type"]:
        case "analytics_engine":
            return 'wrapped = (moduleName = "twin:analytics")'
        case "ratelimit":
            told = {word: str(given["simple"][word]) for word in ("limit", "period")}
            inner = ", ".join(f"(name = {_text(word)}, json = {_text(value)})" for word, value in told.items())
            return f'wrapped = (moduleName = "twin:ratelimit", innerBindings = [{inner}])'
        case "durable_object_namespace":
            return f"durableObjectNamespace = (className = {_text(given['class_name'])})"
        case _:
            return None


def _service(given: dict[str, Any], ways: Ways, runnable: Runnable) -> str | None:
    match given["type"]:
        case "hyperdrive":
            host, port = str(given["origin"]["host"]), int(given["origin"].get("port") or 5432)
            ours = host in _LOOPBACK and port == ways.database[1]
            address = f"unix:{ways.egress}" if ours else f"{host}:{port}"
            return f"external = (address = {_text(address)}, tcp = ())"
        case "kv_namespace":
            return _external(ways.twin, {"twin-kv": given["namespace_id"]})
        case "assets":
            return _external(ways.twin, {"twin-assets": f"{runnable.script}/{runnable.version}"})
        case "r2_bucket":
            return _external(ways.twin, {"twin-r2": given["bucket_name"]})
        case "service":
            return _external(ways.twin, {"twin-service": given["service"]})
        case _:
            return None


def _external(socket: Path, headers: dict[str, str]) -> str:
    injected = ", ".join(f"(name = {_text(name)}, value = {_text(value)})" for name, value in headers.items())
    return f"external = (address = {_text(f'unix:{socket}')}, http = (injectRequestHeaders = [{injected}]))"


def _text(value: str) -> str:
    """Return a Cap'n Proto string literal."""
    plain = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(f"\\x{ord(c):02x}" if c < " " or c == "\x7f" else c for c in plain) + '"'
