"""Post-mortem, attestation and JUnit XML say what the journal and the evidence say, and nothing else."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import msgspec
import pytest

from infra.stack import Contacts, Objectives
from runbooks.engine.record.entry import Kind, read
from runbooks.engine.record.folder import Folder
from runbooks.engine.record.home import journal_of
from runbooks.engine.record.journal import Journal
from runbooks.engine.redaction import Redactor
from runbooks.model.canonical import digest
from runbooks.model.evidence import Counts, Damage, DrillEvidence, LostWrite, Objective, RelatedRun, Verdict
from runbooks.render.actions import working_days_after
from runbooks.render.documents import Attestation, attestation_text, junit, postmortem, sealed
from runbooks.render.story import story

if TYPE_CHECKING:
    from runbooks.render.story import Story

START = datetime(2026, 11, 20, 10, 15, 0, tzinfo=UTC)  # a Friday
CONTACTS = Contacts(
    time_zone="Europe/Paris",
    technical_lead="technical-lead@example.com",
    database_admin="database-admin@example.com",
    on_call="on-call@example.com",
)
STEPS = (("stop", "stop <traffic> | all of it", "changes"), ("restore", "recover the database", "destroys"))
TEXT = "said no | and <why>"


def iso(seconds: float) -> str:
    """Return an instant after the start."""
    return (START + timedelta(seconds=seconds)).isoformat()


def evidence(**changes: Any) -> DrillEvidence:  # noqa: ANN401 - fields of the evidence
    """Return what a drill proved."""
    whole = DrillEvidence(
        drill="lost-table",
        passed=True,
        problems=(),
        trigger="somebody ran `truncate <it>`",
        fault_at=iso(-2),
        detected_at=iso(-1),
        detected_by=("database: bookings had 10 rows, it has 0",),
        recovered_at=iso(9),
        point=iso(-3),
        point_from="the catalog",
        objective=Objective(300, 120),
        lost_window_seconds=1.5,
        counts=Counts(requests=30, accepted=20, refused=10, kept=18, lost=2, fields_compared=40),
        lost=(LostWrite("request-1", "41", iso(-2.5)), LostWrite("request-2", "42", iso(-2.4))),
        damage=(Damage("public.bookings", 10, 0, 9),),
        related=(),
        phases={},
    )
    return msgspec.structs.replace(whole, **changes)


def journalled(home: Path, run: str, *, end: str = "done") -> Folder:
    """Write a journal of two steps, the second of which failed unless it ended as done."""
    folder = Folder(home)
    folder.claim_log(journal_of(run))
    moments = iter(START + timedelta(seconds=second) for second in range(100))
    journal = Journal(folder, run, follows=0, redact=Redactor(()), clock=lambda: next(moments), guard=lambda: None)
    planned = [
        {"name": name, "title": title, "effect": effect, "expect": 0.4, "deadline": 9.0, "attempts": 1}
        for name, title, effect in STEPS
    ]
    plan = {
        "book": "restore",
        "stack": "twin",
        "summary": "ems-db\nKeeps  a copy",
        "losses": ["31 rows"],
        "steps": planned,
    }
    opened = {"book": "restore", "actor": "olga", "reason": "INC-7", "code": "0.1.0", "host": "ops", "plan": plan}
    journal.append(Kind.RUN_OPENED, None, opened)
    journal.append(Kind.LEASE_TAKEN, None, {"fence": 3})
    for name, _, _ in STEPS:
        journal.append(Kind.STEP_STARTED, name, {"effect": "changes", "request": "r", "before": {}})
        journal.append(Kind.OBSERVED, name, {"lost": "timeout"} if name == "stop" else {"answer": None})
        if name == "restore" and end != "done":
            journal.append(Kind.FAILED, name, {"text": TEXT, "effect": "unknown"})
        else:
            told = {"to_reconcile": "runs/x/accepted.csv", "rows": 31, "requests": 29} if name == "restore" else {}
            told |= {"not_checked": "the edge is silent" if name == "stop" else ["amcheck"]}
            journal.append(Kind.HELD, name, {"evidence": told, "seconds": 1.5})
    journal.append(Kind.CLOSED, None, {"status": end, "exit": 0, "text": ""})
    journal.close()
    return folder


def told(home: Path, *, end: str = "done", drill: DrillEvidence | None = None) -> Story:
    """Return the story of such a run."""
    folder = journalled(home, "2026-11-20-1015-tango-7", end=end)
    entries = read(Path(folder.where(journal_of("2026-11-20-1015-tango-7"))))
    return story(
        "2026-11-20-1015-tango-7",
        entries,
        product="Equestrian Management System",
        objectives=Objectives(rto_seconds=300, rpo_seconds=120),
        contacts=CONTACTS,
        evidence=drill,
        related=[(other.journal, entries) for other in (drill.related if drill else ())],
    )


class Page(HTMLParser):
    """What of a page matters: its tags, its text, and what it would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag and what it fetches."""
        self.tags.append(tag)
        self.fetched += [str(value) for name, value in attrs if name == "src" or (tag == "link" and name == "href")]

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        self.text += data


SECTIONS = [
    "Summary",
    "Impact in numbers",
    "Timeline (UTC)",
    "Detection",
    "Trigger",
    "Contributing factors",
    "Resolution",
    "What was lost",
    "Recovery time by step",
    "Objectives",
    "Action items (proposed, to be agreed)",
]


def test_all_sections_are_there(tmp_path: Path) -> None:
    """Both forms have every section of a post-mortem."""
    markdown, html = postmortem(told(tmp_path, drill=evidence()))
    assert sorted(re.findall(r"^## (.+)$", markdown, re.MULTILINE)) == sorted(SECTIONS)
    assert sorted(re.findall(r"<h2>(.+)</h2>", html)) == sorted(SECTIONS)


def test_every_event_links_to_its_evidence(tmp_path: Path) -> None:
    """Each line of the timeline names the journal, the entry's number and the beginning of its hash."""
    markdown, _ = postmortem(told(tmp_path, drill=evidence()))
    table = markdown.split("## Timeline (UTC)")[1].split("##")[0]
    lines = [line for line in table.splitlines() if line.startswith("| 2026")]
    entries = read(tmp_path / "runs" / "2026-11-20-1015-tango-7")
    assert len(lines) == len(entries) + 4
    for entry in entries:
        assert f"[journal.jsonl #{entry.seq} {entry.hash[:12]}](journal.jsonl)" in table
    assert [line[2:25] for line in lines] == sorted(line[2:25] for line in lines)


