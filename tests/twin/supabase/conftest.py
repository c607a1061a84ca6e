"""The Supabase plane, served in process, and a client of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.twin import serving
from twin import supabase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LAG = 0.05  # seconds that a status trails behind


@dataclass
class Plane:
    """A client of the plane and what its engines noted."""

    http: httpx.Client
    noted: serving.Noted
    project: str = f"/v1/projects/{serving.PROJECT}"

    def ask(self, method: str, path: str, **more: Any) -> Any:  # noqa: ANN401 - the provider's JSON
        """Send a call below the project, expect success, return the JSON or None."""
        answer = self.http.request(method, f"{self.project}{path}", **more)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def refused(self, method: str, path: str, **more: Any) -> tuple[int, str]:  # noqa: ANN401
        """Send a call below the project, expect a refusal, return status and text."""
        answer = self.http.request(method, f"{self.project}{path}", **more)
        return answer.status_code, answer.json()["message"]

    @property
    def status(self) -> str:
        """Return the project's status."""
        return str(self.ask("GET", "")["status"])

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds, at most five seconds."""
        deadline = time.monotonic() + 5
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.005)


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    """Give a fresh plane with one healthy project that has PITR."""
    noted = serving.Noted()
    token = serving.TOKENS["SUPABASE_ACCESS_TOKEN"]
    with (
        serving.served(lambda: supabase.app(serving.home(tmp_path), noted.engines(), lag=LAG)) as address,
        httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}) as http,
    ):
        yield Plane(http, noted)
