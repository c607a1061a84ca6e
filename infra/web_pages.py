"""Declare the web front end: a Pages project, its host name, and the files that it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_cloudflare as cloudflare

from infra.dynamic.pages_content import PagesContent
from infra.settings import ROOT
from infra.sources import read_site

if TYPE_CHECKING:
    from infra.stack import Stack, Web

PIN: Final = "web"
"""The pin that keeps the deployment live to which a rollback has gone back."""


class WebPages(pulumi.ComponentResource):
    """The Pages project with everything that belongs to it. `subdomain` is where its host name must point."""

    def __init__(self, name: str, *, stack: Stack, site: Web) -> None:
        """Declare it below `name`; every other name follows from that one."""
        super().__init__("ems-ops:infra:WebPages", name)
        self.project = cloudflare.PagesProject(
            name,
            account_id=stack.account,
            name=site.name,
            production_branch=site.branch,
            deployment_configs=_environments(site.variables),
            opts=pulumi.ResourceOptions(parent=self, protect=True),  # its deployments are what a rollback goes back to
        )
        pin = stack.pins.get(PIN)
        self.content = PagesContent(
            f"{name}-content",
            base_url=stack.base_url,
            account=stack.account,
            project=site.name,
            branch=site.branch,
            folder=site.folder,
            manifest=read_site(site.folder, root=ROOT),
            pin=pin.version if pin else None,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.project]),
        )
        cloudflare.PagesDomain(
            f"{name}-host",
            account_id=stack.account,
            project_name=self.project.name,
            name=site.host,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.subdomain: pulumi.Output[str] = self.project.subdomain
        self.register_outputs({})


def _environments(variables: dict[str, str]) -> cloudflare.PagesProjectDeploymentConfigsArgs:
    """Return both, always: with one alone the provider creates the project, fails, and forgets it (v5.22)."""
    preview = {
        name: cloudflare.PagesProjectDeploymentConfigsPreviewEnvVarsArgs(type="plain_text", value=value)
        for name, value in variables.items()
    }
    production = {
        name: cloudflare.PagesProjectDeploymentConfigsProductionEnvVarsArgs(type="plain_text", value=value)
        for name, value in variables.items()
    }
    return cloudflare.PagesProjectDeploymentConfigsArgs(
        preview=cloudflare.PagesProjectDeploymentConfigsPreviewArgs(fail_open=True, env_vars=preview or None),
        production=cloudflare.PagesProjectDeploymentConfigsProductionArgs(fail_open=True, env_vars=production or None),
    )
