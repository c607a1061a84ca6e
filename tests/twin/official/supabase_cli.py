"""Supabase's own command line, unmodified: `python -m tests.twin.official.supabase_cli` fetches it once.

A profile leads it to the twin: the file of `--profile` names the address of the Management API.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from twin import packages
from twin.pins import Package
from twin.world import UnableError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.twin.running import Running

_VERSION = "2.117.0"
PROGRAMS = {
    "linux-x86_64": Package(
        "@supabase/cli-linux-x64",
        _VERSION,
        "qDJEURD/YajKD/OQ91O9XNHB/LHK9V8xZ9qGiUQCFhP9OAvMQjUT12j8k/mgTe4PqIxigGpfvm+eNxRcKnU9Rw==",
    ),
    "linux-aarch64": Package(
        "@supabase/cli-linux-arm64",
        _VERSION,
        "CcMHEB8znY9usMJ2dwAKQV06XIYHzLgnq1KY6HzVT9XmXo0qZxTifC/oWgHX39SmCFm7a3HR4K5J95ysYz+8Hg==",
    ),
    "darwin-x86_64": Package(
        "@supabase/cli-darwin-x64",
        _VERSION,
        "NMuY3n8Bfe+sPCdrUQQSFkOLFqlQYkg1C0SuqvJG4HVU8ukZ7IH2gy+HFGXNuVitFPapmHTPT8NjbZ+YrunZQw==",
    ),
    "darwin-arm64": Package(
        "@supabase/cli-darwin-arm64",
        _VERSION,
        "MQVIxL+B5/U9xiXcUtky0vJQ5Qe0qhGkK2JLGwi5BAo5XxcC+iP+KCsVB1/2zzYT+d+fOlZnKyTFFWYO6Ut1sw==",
    ),
}
PROFILE = """\
name: twin
api_url: {address}
dashboard_url: {address}
docs_url: {address}
project_host: supabase.example
pooler_host: supabase.example
"""
EVERY_PROJECT = ("projects", "list")


def install() -> Path:
    """Return the program, fetched when it is missing. UnableError says why it cannot be."""
    package = packages.for_platform(PROGRAMS)
    packages.fetch((package,))
    return packages.folder(package) / package.name / "bin" / "supabase"


@dataclass(frozen=True)
class Cli:
    """Somebody who types commands of the Supabase CLI at a twin with this project."""

    twin: Running
    home: Path
    program: Path
    project: str

    def types(self, *words: str) -> Any:  # noqa: ANN401 - JSON of many shapes
        """Run a command that must succeed; return its JSON, its text where it prints none."""
        done = self.run(*words)
        assert done.returncode == 0, f"supabase {' '.join(words)}\n{done.stdout}\n{done.stderr}"
        try:
            return json.loads(done.stdout)
        except ValueError:
            return done.stdout

    def run(self, *words: str, token: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command, however it ends."""
        profile = self.home / "twin.yaml"
        if not profile.exists():
            profile.write_text(PROFILE.format(address=self.twin.line["supabase"]), "utf-8")
        return subprocess.run(
            [
                self.program,
                *words,
                *("--profile", str(profile), "--output", "json", "--experimental", "--yes"),
                *(() if words[:2] == EVERY_PROJECT else ("--project-ref", self.project)),
            ],
            cwd=self.home,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "NO_COLOR": "1",
                "SUPABASE_TELEMETRY_DISABLED": "1",
                "SUPABASE_ACCESS_TOKEN": token or self.twin.line["tokens"]["SUPABASE_ACCESS_TOKEN"],
            },
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    def sees(self, path: str) -> Any:  # noqa: ANN401 - the provider's JSON
        """Return what the API itself answers to a GET below the project."""
        token = self.twin.line["tokens"]["SUPABASE_ACCESS_TOKEN"]
        url = f"{self.twin.line['supabase']}/v1/projects/{self.project}{path}"
        return httpx.get(url, headers={"Authorization": f"Bearer {token}"}).raise_for_status().json()

    def calls(self) -> list[dict[str, Any]]:
        """Return every call that the twin saw."""
        seen: list[dict[str, Any]] = httpx.get(f"{self.twin.line['supabase']}/__twin/calls").json()
        return seen


if __name__ == "__main__":
    try:
        install()
    except UnableError as error:
        sys.exit(str(error).partition(" With a network")[0])
