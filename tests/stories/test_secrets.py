"""Twelve secrets are planted where they could come out: in what is typed, and in what a provider answers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.signal_sweep import begun
from benchmarks.sweeping.commands import SUBJECTS
from runbooks.clients import twin
from runbooks.clients.twin import Do, Fault
from runbooks.commands.frame import ROOT
from tests.runbooks.engine.test_redaction import forms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.sweeping.place import Place

VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
CANARY = "nobody-hides-this-word"
"""Planted beside every secret: where it is found, a secret would have been."""
BATCHES = (
    ("plain-secret-0001", 'quo"ted-secret-0002', "sla/sh\\ed-secret-0003"),
    ("line one 0004\nline two 0004", "hundred%25percent-0005", "schlüssel-wört-0006"),
    ("it's <secret> & more 0007", "ampers&and=equals+0008", "https://someone:s3cret@db.example.com/0009"),
    ("日本語の秘密の言葉-0010", "tab\tand $(command) 0011", "A" * 64 + "0012"),
)
FAULTS = {
    "an answer that repeats it": Do(status=403, code=10000),
    "a server that breaks down": Do(status=500, applied=True),
    "a provider that is busy": Do(status=429, retry_after=1),
    "nothing": None,
}
BOOKS = {
    "rollback": ("cloudflare", "POST", "/deployments$"),
    "deploy": ("cloudflare", "POST", "/versions$"),
    "restore": ("supabase", "POST", "/restore-pitr$"),
}


def plants(secrets: tuple[str, ...]) -> str:
    """Return a text with the canary and the secrets in every form that can stand in one argument."""
    said = [form for secret in secrets for form in forms(secret)]
    return " ".join([CANARY, *said])


def leak(secrets: tuple[str, ...]) -> re.Pattern[bytes]:
    """Return what finds any form of the secrets."""
    bare = [form for secret in secrets for form in forms(secret) if not form.startswith(("Bearer", "{", '"', "'"))]
    return re.compile(b"|".join(re.escape(form.encode()) for form in sorted({*secrets, *bare}, key=len, reverse=True)))


def files(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder but the database's own, which holds what the application wrote."""
    for path, folders, names in os.walk(folder):
        if "PG_VERSION" in names:
            folders.clear()
            continue
        yield from (Path(path) / name for name in names if (Path(path) / name).is_file())


def typed(words: list[str], secrets: tuple[str, ...]) -> tuple[int, bytes]:
    """Type a command with the secrets in its environment; return its exit code and all that it showed."""
    done = subprocess.run(
        [sys.executable, "-m", "invoke", *words],
        cwd=ROOT,
        env={**os.environ, **dict(zip(VARIABLES, secrets, strict=True))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout


@pytest.mark.twin
@pytest.mark.parametrize("what", BOOKS)
def test_no_secret_comes_out(place: Place, what: str) -> None:
    """Over every book and failure: 0 found in what is shown, the journal, reports, state; the canary always is."""
    provider, method, path = BOOKS[what]
    for secrets, fault in zip(BATCHES, FAULTS, strict=True):
        point, _ = begun(place, SUBJECTS[what])
        control, do = twin.control(place.stage.addresses.cloudflare), FAULTS[fault]
        stack, reason = f"--stack={point.stack_file}", f"--reason={plants(secrets)}"
        line = [word.format(ago=place.ago) for word in SUBJECTS[what].words]
        try:
            if do is not None:
                told = Do(**{**{n: getattr(do, n) for n in do.__struct_fields__}, "message": plants(secrets)})
                control.fault(Fault(provider=provider, method=method, path=path, do=told, times=2))
            _, shown = typed([*line, stack, "--yes", reason], secrets)
            struck = control.struck()
        finally:
            control.clear_faults()
            control.transport.close()
        assert any(one.struck for one in struck) or do is None, (what, fault, shown)
        seen = {"terminal": shown}
        for more in (
            ["runs"],
            ["runs.show"],
            ["runs.show", "--json"],
            ["postmortem"],
            ["runs.resume", "--yes", reason],
        ):
            seen[" ".join(more[:2])] = typed([*more, stack], secrets)[1]
        folders = (place.folder, place.stage.site.settings.twin_state)
        seen |= {str(file): file.read_bytes() for folder in folders for file in files(folder)}
        pattern = leak(secrets)
        leaks = {where: pattern.findall(text) for where, text in seen.items()}
        assert {where: found for where, found in leaks.items() if found} == {}, (what, fault)
        journals = [where for where, text in seen.items() if CANARY.encode() in text]
        assert CANARY.encode() in seen["runs.show"]
        assert any(where.endswith("journal.jsonl") for where in journals)
        assert any(where.startswith(str(folders[1])) for where in seen)