def test_facts_of_the_drill_are_in_it(tmp_path: Path) -> None:
    """Trigger, detection, loss and objectives are the measured ones."""
    markdown, _ = postmortem(told(tmp_path, drill=evidence()))
    assert "| accepted writes lost | 2 | [drill.json](drill.json) |" in markdown
    assert "| request-1 | 41 |" in markdown
    assert "| rows of public.bookings: before, broken, after | 10, 0, 9 |" in markdown
    assert "| recovery time | ≤ 5 min 0 s | 11 s | yes |" in markdown
    assert "Seen 1.0 s after the fault, by:" in markdown
    assert "- 31 rows\n- 31 rows, 29 requests accepted after the point are listed in runs/x/accepted.csv\n" in markdown
    assert "| Reconcile what was accepted and then given up | technical-lead@example.com | 2026-11-23 |" in markdown


def test_what_is_not_recorded_is_asked(tmp_path: Path) -> None:
    """Without a drill nothing of the incident is invented: detection, trigger and factors are questions."""
    markdown, html = postmortem(told(tmp_path))
    assert markdown.count("❓") == 7
    assert Page(html).text.count("❓") == 7
    assert "| recovery point | ≤ 2 min 0 s | not measured in this run | unknown |" in markdown
    assert "The operator gave as reason: INC-7" in markdown


def test_values_cannot_break_out(tmp_path: Path) -> None:
    """Markup in a journal stays text: in a table cell, and in HTML."""
    markdown, html = postmortem(told(tmp_path, end="failed", drill=evidence()))
    assert "said no \\| and &lt;why>" in markdown
    assert "stop &lt;traffic> \\| all of it" in markdown
    page = Page(html)
    assert not {"traffic", "why", "it"} & set(page.tags)
    assert "stop <traffic> | all of it" in page.text


def test_the_page_stands_alone(tmp_path: Path) -> None:
    """The HTML fetches nothing, has a drawing of the steps and fits a phone."""
    _, html = postmortem(told(tmp_path, drill=evidence()))
    page = Page(html)
    assert page.fetched == []
    assert {"svg", "style"} <= set(page.tags)
    assert page.tags.count("rect") == 2 * len(STEPS)
    assert 'name="viewport"' in html
    assert not re.search(r"https?://|@import|url\(", html)


def test_the_same_journal_gives_the_same_bytes(tmp_path: Path) -> None:
    """Nothing depends on when it is written."""
    first, second = told(tmp_path / "a", drill=evidence()), told(tmp_path / "b", drill=evidence())
    assert postmortem(first) == postmortem(second)


def test_actions_follow_from_facts(tmp_path: Path) -> None:
    """Each action has a role, a due date counted in working days, and the fact that it follows from."""
    slow = evidence(recovered_at=iso(400), passed=False, problems=("recovery took 402.0 s",))
    actions = {action.what: action for action in told(tmp_path, end="failed", drill=slow).actions}
    lost = actions["Tell those concerned and enter the lost writes again"]
    assert (lost.owner, lost.due.isoformat()) == ("on-call@example.com", "2026-11-23")
    assert actions["Bring restore to its end or take it back"].because == "the run ended as failed"
    assert actions["Bring the recovery time back under its objective"].due.isoformat() == "2026-11-27"
    assert "Find out why “recover the database” failed" in actions
    unproven = actions["Check by hand: stop <traffic> | all of it"]
    assert (unproven.owner, unproven.because) == ("on-call@example.com", "nobody answered: the edge is silent")


