"""Turn what the stack file names into what is uploaded: the Worker's module, the site's files."""

from __future__ import annotations

import base64
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pulumi
from blake3 import blake3

if TYPE_CHECKING:
    from pathlib import Path

BUILD_SECONDS: Final = 300
LARGEST_FILE: Final = 25 * 1024 * 1024
"""Bytes; Pages' limit for one file (developers.cloudflare.com, pages/platform/limits)."""
MOST_FILES: Final = 20_000
"""Pages' limit for one deployment, same source."""
LEFT_OUT: Final = frozenset({".DS_Store", "node_modules", ".git", ".wrangler"})
"""What wrangler leaves out of a direct upload too."""
FUNCTIONS: Final = ("_worker.js", "functions")


def build_module(arguments: tuple[str, ...], *, root: Path) -> bytes:
    """Run the build command in the repository's root and return the ES module that it prints.

    `python` as the first word means the interpreter that runs us. Raises RunError with what the build said.
    """
    command = [sys.executable if word == "python" and not place else word for place, word in enumerate(arguments)]
    shown = " ".join(arguments)
    try:
        built = subprocess.run(command, cwd=root, capture_output=True, timeout=BUILD_SECONDS, check=False)
    except FileNotFoundError:
        message = f"ems-ops:api.build: {shown}: there is no program {command[0]!r}"
        raise pulumi.RunError(message) from None
    except subprocess.TimeoutExpired:
        message = f"ems-ops:api.build: {shown}: expected a module within {BUILD_SECONDS} s, got none"
        raise pulumi.RunError(message) from None
    if built.returncode or not built.stdout.strip():
        said = built.stderr.decode("utf-8", "replace").strip()[-2000:] or "nothing on standard error"
        message = f"ems-ops:api.build: {shown}: expected an ES module and exit 0, got exit {built.returncode}: {said}"
        raise pulumi.RunError(message)
    return built.stdout


def read_site(folder: str, *, root: Path) -> dict[str, str]:
    """Return path → hash of every file of the site, `{"/index.html": "17453d…"}`, sorted.

    Raises RunError when there is nothing to upload, or something that Pages would refuse.
    """
    top = root / folder
    files = sorted(file for file in top.rglob("*") if file.is_file() and _is_served(file.relative_to(top)))
    if not files:
        message = f"ems-ops:web.folder: {folder}: expected the files of the site, got none"
        raise pulumi.RunError(message)
    if any((top / name).exists() for name in FUNCTIONS):
        message = f"ems-ops:web.folder: {folder}: expected files only; Pages Functions are not uploaded by this program"
        raise pulumi.RunError(message)
    large = [file for file in files if file.stat().st_size > LARGEST_FILE]
    if large or len(files) > MOST_FILES:
        got = f"{large[0].relative_to(root)} above" if large else f"{len(files)} files"
        message = f"ems-ops:web.folder: expected {MOST_FILES} files of 25 MiB at most, got {got}"
        raise pulumi.RunError(message)
    return {f"/{file.relative_to(top).as_posix()}": hash_file(file) for file in files}


def hash_file(file: Path) -> str:
    """Return the hash by which Pages knows a file.

    BLAKE3 over the base64 of the content and the extension, 32 hexadecimal digits (cloudflare/workers-sdk, hash.ts).
    """
    return blake3(base64.b64encode(file.read_bytes()) + file.suffix.removeprefix(".").encode()).hexdigest()[:32]


def _is_served(path: Path) -> bool:
    return not LEFT_OUT & set(path.parts)
