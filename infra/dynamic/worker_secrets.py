"""The Worker's secrets: only their names are declared, and every version inherits the values from the one before.

Cloudflare's `inherit` takes a binding from the newest uploaded version, and from no other (10057). So the first value
must be in a version before the first app version is uploaded: this uploads one, the maintenance version with the
secrets bound, never deployed, with values from the environment (EMS_SECRET_<NAME>). No value is in a request of the
Pulumi provider, in Pulumi's state or in a plan. Later values are set by `invoke deploy.secrets`.

After `pulumi refresh` the provider sees what an `inherit` has become, a `secret_text`, and the next `pulumi up` uploads
the same code once more (read in its source, v5.22; not tried against the live API).
"""

from __future__ import annotations

import base64
from typing import Any, Final

import pulumi
from pulumi import dynamic

from infra.dynamic.rest import Rest, connected
from infra.settings import ROOT, read_token, read_worker_secrets
from infra.shapes import SECRET_PREFIX

MODULE: Final = "index.js"
MODULE_TYPE: Final = "application/javascript+module"
MAINTENANCE: Final = "maintenance"
"""The message of the maintenance version: the runbooks find it by that."""
IDENTITY: Final = ("account", "script")
COMPARED: Final = ("names", "beside", "worker")


class SecretsProvider(dynamic.ResourceProvider):
    """See that the newest version of the Worker holds every secret."""

    serialize_as_secret_always = False  # the pickle is a reference, and a delete needs it in the state

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.CheckResult:
        """Refuse a name without a value, in a preview already."""
        with _opened(news) as rest:
            missing = _missing(news, _held(rest, news))
        return dynamic.CheckResult(news, [dynamic.CheckFailure(SECRET_PREFIX + name, WANTED) for name in missing])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Look again with every release: somebody may have uploaded a version without the secrets."""
        replaces = [key for key in IDENTITY if olds.get(key) != news.get(key)]
        changes = bool(replaces) or any(olds.get(key) != news.get(key) for key in COMPARED)
        return dynamic.DiffResult(changes=changes, replaces=replaces)

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Upload what is missing."""
        _settle(props)
        return dynamic.CreateResult(id_=props["script"], outs=props)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Upload what is missing."""
        _settle(news)
        return dynamic.UpdateResult(outs=news)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Leave versions in place: they go with their Worker."""


WANTED: Final = "expected its value in the environment, as the Worker has none yet; export it and deploy again"


class WorkerSecrets(dynamic.Resource, module="ems-ops", name="WorkerSecrets"):
    """The names of a Worker's secrets. What is uploaded after it can inherit every one of them."""

    def __init__(
        self,
        name: str,
        *,
        base_url: str,
        account: str,
        script: str,
        worker: pulumi.Input[str],
        names: tuple[str, ...],
        beside: str,
        maintenance: dict[str, Any],
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Declare `names` for the Worker called `script`, whose id is `worker`.

        `beside` changes with every release; `maintenance` is what the version that carries first values consists of.
        """
        props = {
            "base_url": base_url,
            "account": account,
            "script": script,
            "worker": worker,
            "names": sorted(names),
            "beside": beside,
            "maintenance": maintenance,
        }
        super().__init__(SecretsProvider(), name, props, opts)


def maintenance_module() -> str:
    """Return the maintenance version's only module, in base64."""
    return base64.b64encode((ROOT / "infra" / "maintenance.js").read_bytes()).decode()


def _opened(props: dict[str, Any]) -> Any:  # noqa: ANN401 - a context manager of the connection
    return connected(props["base_url"], read_token(), what="Worker secrets")


def _held(rest: Rest, props: dict[str, Any]) -> set[str]:
    """Return the names of the secrets in the newest version; none where there is no Worker yet."""
    versions = f"/accounts/{props['account']}/workers/scripts/{props['script']}/versions"
    listed = rest.call("GET", versions, absent={"items": []})["items"]
    if not listed:
        return set()
    newest = max(listed, key=lambda version: version["number"])
    bindings = rest.call("GET", f"{versions}/{newest['id']}")["resources"]["bindings"]
    return {binding["name"] for binding in bindings if binding["type"].startswith("secret_")}


def _missing(props: dict[str, Any], held: set[str]) -> list[str]:
    return [name for name in props["names"] if name not in held | read_worker_secrets(props["names"]).keys()]


def _settle(props: dict[str, Any]) -> None:
    """Upload a version that carries what the newest one lacks. Repeating it is safe: none of them gets traffic."""
    with _opened(props) as rest:
        held = _held(rest, props)
        if missing := _missing(props, held):
            message = "; ".join(f"{SECRET_PREFIX}{name}: {WANTED}" for name in missing)
            raise pulumi.RunError(message)
        fresh = {name: value for name, value in read_worker_secrets(props["names"]).items() if name not in held}
        if not fresh:
            return
        kept = [{"name": name, "type": "inherit"} for name in props["names"] if name in held]
        secret = [{"name": name, "type": "secret_text", "text": value} for name, value in fresh.items()]
        body = {
            "main_module": MODULE,
            "modules": [{"name": MODULE, "content_type": MODULE_TYPE, "content_base64": maintenance_module()}],
            "annotations": {"workers/message": MAINTENANCE},
            "compatibility_date": props["maintenance"]["compatibility_date"],
            "bindings": [*props["maintenance"]["bindings"], *kept, *secret],
        }
        rest.call("POST", f"/accounts/{props['account']}/workers/workers/{props['worker']}/versions", json=body)
