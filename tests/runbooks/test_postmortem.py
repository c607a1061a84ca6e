"""The post-mortem is written beside the journal, again and again the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from runbooks import postmortem
from runbooks.engine.record.folder import Folder
from runbooks.model.errors import Refused
from runbooks.model.evidence import DRILLS, EVIDENCE
from runbooks.model.settings import load
from tests.runbooks.render.test_documents import evidence, journalled

if TYPE_CHECKING:
    from runbooks.model.settings import Settings


@pytest.fixture
def settings(root: Path, tmp_path: Path) -> Settings:
    """Give settings with an ops home that holds two runs."""
    text = (root / "Pulumi.twin.yaml").read_text("utf-8").replace(".ops/twin", str(tmp_path))
    file = tmp_path / "Pulumi.twin.yaml"
    file.write_text(text, "utf-8")
    for run in ("2026-11-20-1015-tango-7", "2026-11-20-1016-alfa-1"):
        journalled(tmp_path, run)
    return load(str(file), root=root, environ={})


def test_the_newest_run_is_written_about(settings: Settings) -> None:
    """Without a run the newest one is taken; doing it again gives the same bytes."""
    written = postmortem.write(settings, Folder(settings.home), None, redact=str)
    assert written.run == "2026-11-20-1016-alfa-1"
    first = (Path(written.markdown).read_bytes(), Path(written.html).read_bytes())
    postmortem.write(settings, Folder(settings.home), None, redact=str)
    assert (Path(written.markdown).read_bytes(), Path(written.html).read_bytes()) == first
    assert sorted(file.name for file in Path(written.html).parent.iterdir()) == [
        "journal.jsonl",
        "postmortem.html",
        "postmortem.md",
    ]


def test_a_drills_evidence_is_used(settings: Settings) -> None:
    """Evidence beside the journal is part of it, and secrets are not."""
    folder = settings.home / "runs" / "2026-11-20-1015-tango-7"
    (folder / EVIDENCE).write_bytes(msgspec.json.encode(evidence(trigger="truncate by hunter2hunter2")))
    written = postmortem.write(
        settings, Folder(settings.home), folder.name, redact=lambda text: text.replace("hunter2hunter2", "●●●")
    )
    assert "truncate by ●●●" in Path(written.markdown).read_text("utf-8")
    assert "hunter2" not in Path(written.html).read_text("utf-8")


def test_unknown_runs_are_refused(settings: Settings) -> None:
    """A run that is not there is refused, naming the newest ones."""
    with pytest.raises(Refused, match="newest are 2026-11-20-1015-tango-7, 2026-11-20-1016-alfa-1"):
        postmortem.write(settings, Folder(settings.home), "nonsense", redact=str)


def test_runs_of_drills_are_found(settings: Settings) -> None:
    """A drill's run lies in an ops home of its own, and is found by its id and as the newest."""
    journalled(settings.home / DRILLS / "one", "2026-11-21-0900-zulu-1")
    assert postmortem.write(settings, Folder(settings.home), "2026-11-21-0900-zulu-1", redact=str).html.endswith(
        ".html"
    )
    assert postmortem.write(settings, Folder(settings.home), None, redact=str).run == "2026-11-21-0900-zulu-1"


def test_broken_evidence_is_refused(settings: Settings) -> None:
    """Evidence that is none is refused, naming the file."""
    (settings.home / "runs" / "2026-11-20-1016-alfa-1" / EVIDENCE).write_text("{}")
    with pytest.raises(Refused, match=r"drill\.json: expected a drill's evidence"):
        postmortem.write(settings, Folder(settings.home), None, redact=str)
