"""The files of the site and the hash by which what is live is told from them. Imports no pulumi: runbooks read it."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Final

from blake3 import blake3

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_FILE: Final = 25 * 1024 * 1024
"""Bytes; Pages' limit for one file (developers.cloudflare.com, pages/platform/limits)."""
MOST_FILES: Final = 20_000
"""Pages' limit for one deployment, same source."""
LEFT_OUT: Final = frozenset({".DS_Store", "node_modules", ".git", ".wrangler"})
"""What wrangler leaves out of a direct upload too."""
FUNCTIONS: Final = ("_worker.js", "functions")


def read_site(folder: str, *, root: Path) -> dict[str, str]:
    """Return path → hash of every file of the site, `{"/index.html": "17453d…"}`, sorted.

    Raises ValueError when there is nothing to upload, or something that Pages would refuse.
    """
    top = root / folder
    files = sorted(file for file in top.rglob("*") if file.is_file() and _is_served(file.relative_to(top)))
    if not files:
        message = f"ems-ops:web.folder: {folder}: expected the files of the site, got none"
        raise ValueError(message)
    if any((top / name).exists() for name in FUNCTIONS):
        message = f"ems-ops:web.folder: {folder}: expected files only; Pages Functions are not uploaded by this program"
        raise ValueError(message)
    large = [file for file in files if file.stat().st_size > LARGEST_FILE]
    if large or len(files) > MOST_FILES:
        got = f"{large[0].relative_to(root)} above" if large else f"{len(files)} files"
        message = f"ems-ops:web.folder: expected {MOST_FILES} files of 25 MiB at most, got {got}"
        raise ValueError(message)
    return {f"/{file.relative_to(top).as_posix()}": hash_file(file) for file in files}


def hash_file(file: Path) -> str:
    """Return the hash by which Pages knows a file.

    BLAKE3 over the base64 of the content and the extension, 32 hexadecimal digits (cloudflare/workers-sdk, hash.ts).
    """
    return blake3(base64.b64encode(file.read_bytes()) + file.suffix.removeprefix(".").encode()).hexdigest()[:32]


def _is_served(path: Path) -> bool:
    return not LEFT_OUT & set(path.parts)


def digest(manifest: dict[str, str]) -> str:
    """Return the hash over all hashes, 40 hexadecimal digits like a commit's."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:40]