def test_weekends_are_no_working_days() -> None:
    """One working day after a Friday is a Monday; none is the day itself."""
    assert working_days_after(START.date(), 1).isoformat() == "2026-11-23"
    assert working_days_after(START.date(), 0) == START.date()


def test_an_unfinished_run_says_so(tmp_path: Path) -> None:
    """A journal without a close is told as unfinished."""
    folder = journalled(tmp_path, "r")
    entries = read(Path(folder.where(journal_of("r"))))[:-1]
    objectives = Objectives(rto_seconds=1, rpo_seconds=1)
    tale = story("r", entries, product="p", objectives=objectives, contacts=CONTACTS, evidence=None)
    assert tale.status == "unfinished"
    assert "unfinished" in postmortem(tale)[0]


def test_related_runs_are_in_the_timeline(tmp_path: Path) -> None:
    """The loud entries of a run around it link to that run's own journal."""
    around = evidence(related=(RelatedRun("other", "deploy", "../other/journal.jsonl"),))
    markdown, _ = postmortem(told(tmp_path, drill=around))
    assert "[../other/journal.jsonl #1 " in markdown


def test_an_attestation_is_sealed() -> None:
    """Its hash covers everything else in it, and the text form says the same."""
    attestation = Attestation(
        schema="1", drill="lost-table", passed=False, verdict=Verdict.NOT_PROVEN, problems=("one",),
        started_at=iso(0), ended_at=iso(9), host="h",
        actor="a", code="c", stack="twin", stack_sha256="s", objective={"rto_seconds": 300, "rpo_seconds": 120},
        measured={"detected_seconds": None, "recovery_seconds": 9.0, "lost_accepted_writes": 2,
                  "lost_window_seconds": 1.5},
        ledger={"accepted": 20, "kept": 18}, run="r", journal="journal.jsonl", journal_entries=9, journal_head="f" * 64,
        evidence_sha256="e",
    )  # fmt: skip
    content = sealed(attestation)
    seal = content.pop("sha256")
    assert seal == digest(content)
    text = attestation_text({**content, "sha256": seal})
    assert "Drill lost-table: NOT PROVEN" in text
    assert "detected       never" in text
    assert "accepted 20, kept 18" in text
    assert seal in text


def test_what_was_not_measured_says_nothing_else() -> None:
    """Without a run and without figures an attestation names the drill and why, and JUnit counts an error."""
    attestation = Attestation(
        schema="1", drill="bad-dns", passed=False, verdict=Verdict.NOT_MEASURED, problems=("no <zone>",),
        started_at=iso(0), ended_at=iso(9), host="h", actor="a", code="c", stack="twin", stack_sha256="s",
        objective={"rto_seconds": 300, "rpo_seconds": 120}, measured={}, ledger={}, run=None, journal=None,
        journal_entries=0, journal_head=None, evidence_sha256="e",
    )  # fmt: skip
    text = attestation_text(sealed(attestation))
    assert "Drill bad-dns: NOT MEASURED" in text
    assert "no &lt;zone>" in text
    assert not any(word in text for word in ("detected", "journal ", "None"))
    drill = evidence(passed=False, measured=False, problems=("no <zone>",))
    suite = ET.fromstring(junit([(drill, "")], seconds=1.0))  # noqa: S314 - we have just written it
    assert (suite.get("failures"), suite.get("errors"), suite.findtext("testcase/error")) == ("0", "1", "no <zone>")


@pytest.mark.parametrize("passed", [True, False])
def test_junit_counts_failures(*, passed: bool) -> None:
    """Each drill is a case: not proven, a failure with its problems; with nothing for it in the product, skipped."""
    drill = evidence(passed=passed, problems=() if passed else ("no <bite>", "two"))
    written = junit([(drill, "run-1")], seconds=21.5, absent=[("bad-site", "no site")])
    suite = ET.fromstring(written)  # noqa: S314 - we have just written it
    assert (suite.get("failures"), suite.get("tests"), suite.get("time")) == (str(int(not passed)), "2", "21.500")
    assert [case.get("message") for case in suite.findall("testcase[@name='bad-site']/skipped")] == ["no site"]
    assert suite.get("skipped") == "1"
    failure = suite.find("testcase/failure")
    assert (failure is None) is passed
    if failure is not None:
        assert (failure.get("message"), failure.text) == ("no <bite>", "no <bite>\ntwo")
