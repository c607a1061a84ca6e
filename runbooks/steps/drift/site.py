"""The site: which content Pages serves, under which hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runbooks.model.account import Difference, Kind
from runbooks.steps.drift.difference import AGAIN, differs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.stack import Web
    from runbooks.clients.account import Account

SYSTEM: Final = "site"


def site_drift(account: Account, web: Web, *, content: str) -> Iterator[Difference]:
    """Yield what differs; `content` is the hash over the files that the repository holds now."""
    site, path = account.site(web.name), f"pages/projects/{web.name}"
    if site is None:
        yield Difference(SYSTEM, web.name, Kind.MISSING, "a project", "none", AGAIN, "", (path,))
        return
    live = site.canonical_deployment
    trail = (f"deployments/{live.id}/rollback", live.id, f"{path}/deployments") if live else (f"{path}/deployments",)
    yield from differs(
        SYSTEM,
        f"{web.name} content",
        content[:12],
        live.digest[:12] if live else None,
        trail=trail,
        mend="invoke deploy, where a preview sees it; else send it back by hand: the state does not know who serves",
        id_=live.id if live else "",
    )
    yield from differs(SYSTEM, f"{web.name} branch", web.branch, site.production_branch, trail=(path,))
    hosts = account.site_hosts(web.name)
    yield from differs(
        SYSTEM, web.host, "active", hosts.get(web.host), trail=(f"domains/{web.host}", f"{path}/domains")
    )
    for host in sorted(set(hosts) - {web.host}):
        found = f"a host of {web.name}"
        yield Difference(
            SYSTEM, host, Kind.FOREIGN, "no such host", found, "", "", (f"domains/{host}", f"{path}/domains")
        )
