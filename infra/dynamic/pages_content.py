"""The content of a Pages site as a resource of its own, so that `pulumi up` alone deploys the files.

A dynamic resource: Pulumi keeps its provider as a pickle that only names this module, so the project must be installed
(`pip install -e .`) where the program runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
from pulumi import dynamic

from infra.dynamic import pages_upload
from infra.settings import ROOT, read_token

COMPARED = ("manifest", "branch", "pin")
IDENTITY = ("account", "project")


class ContentProvider(dynamic.ResourceProvider):
    """Deploy files by direct upload whenever their hashes change; under a pin they are uploaded and not made live."""

    serialize_as_secret_always = False  # the pickle is a reference, and a delete needs it in the state

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Compare manifests: the same hashes make no deployment."""
        replaces = [key for key in IDENTITY if olds.get(key) != news.get(key)]
        changes = bool(replaces) or any(olds.get(key) != news.get(key) for key in COMPARED)
        return dynamic.DiffResult(changes=changes, replaces=replaces)

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Deploy the files; find the deployment instead when it is live already."""
        return dynamic.CreateResult(id_=props["project"], outs=_deployed(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Deploy the files that have changed."""
        return dynamic.UpdateResult(outs=_deployed(news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Leave deployments in place: they go with their project, and Pages never removes the live one."""


class PagesContent(dynamic.Resource, module="ems-ops", name="PagesContent"):
    """The files of a site. `deployment` is the id of the Pages deployment that serves them."""

    deployment: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        base_url: str,
        account: str,
        project: str,
        branch: str,
        folder: str,
        manifest: dict[str, str],
        pin: str | None,
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Declare the files of `folder` (from the repository's root) with the hashes in `manifest`.

        `pin` is the deployment that a rollback has made live: it stays so.
        """
        props = {
            "base_url": base_url,
            "account": account,
            "project": project,
            "branch": branch,
            "folder": folder,
            "manifest": manifest,
            "pin": pin,
            "deployment": None,
            "url": None,
        }
        super().__init__(ContentProvider(), name, props, opts)


def _deployed(props: dict[str, Any]) -> dict[str, Any]:
    site = pages_upload.Site(
        account=props["account"],
        project=props["project"],
        branch=props["branch"],
        folder=Path(ROOT, props["folder"]),
        manifest=props["manifest"],
    )
    base_url, token, pin = props["base_url"], read_token(), props.get("pin")
    if pin:
        deployment = pages_upload.hold(site, pin, base_url=base_url, token=token)
    else:
        deployment = pages_upload.deploy(site, base_url=base_url, token=token)
    return {**props, "deployment": deployment.id, "url": deployment.url}
