"""Say which code is at work, so that a journal can be read beside it years later."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Final

CODE: Final = Path(__file__).resolve().parents[2]
"""Where this code lies: a checkout whose commit names its version, or an installed package."""


def code_version(code: Path = CODE) -> str:
    """Return the installed package's version and, where `code` is a checkout, the first 12 of its commit."""
    try:
        version = importlib.metadata.version("ems-ops")
    except importlib.metadata.PackageNotFoundError:
        version = "not installed"
    commit = _commit(code / ".git")
    return f"{version}+{commit[:12]}" if commit else version


def _commit(git: Path) -> str:
    """Return the commit that HEAD names, from a branch's own file or from the packed ones; nothing without."""
    try:
        head = (git / "HEAD").read_text("utf-8").strip()
    except OSError:
        return ""
    if not head.startswith("ref: "):
        return head
    branch = head.removeprefix("ref: ")
    if (git / branch).is_file():
        return (git / branch).read_text("utf-8").strip()
    packed = git / "packed-refs"
    lines = packed.read_text("utf-8").splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {branch}")), "")
