"""Cloudflare's own command line, unmodified: `python -m tests.twin.official.wrangler` fetches it once.

4.86.0 is the last that runs on Node 20. These are the packages of it that are ever loaded, pinned one by one; what
else it names as dependencies serves local development, which the twin replaces.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from twin import packages
from twin.pins import WORKERD, Package
from twin.world import UnableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.twin.running import Running

_ESBUILD = "0.27.3"  # the one that this wrangler brings
LOADED = (
    Package(
        "wrangler", "4.86.0", "9aa/gbF/HiUeeUEwyQpW5LDPBEzyt7iaE6xHwm0vk2Ly8A6J+jh03pzchqVnCCWR832mNyA28MD8oAYt0Kfvlw=="
    ),
    Package(
        "miniflare",
        "4.20260426.0",
        "KM+v76d04qT+NsPfVKVQEgnnuLNE3uzCCl2QKMTJ5OXor5JbBm1vpkQwQ+l7o5ELCrZ74RnyKhJKLiJyUA39Tw==",
    ),
    Package(
        "undici", "7.24.8", "6KQ/+QxK49Z/p3HO6E5ZCZWNnCasyZLa5ExaVYyvPxUwKtbCPMKELJOqh7EqOle0t9cH/7d2TaaTRRa6Nhs4YQ=="
    ),
    Package("ws", "8.18.0", "8VbfWfHLbbwu3+N6OKsOMpBdT4kXPDDB9cJk2bJ6mh9ucxdlnNvH1e+roYkKmN9Nxw2yjz7VzeO9oOz2zJ04Pw=="),
    Package(
        "workerd",
        "1.20260426.1",
        "ELvGgN8c9oo+E6EPyecxk1TEf6/eAK4TxxQTW5mQ87C7jbjCzhMbg0P2ije49UBHV0dkBYPJcJvcklUltipl2A==",
    ),
    Package(
        "blake3-wasm",
        "2.1.5",
        "F1+K8EbfOZE49dtoPtmxUQrpXaBIl3ICvasLh+nJta0xkz+9kF/7uet9fLnwKqhDrmj6g+6K3Tw9yQPUg2ka5g==",
    ),
    Package(
        "esbuild", _ESBUILD, "8VwMnyGCONIs6cWue2IdpHxHnAjzxnw2Zr7MkVxB2vjmQ2ivqGFb4LEG3SMnv0Gb2F/G/2yA8zUaiL1gywDCCg=="
    ),
)
BUNDLERS = {
    "linux-x86_64": Package(
        "@esbuild/linux-x64",
        _ESBUILD,
        "Czi8yzXUWIQYAtL/2y6vogER8pvcsOsk5cpwL4Gk5nJqH5UZiVByIY8Eorm5R13gq+DQKYg0+JyQoytLQas4dA==",
    ),
    "linux-aarch64": Package(
        "@esbuild/linux-arm64",
        _ESBUILD,
        "sZOuFz/xWnZ4KH3YfFrKCf1WyPZHakVzTiqji3WDc0BCl2kBwiJLCXpzLzUBLgmp4veFZdvN5ChW4Eq/8Fc2Fg==",
    ),
    "darwin-x86_64": Package(
        "@esbuild/darwin-x64",
        _ESBUILD,
        "vHk/hA7/1AckjGzRqi6wbo+jaShzRowYip6rt6q7VYEDX4LEy1pZfDpdxCBnGtl+A5zq8iXDcyuxwtv3hNtHFg==",
    ),
    "darwin-arm64": Package(
        "@esbuild/darwin-arm64",
        _ESBUILD,
        "Re491k7ByTVRy0t3EKWajdLIr0gz2kKKfzafkth4Q8A5n1xTHrkqZgLLjFEHVD+AXdUGgQMq+Godfq45mGpCKg==",
    ),
}
"""The program that `wrangler deploy` bundles with: it must be of the very version of the package beside it."""


def install() -> tuple[Path, Path, str]:
    """Return Node, wrangler's program and where modules are found; all fetched when missing. UnableError says why."""
    wanted = (*LOADED, packages.for_platform(BUNDLERS), packages.for_platform(WORKERD))
    packages.fetch(wanted)
    found = os.pathsep.join(str(packages.folder(package)) for package in wanted)
    return packages.node(), packages.folder(LOADED[0]) / "wrangler" / "wrangler-dist" / "cli.js", found


@dataclass(frozen=True)
class Wrangler:
    """Somebody who types wrangler commands at a twin, and looks at the twin itself for what they did."""

    twin: Running
    home: Path
    program: tuple[Path, Path]
    modules: str

    def types(self, *words: str, folder: Path | None = None, given: str = "") -> str:
        """Run a command that must succeed and return what it printed; `given` goes to its standard input."""
        done = self.run(*words, folder=folder, given=given)
        assert done.returncode == 0, f"wrangler {' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def run(self, *words: str, folder: Path | None = None, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command, however it ends."""
        return subprocess.run(
            self._words(*words),
            cwd=folder or self.home,
            env=self._environment(),
            input=given,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    @contextmanager
    def watches(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Run a command that goes on until it is interrupted at the end of the block."""
        with subprocess.Popen(
            self._words(*words), cwd=self.home, env=self._environment(), stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            finally:
                process.send_signal(signal.SIGINT)

    def _words(self, *words: str) -> list[str | Path]:
        return [self.program[0], "--no-warnings", self.program[1], *words]

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "NODE_PATH": self.modules,
            "CI": "1",
            "NO_COLOR": "1",
            "WRANGLER_SEND_METRICS": "false",
            "WRANGLER_HIDE_BANNER": "true",
            "CLOUDFLARE_API_BASE_URL": self.twin.line["cloudflare"],
            "CLOUDFLARE_API_TOKEN": self.twin.line["tokens"]["CLOUDFLARE_API_TOKEN"],
            "CLOUDFLARE_ACCOUNT_ID": self.twin.line["account"],
        }

    def sees(self, path: str) -> Any:  # noqa: ANN401 - the provider's JSON
        """Return the result of a GET below the account, None when there is nothing."""
        answer = self.asks(path)
        return None if answer.status_code == httpx.codes.NOT_FOUND else answer.json()["result"]

    def asks(self, path: str) -> httpx.Response:
        """Send a GET below the account."""
        token = self.twin.line["tokens"]["CLOUDFLARE_API_TOKEN"]
        url = f"{self.twin.line['cloudflare']}/accounts/{self.twin.line['account']}/{path}"
        return httpx.get(url, headers={"Authorization": f"Bearer {token}"})

    def visits(self, host: str, path: str = "/", **headers: str) -> httpx.Response:
        """Ask the edge for a page of a host."""
        return httpx.get(self.twin.line["edge"] + path, headers={"host": host, **headers})

    def lacking(self) -> list[str]:
        """Return the calls that the twin did not know."""
        calls = httpx.get(self.twin.line["cloudflare"].replace("/client/v4", "/__twin/calls")).json()
        return [f"{call['method']} {call['path']}" for call in calls if call["status"] == httpx.codes.NOT_IMPLEMENTED]


if __name__ == "__main__":
    try:
        install()
    except UnableError as error:
        sys.exit(str(error).partition(" With a network")[0])
