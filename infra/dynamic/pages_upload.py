"""Deploy files to Pages by direct upload, as wrangler does.

Protocol: recorded from `wrangler pages deploy` 4.86 on 2026-11-23; cloudflare/workers-sdk, `pages/upload.ts`.
"""

from __future__ import annotations

import base64
import json
import mimetypes
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import pulumi

from infra.dynamic import site_files
from infra.dynamic.rest import Rest, attempts, connected

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUCKET_BYTES: Final = 40 * 1024 * 1024
BUCKET_FILES: Final = 2000
READY_SECONDS: Final = 120.0
HELD: Final = "-held"
"""How the branch ends of what is uploaded while another deployment is pinned."""
PAGE: Final = 25  # deployments a page, at most
SPECIAL: Final = ("/_headers", "/_redirects", "/_routes.json")
"""Files that say how to serve; they travel beside the manifest."""


@dataclass(frozen=True)
class Site:
    """What is deployed: `manifest` maps "/path" to the hash of that file in `folder`."""

    account: str
    project: str
    branch: str
    folder: Path
    manifest: dict[str, str]

    @property
    def digest(self) -> str:
        """Return the hash over all hashes, 40 hexadecimal digits like a commit's."""
        return site_files.digest(self.manifest)

    @property
    def message(self) -> str:
        """Return the commit message by which a deployment of exactly these files is found again."""
        return f"content {self.digest[:12]}"


@dataclass(frozen=True)
class Deployment:
    """A Pages deployment that is ready."""

    id: str
    url: str


def deploy(site: Site, *, base_url: str, token: str) -> Deployment:
    """Upload what Pages lacks and deploy it, unless exactly these files are live already.

    Raises pulumi.RunError with the provider's code and text.
    """
    project = f"/accounts/{site.account}/pages/projects/{site.project}"
    with connected(base_url, token, what="Pages content") as rest:
        live = rest.call("GET", project).get("canonical_deployment")
        if live and _made_of(live, site):
            return Deployment(live["id"], live["url"])
        _upload(rest, site, rest.call("GET", f"{project}/upload-token")["jwt"])
        return _await_ready(rest, project, _create(rest, project, site))


def hold(site: Site, pin: str, *, base_url: str, token: str) -> Deployment:
    """Leave the deployment `pin` live, or make it so again, and upload the files beside it as a preview.

    A production deployment is live at once, so the files wait on a branch of their own, where they can be looked at.
    Raises pulumi.RunError with the provider's code and text.
    """
    project = f"/accounts/{site.account}/pages/projects/{site.project}"
    with connected(base_url, token, what="Pages content") as rest:
        live = _make_live(rest, project, pin)
        waiting = replace(site, branch=site.branch + HELD)
        if _uploaded(rest, project, waiting) is None:
            _upload(rest, waiting, rest.call("GET", f"{project}/upload-token")["jwt"])
            _await_ready(rest, project, _create(rest, project, waiting))
        return Deployment(live["id"], live["url"])


def _make_live(rest: Rest, project: str, pin: str) -> dict[str, Any]:
    """Make a deployment the live one unless it is; after a lost answer, look before sending it again."""
    for attempt in attempts():
        with attempt:
            live = rest.send("GET", project).get("canonical_deployment") or {}
            if live.get("id") == pin:
                return dict(live)
            return dict(rest.send("POST", f"{project}/deployments/{pin}/rollback"))
    raise AssertionError  # pragma: no cover - the last attempt returns or raises


def _uploaded(rest: Rest, project: str, site: Site) -> dict[str, Any] | None:
    """Return a recent deployment of exactly these files, live or not, if there is one."""
    recent = rest.call("GET", f"{project}/deployments", params={"per_page": str(PAGE)})
    return next((deployment for deployment in recent if _made_of(deployment, site)), None)


def _upload(rest: Rest, site: Site, jwt: str) -> None:
    """Send the files that Pages does not have yet."""
    door = {"Authorization": f"Bearer {jwt}"}
    paths = {digest: path for path, digest in site.manifest.items() if path not in SPECIAL}
    hashes = {"hashes": sorted(paths)}
    missing = rest.call("POST", "/pages/assets/check-missing", json=hashes, headers=door)
    for bucket in _buckets(site.folder, {digest: paths[digest] for digest in missing}):
        rest.call("POST", "/pages/assets/upload", json=bucket, headers=door)
    rest.call("POST", "/pages/assets/upsert-hashes", json=hashes, headers=door)


def _buckets(folder: Path, paths: dict[str, str]) -> Iterator[list[dict[str, Any]]]:
    bucket: list[dict[str, Any]] = []
    size = 0
    for digest, path in paths.items():
        value = base64.b64encode((folder / path.lstrip("/")).read_bytes()).decode()
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        if bucket and (size + len(value) > BUCKET_BYTES or len(bucket) == BUCKET_FILES):
            yield bucket
            bucket, size = [], 0
        bucket.append({"key": digest, "value": value, "metadata": {"contentType": kind}, "base64": True})
        size += len(value)
    if bucket:
        yield bucket


def _create(rest: Rest, project: str, site: Site) -> dict[str, Any]:
    """Create the deployment once: after a lost answer, look whether it is there before sending it again."""
    manifest = {path: digest for path, digest in site.manifest.items() if path not in SPECIAL}
    parts: dict[str, Any] = {
        "manifest": (None, json.dumps(manifest)),
        "branch": (None, site.branch),
        "commit_message": (None, site.message),
        "commit_hash": (None, site.digest),
        "commit_dirty": (None, "false"),
    }
    for path in SPECIAL:
        if path in site.manifest:
            parts[path.lstrip("/")] = (path.lstrip("/"), (site.folder / path.lstrip("/")).read_bytes())
    for attempt in attempts():
        with attempt:
            if attempt.num > 1 and (made := _after_loss(rest, project, site)) is not None:
                return made
            return dict(rest.send("POST", f"{project}/deployments", files=parts))
    raise AssertionError  # pragma: no cover - the last attempt returns or raises


def _after_loss(rest: Rest, project: str, site: Site) -> dict[str, Any] | None:
    """Return the deployment whose answer was lost: in production the live one, else one of the newest."""
    if site.branch.endswith(HELD):
        return _uploaded(rest, project, site)
    live = rest.send("GET", project).get("canonical_deployment")
    return dict(live) if live and _made_of(live, site) else None


def _await_ready(rest: Rest, project: str, deployment: dict[str, Any]) -> Deployment:
    """Wait until Pages serves the deployment."""
    deadline, pause = time.monotonic() + READY_SECONDS, 0.1
    while (stage := deployment["latest_stage"])["name"] != "deploy" or stage["status"] != "success":
        what = f"Pages deployment {deployment['id']}: {stage['name']} is {stage['status']}"
        if stage["status"] in ("failure", "canceled"):
            raise pulumi.RunError(what)
        if time.monotonic() > deadline:
            message = f"{what}; expected success within {READY_SECONDS:.0f} s"
            raise pulumi.RunError(message)
        time.sleep(pause)
        pause = min(pause * 2, 5.0)
        deployment = rest.call("GET", f"{project}/deployments/{deployment['id']}")
    return Deployment(deployment["id"], deployment["url"])


def _made_of(deployment: dict[str, Any], site: Site) -> bool:
    metadata = (deployment.get("deployment_trigger") or {}).get("metadata") or {}
    return bool(metadata.get("commit_hash") == site.digest and deployment["latest_stage"]["status"] == "success")
