"""Hyperdrive: how Workers reach a database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.twin.official.wrangler import Wrangler


def story(operator: Wrangler, folder: Path) -> None:
    """Make a config, show it without its password, point it at another database, delete it."""
    assert folder.is_dir()
    origin = "--connection-string=postgres://app:hidden@127.0.0.1:5432/one"
    assert "hidden" not in operator.types("hyperdrive", "create", "bookings", origin)
    config = next(row["id"] for row in operator.sees("hyperdrive/configs") if row["name"] == "bookings")
    assert config in operator.types("hyperdrive", "list")
    shown = json.loads(operator.types("hyperdrive", "get", config))
    assert shown["origin"] == {
        "scheme": "postgres",
        "host": "127.0.0.1",
        "port": 5432,
        "database": "one",
        "user": "app",
    }
    moved = "--connection-string=postgres://app:hidden@127.0.0.1:5433/two"
    operator.types("hyperdrive", "update", config, moved, "--caching-disabled")
    now = operator.sees(f"hyperdrive/configs/{config}")
    assert (now["origin"]["port"], now["origin"]["database"], now["caching"]["disabled"]) == (5433, "two", True)
    operator.types("hyperdrive", "delete", config)
    assert operator.sees(f"hyperdrive/configs/{config}") is None
