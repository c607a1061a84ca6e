"""R2: buckets and objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.twin.official.wrangler import Wrangler


def story(operator: Wrangler, folder: Path) -> None:
    """Make a bucket, put an object, get it back, delete both; a bucket that is not empty stays."""
    operator.types("r2", "bucket", "create", "dumps", "--location", "weur")
    assert operator.sees("r2/buckets/dumps")["location"] == "WEUR"
    assert "dumps" in operator.types("r2", "bucket", "list")
    (folder / "dump.bin").write_bytes(bytes(range(256)) * 8)
    where = ("dumps/daily/2026 11.bin", "--remote")
    kind = ("--content-type", "application/x-dump")
    operator.types("r2", "object", "put", *where, "--file", str(folder / "dump.bin"), *kind)
    kept = operator.asks("r2/buckets/dumps/objects/daily/2026%2011.bin")
    assert (kept.content, kept.headers["content-type"]) == (bytes(range(256)) * 8, "application/x-dump")
    operator.types("r2", "object", "get", *where, "--file", str(folder / "back.bin"))
    assert (folder / "back.bin").read_bytes() == (folder / "dump.bin").read_bytes()
    refused = operator.run("r2", "bucket", "delete", "dumps")
    assert (refused.returncode, "[code: 10008]" in refused.stderr) == (1, True)
    operator.types("r2", "object", "delete", *where)
    assert "dumps" in operator.types("r2", "bucket", "info", "dumps")
    assert operator.sees("r2/buckets/dumps/objects") == []
    operator.types("r2", "bucket", "delete", "dumps")
    assert operator.sees("r2/buckets/dumps") is None
