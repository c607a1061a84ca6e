"""The list of what the twin answers is that of its routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cloudflare.access.permissions import need_of
from twin.cloudflare.routes import ROUTES as CLOUDFLARE
from twin.coverage import coverage
from twin.supabase.routes import ROUTES as SUPABASE

if TYPE_CHECKING:
    from pathlib import Path


def test_the_list_is_fresh(root: Path) -> None:
    """COVERAGE.md is what `python -m twin coverage --write` would write now."""
    assert (root / "twin" / "COVERAGE.md").read_text("utf-8") == coverage()


def test_every_call_names_its_source_and_stands_once() -> None:
    """No call is there twice, and each says where its behaviour is known from."""
    for routes in (CLOUDFLARE, SUPABASE):
        calls = [(route.method, route.path) for route in routes]
        assert len(calls) == len(set(calls))
        assert all(route.source and route.checked and route.handler.__doc__ for route in routes)


def test_every_cloudflare_call_names_the_permission_it_needs() -> None:
    """A call that no line of the table fits is closed to all but the twin's own token: it needs a line."""
    table = "twin/cloudflare/access/permissions.py"
    assert {route.path: table for route in CLOUDFLARE if need_of(route.path) is None} == {}
