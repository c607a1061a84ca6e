"""Turn what the stack file names into what is uploaded: the Worker's module, the site's files."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pulumi

from infra.dynamic import site_files

if TYPE_CHECKING:
    from pathlib import Path

BUILD_SECONDS: Final = 300


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
    """Return path → hash of every file of the site. Raises RunError for a site that Pages would refuse."""
    try:
        return site_files.read_site(folder, root=root)
    except ValueError as error:
        raise pulumi.RunError(str(error)) from None
