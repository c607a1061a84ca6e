"""Show a request as the rules language sees it. Fields that an expression does not name cost nothing."""

from __future__ import annotations

import ipaddress
from functools import cached_property
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COLO: Final = "TWN"
COUNTRY: Final = "FR"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Value = str | int | bool | Address | None


class Visit:
    """One request: method, host, raw path with its query, headers, and the visitor's address."""

    def __init__(self, *, method: str, host: str, target: str, headers: Mapping[str, str], remote: str) -> None:
        self.method = method
        self.host = host
        self.target = target
        self.headers = headers
        self.remote = remote
        self.path, _, self.query = target.partition("?")

    @cached_property
    def address(self) -> Address:
        """Return the visitor's address."""
        return ipaddress.ip_address(self.remote)

    @property
    def extension(self) -> str:
        """Return the ending of the path's last part, lower case, without its dot."""
        name, dot, ending = self.path.rpartition("/")[2].rpartition(".")
        return ending.lower() if dot and name else ""

    @property
    def address_text(self) -> str:
        """Return the whole address; the twin's edge stands for one that is visited by HTTPS."""
        return f"https://{self.host}{self.target}"

    def header(self, name: str) -> str | None:
        """Return a header, None when it was not sent."""
        return self.headers.get(name)

    def cookie(self, name: str) -> str | None:
        """Return a cookie, None when it was not sent."""
        pairs = (part.strip().partition("=") for part in self.headers.get("cookie", "").split(";"))
        return next((value for key, _, value in pairs if key == name), None)

    def argument(self, name: str) -> str | None:
        """Return the first query argument of this name, None when it was not sent."""
        pairs = (part.partition("=") for part in self.query.split("&"))
        return next((unquote_plus(value) for key, _, value in pairs if unquote_plus(key) == name), None)


FIELDS: Final[dict[str, tuple[type, Callable[[Visit], Value]]]] = {
    "http.host": (str, lambda visit: visit.host),
    "http.request.method": (str, lambda visit: visit.method),
    "http.request.uri": (str, lambda visit: visit.target),
    "http.request.uri.path": (str, lambda visit: visit.path),
    "http.request.uri.path.extension": (str, lambda visit: visit.extension),
    "http.request.uri.query": (str, lambda visit: visit.query),
    "http.request.full_uri": (str, lambda visit: visit.address_text),
    "http.user_agent": (str, lambda visit: visit.headers.get("user-agent", "")),
    "http.referer": (str, lambda visit: visit.headers.get("referer", "")),
    "http.cookie": (str, lambda visit: visit.headers.get("cookie", "")),
    "http.x_forwarded_for": (str, lambda visit: visit.headers.get("x-forwarded-for", "")),
    "ip.src": (ipaddress.IPv4Address, lambda visit: visit.address),
    "ip.src.country": (str, lambda _: COUNTRY),
    "ip.geoip.country": (str, lambda _: COUNTRY),
    "cf.colo.name": (str, lambda _: COLO),
    "ssl": (bool, lambda _: True),
}
"""Fields that the twin knows, with their type. All others belong to rules that it keeps and does not act on."""

MAPS: Final[dict[str, Callable[[Visit, str], str | None]]] = {
    "http.request.headers": lambda visit, name: visit.header(name),
    "http.request.cookies": lambda visit, name: visit.cookie(name),
    "http.request.uri.args": lambda visit, name: visit.argument(name),
}
"""Fields that are asked by a name and an index: `http.request.headers["x-key"][0]`; the twin knows the first value."""
