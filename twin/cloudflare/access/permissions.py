"""Say which permission each call needs: one table, first match, and the permission groups that tokens are made of.

A call that no line fits is closed to all but the twin's own token; a test asks for its line.
Sources, read 2026-11-28: "Accepted Permissions" in the classes of pulumi_cloudflare 6.23.1; "API token permissions" in
Cloudflare's documentation (names as the API gives them: Write, not Edit).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache

ACCOUNT = "com.cloudflare.api.account"
ZONE = "com.cloudflare.api.account.zone"
USER = "com.cloudflare.api.user"
READING = frozenset({"GET", "HEAD"})


@dataclass(frozen=True)
class Need:
    """What a call below `path` needs on its account, zone or user: one of `reads` to look, one of `writes` to change.

    Empty: any permission there is enough. `OPEN`: any good token.
    """

    path: str
    scope: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()

    def names(self, method: str) -> tuple[str, ...]:
        """Return the groups of which one is enough."""
        return self.reads if method in READING else self.writes


def both(path: str, scope: str, name: str, *, also_read: tuple[str, ...] = ()) -> Need:
    """Return the usual need: `<name> Read` or `<name> Write` to look, `<name> Write` to change."""
    return Need(path, scope, (f"{name} Read", f"{name} Write", *also_read), (f"{name} Write",))


OPEN = ""
RULES = {
    "http_request_firewall_custom": "Zone WAF",
    "http_request_firewall_managed": "Zone WAF",
    "http_ratelimit": "Zone WAF",
    "http_request_cache_settings": "Cache Settings",
    "http_request_dynamic_redirect": "Dynamic URL Redirects",
    "http_custom_errors": "Custom Errors",
    "http_response_headers_transform": "Zone Transform Rules",
}
"""Which permission the rules of a phase need; `twin.cloudflare.rules` asks for it when it knows the phase."""

_ANY_RULES = tuple(sorted(set(RULES.values())))
_TAIL = ("Workers Tail Read",)
NEEDS: tuple[Need, ...] = (
    Need(r"/(user|accounts/{account})/tokens/verify$", OPEN),
    Need(r"/accounts$", OPEN),
    Need(r"/zones$", OPEN),  # lists the zones that the token may read
    Need(r"/pages/assets/", OPEN),  # has a door of its own
    both(r"/user/tokens", USER, "API Tokens"),
    both(r"/user$", USER, "User Details"),
    both(r"/accounts/{account}/tokens", ACCOUNT, "Account API Tokens"),
    both(r"/accounts/{account}/(logs/audit|audit_logs)", ACCOUNT, "Account Settings"),
    both(r"/accounts/{account}/alerting", ACCOUNT, "Notifications", also_read=("Account Settings Read",)),
    Need(r"/accounts/{account}/logpush", ACCOUNT, ("Logs Write",), ("Logs Write",)),
    both(r"/accounts/{account}/hyperdrive", ACCOUNT, "Hyperdrive"),
    Need(
        r"/accounts/{account}/(workers/scripts|pages/projects)/{\w+}(/deployments/{\w+})?/tails", ACCOUNT, _TAIL, _TAIL
    ),
    both(r"/accounts/{account}/pages", ACCOUNT, "Pages"),
    both(r"/accounts/{account}/r2", ACCOUNT, "Workers R2 Storage"),
    both(r"/accounts/{account}/storage/kv", ACCOUNT, "Workers KV Storage"),
    both(r"/accounts/{account}/workers/observability", ACCOUNT, "Workers Observability"),
    both(r"/accounts/{account}/workers", ACCOUNT, "Workers Scripts", also_read=_TAIL),
    both(r"/accounts/{account}/access", ACCOUNT, "Access: Apps and Policies"),
    Need(r"/accounts/{account}$", ACCOUNT),
    Need(r"/graphql", OPEN),  # each account and zone in the query is looked at by itself
    both(r"/zones/{zone}/(dns_records|dnssec)", ZONE, "DNS"),
    both(r"/zones/{zone}/workers/routes", ZONE, "Workers Routes"),
    both(r"/zones/{zone}/settings", ZONE, "Zone Settings"),
    both(r"/zones/{zone}/pagerules", ZONE, "Page Rules"),
    both(r"/zones/{zone}/healthchecks", ZONE, "Health Checks"),
    Need(
        r"/zones/{zone}/rulesets",
        ZONE,
        tuple(f"{name} {how}" for name in _ANY_RULES for how in ("Read", "Write")),
        tuple(f"{name} Write" for name in _ANY_RULES),
    ),
    Need(r"/zones/{zone}/purge_cache", ZONE, ("Cache Purge",), ("Cache Purge",)),
    both(r"/zones/{zone}/logpush", ZONE, "Logs"),
    both(r"/zones/{zone}/load_balancers", ZONE, "Load Balancers"),
    both(r"/zones/{zone}/waiting_rooms", ZONE, "Waiting Rooms"),
    Need(r"/zones/{zone}$", ZONE),
)
_KNOWN_IDS = {  # as public programs that create tokens name them; all others are made from their name
    ("Account Settings Read", ACCOUNT): "c1fde68c7bcc44588cbb6ddbc16d6480",
    ("Cache Purge", ZONE): "e17beae8b8cb423a99b1730f21238bed",
    ("Pages Write", ACCOUNT): "8d28297797f24fb8a0c332fe0866ec89",
    ("User Details Read", USER): "8acbe5bb0d54464ab867149d7f7cf8ac",
    ("Workers KV Storage Write", ACCOUNT): "f7f0eda5697f475c90846e879bab8666",
    ("Workers R2 Storage Write", ACCOUNT): "bf7481a1826f439697cb59a20b22293e",
    ("Workers Routes Write", ZONE): "28f4b596e7d643029c524985477ae49a",
    ("Workers Scripts Read", ACCOUNT): "1a71c399035b4950a1bd1466bbe4f420",
    ("Workers Scripts Write", ACCOUNT): "e086da7e2179491d91ee5f35b3ca210a",
    ("Zone Read", ZONE): "c8fed203ed3043cba015a93ad1616f1f",
    ("Zone Settings Write", ZONE): "3030687196b94b638145a3953da2b699",
}


@dataclass(frozen=True)
class Group:
    """A permission group: what a token's policy names by id."""

    id: str
    name: str
    scope: str


def _groups() -> tuple[Group, ...]:
    named = {(name, need.scope) for need in NEEDS if need.scope for name in need.reads + need.writes}
    named |= {("Zone Read", ZONE), ("Zone Write", ZONE), ("Logs Read", ACCOUNT)}
    named |= {("Account Settings Read", ACCOUNT), ("Account Analytics Read", ACCOUNT), ("Analytics Read", ZONE)}
    return tuple(
        Group(_KNOWN_IDS.get(key) or hashlib.md5("/".join(key).encode(), usedforsecurity=False).hexdigest(), *key)
        for key in sorted(named)
    )


GROUPS: dict[str, Group] = {group.id: group for group in _groups()}
"""Every permission group by id: those that some call of the twin asks for, and a few that only narrow a list."""


@cache
def need_of(path: str) -> Need | None:
    """Return what the calls of a path (as in a route, below the base) need; None when no line fits."""
    return next((need for need in NEEDS if re.match(need.path, path)), None)
