"""Keep objects that are created, listed, read, replaced and deleted, and do nothing else: one room for their calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from twin.cloudflare.errors import Json, ok, page, read
from twin.cloudflare.store import changed, found, now, object_id, store_of
from twin.route import Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

RECORDED = "recorded provider requests"
Rows = dict[str, Json]


@dataclass(frozen=True)
class Collection:
    """The calls of one kind of object below `path`, which names the zone or the account that has them.

    `build` checks what was sent and fills in the defaults; `told` is what a creation or change answers, `shown` what
    a read answers. `next_id` gives a new object its id.
    """

    kind: str
    path: str
    key: str
    gone: tuple[int, str]
    build: Callable[[Json, Rows, str], Json]
    shown: Callable[[Json], Json] = dict
    told: Callable[[Json], Json] | None = None
    next_id: Callable[[Rows], str | int] = lambda _: object_id()
    source: str = RECORDED

    def rows(self, request: web.Request) -> Rows:
        """Return the objects of the zone or account of the path, by id."""
        store = store_of(request)
        zone = request.match_info.get("zone")
        rows: Rows = (store.data if zone is None else store.zone(zone)).setdefault(self.key, {})
        return rows

    def find(self, request: web.Request) -> Json:
        """Return the object of the path; 404 when there is none."""
        return found(self.rows(request), request.match_info["id"], *self.gone)

    async def post(self, request: web.Request) -> web.Response:
        """Create one."""
        rows, sent = self.rows(request), await read(request)
        made = self.build(sent, rows, "") | {"id": self.next_id(rows), "created_on": now(), "modified_on": now()}
        rows[str(made["id"])] = made
        changed(request, f"{self.kind} {made.get('name') or made['id']} created")
        return ok((self.told or self.shown)(made))

    async def listing(self, request: web.Request) -> web.Response:
        """List them, a page at a time."""
        part, info = page(request, list(self.rows(request).values()), per_page=25, most=100)
        return ok([self.shown(row) for row in part], info=info)

    async def get(self, request: web.Request) -> web.Response:
        """Show one."""
        return ok(self.shown(self.find(request)))

    async def put(self, request: web.Request) -> web.Response:
        """Replace one whole."""
        old, rows = self.find(request), self.rows(request)
        made = self.build(await read(request), rows, str(old["id"]))
        made |= {"id": old["id"], "created_on": old["created_on"], "modified_on": now()}
        rows[str(old["id"])] = made
        changed(request, f"{self.kind} {made.get('name') or made['id']} changed")
        return ok((self.told or self.shown)(made))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete one."""
        old = self.find(request)
        del self.rows(request)[str(old["id"])]
        changed(request, f"{self.kind} {old.get('name') or old['id']} deleted")
        return ok({"id": old["id"]})

    def routes(self) -> tuple[Route, ...]:
        """Return the five calls."""
        one = self.path + "/{id}"
        return (
            Route("POST", self.path, self.post, self.source),
            Route("GET", self.path, self.listing, "official SDK"),
            Route("GET", one, self.get, self.source),
            Route("PUT", one, self.put, self.source),
            Route("DELETE", one, self.delete, self.source),
        )
