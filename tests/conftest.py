"""What every test starts from: no provider's token, database or configuration of the machine it runs on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOREIGN = ("CLOUDFLARE_", "SUPABASE_", "PG", "PULUMI_", "EMS_")
"""Variables that would let a test reach something real. The twin's cache (EMS_OPS_CACHE) stays: it is ours."""


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clear every variable that names or opens a real system."""
    for name in tuple(os.environ):
        if name.startswith(FOREIGN) and name != "EMS_OPS_CACHE":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def root() -> Path:
    """Give the repository's root."""
    return Path(__file__).resolve().parent.parent
