"""A journal is evidence: a published form, a chain that shows what was altered, a signature that shows by whom."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped] # its stubs are a package of their own
import pytest

from runbooks.engine.outcome import Status
from runbooks.engine.record.entry import Kind, read
from runbooks.engine.record.folder import Folder
from runbooks.engine.record.home import JOURNAL, journal_of, signatures_of
from runbooks.engine.record.signature import Signer
from runbooks.engine.record.verdict import copied, verify, verify_run
from runbooks.engine.redaction import Redactor
from runbooks.engine.runner import Runner
from runbooks.engine.step import NoUndo
from runbooks.model.canonical import canonical
from runbooks.model.errors import ActRefused, AnswerLost, Refused
from tests.runbooks.engine.toys import AGREED, STACK, Watcher, World, book, marks, reading, step

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = Path(__file__).resolve().parents[3] / "runbooks/engine/record/journal.schema.json"
KEY = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(range(1, 33))).decode()
SIGNERS = {"on-call": Signer(KEY).public}


def signing(home: Path, key: str = KEY) -> Runner:
    """Return a runner that signs how its runs end."""
    return Runner(
        home=Folder(home),
        stack=STACK,
        stack_argument=STACK,
        actor="on-call",
        show=Watcher(),
        redact=Redactor(()),
        signer=Signer(key),
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give an ops home."""
    return tmp_path / "home"


@pytest.fixture
def run(home: Path, tmp_path: Path) -> str:
    """Make two marks in a signed run; give its id."""
    return signing(home).run(marks(World(tmp_path / "world"), "a", "b"), arguments={}, consent=AGREED).run


@cache
def _validator() -> Any:  # noqa: ANN401 - the library has no types
    schema = json.loads(SCHEMA.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def fits(journal: Path) -> set[str]:
    """Hold every line of a journal to the schema; return the kinds that it has."""
    lines = [json.loads(line) for line in journal.read_bytes().splitlines()]
    for line in lines:
        _validator().validate(line)
    return {line["kind"] for line in lines}


def test_the_schema_has_every_kind() -> None:
    """A kind of entry that nobody described, or that nobody writes any more, is noticed."""
    assert set(json.loads(SCHEMA.read_text("utf-8"))["properties"]["kind"]["enum"]) == {kind.value for kind in Kind}


def test_real_journals_fit_the_schema(home: Path, tmp_path: Path) -> None:
    """Runs that end in every way write nothing that the schema does not describe."""
    world = World(tmp_path / "world")

    def lose(_sight: object) -> None:
        raise AnswerLost("no answer")  # noqa: EM101, TRY003 - a test

    def refuse(_sight: object) -> None:
        raise ActRefused("no")  # noqa: EM101 - a test

    def break_down(_sight: object) -> None:
        raise RuntimeError

    operator = signing(home)
    asked = replace_asks(reading("question"))
    whole = book(step("a", world), asked, step("lost", world, act=lose, attempts=2), step("no", world, act=refuse))
    broken = operator.run(whole, arguments={}, consent=AGREED)
    stopped = operator.run(book(step("bad", world, act=break_down)), arguments={}, consent=AGREED)
    done = operator.run(book(step("a", world), step("c", world, undo=NoUndo("kept"))), arguments={}, consent=AGREED)
    assert [one.status for one in (broken, stopped, done)] == [Status.PAUSED, Status.FAILED, Status.DONE]
    again = operator.resume(broken.run, book=marks(world, "a", "d"), consent=AGREED, replan=True)
    assert again.status is Status.DONE
    assert operator.undo(again.run, book=marks(world, "a", "d"), consent=AGREED).status is Status.UNDONE
    with (home / journal_of(stopped.run)).open("ab") as journal:
        journal.write(b"torn")
    assert operator.resume(stopped.run, book=book(step("bad", world)), consent=AGREED).status is Status.DONE
    kinds = set().union(*(fits(home / journal_of(one.run)) for one in (broken, stopped, done)))
    assert kinds == {kind.value for kind in Kind}


def replace_asks(asking: Any) -> Any:  # noqa: ANN401 - a step
    """Return the reading step as one that asks."""
    from dataclasses import replace  # noqa: PLC0415 - beside its one use

    return replace(asking, asks=lambda run: f"says something to {run}")


def test_an_unknown_field_does_not_fit(home: Path, run: str) -> None:
    """The schema is no empty promise: what it does not describe fails."""
    line = json.loads((home / journal_of(run)).read_bytes().splitlines()[0])
    line["payload"]["more"] = 1
    with pytest.raises(jsonschema.ValidationError):
        _validator().validate(line)


def test_each_end_is_signed(home: Path, tmp_path: Path) -> None:
    """A pause and a close each carry a signature; the last one counts, by the name of its key."""
    world, tries = World(tmp_path / "world"), [0]

    def act(sight: Any) -> Any:  # noqa: ANN401 - a step's
        tries[0] += 1
        if tries[0] == 1:
            raise AnswerLost("no answer")  # noqa: EM101, TRY003 - a test
        return world.act("a", sight)

    made = book(step("a", world, act=act))
    first = signing(home).run(made, arguments={}, consent=AGREED)
    assert first.status is Status.PAUSED
    assert verify_run(Folder(home), first.run, signers=SIGNERS).signed_by == "on-call"
    assert signing(home).resume(first.run, book=made, consent=AGREED).status is Status.DONE
    assert len(Folder(home).names(signatures_of(first.run))) == 2
    verdict = verify_run(Folder(home), first.run, signers=SIGNERS)
    assert (verdict.signed_by, verdict.complete) == ("on-call", True)
    assert verify_run(Folder(home), first.run).signed_by == SIGNERS["on-call"]


def test_an_end_that_no_signer_signed_is_refused(home: Path, run: str) -> None:
    """Without a signature, or with one by somebody else, an end is refused where signers are named."""
    with pytest.raises(Refused, match=r"journal\.jsonl: its end is not signed by one of lead, on-call"):
        verify_run(Folder(home), run, signers={"lead": Signer(OTHER).public, "on-call": Signer(OTHER).public})
    shutil.rmtree(home / signatures_of(run))
    assert verify_run(Folder(home), run).signed_by == ""
    with pytest.raises(Refused, match="its end is not signed by one of on-call"):
        verify_run(Folder(home), run, signers=SIGNERS)


def test_a_run_that_died_has_no_signature_to_miss(home: Path, run: str) -> None:
    """What was never closed cannot be signed: it is told as not closed, not as altered."""
    journal = home / journal_of(run)
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    shutil.rmtree(home / signatures_of(run))
    verdict = verify_run(Folder(home), run, signers=SIGNERS)
    assert (verdict.complete, verdict.signed_by) == (False, "")


def hashed_anew(lines: list[dict[str, Any]]) -> bytes:
    """Return a whole chain that fits these contents, as somebody without a key can make it."""
    previous, text = "0" * 64, b""
    for seq, line in enumerate(lines, 1):
        line.pop("hash", None)
        line |= {"seq": seq, "prev": previous}
        previous = line["hash"] = hashlib.sha256(canonical(line)).hexdigest()
        text += canonical(line) + b"\n"
    return text


REWRITES: dict[str, Callable[[list[dict[str, Any]]], list[dict[str, Any]]]] = {
    "another reason": lambda lines: [
        {**lines[0], "payload": {**lines[0]["payload"], "reason": "a better one"}},
        *lines[1:],
    ],
    "another actor": lambda lines: [{**lines[0], "payload": {**lines[0]["payload"], "actor": "nobody"}}, *lines[1:]],
    "a step dropped": lambda lines: [line for line in lines if line["step"] != "a"],
    "another time": lambda lines: [*lines[:-1], {**lines[-1], "at": "2020-01-01T00:00:00.000000Z"}],
    "an entry more": lambda lines: [*lines[:3], lines[2], *lines[3:]],
    "the end cut off": lambda lines: lines[:-2],
    "an entry after the end": lambda lines: [
        *lines,
        {**lines[-1], "kind": "noted", "payload": {"text": "all was well"}},
    ],
}


@pytest.mark.parametrize("what", REWRITES)
def test_a_chain_that_was_hashed_anew_is_noticed_by_its_signature(home: Path, run: str, what: str) -> None:
    """The chain alone fits again; the signature does not, or no longer covers the end."""
    journal = home / journal_of(run)
    lines = [json.loads(line) for line in journal.read_bytes().splitlines()]
    journal.write_bytes(hashed_anew(REWRITES[what](lines)))
    if what == "an entry after the end":
        assert verify_run(Folder(home), run, signers=SIGNERS).signed_by == ""
        assert not verify_run(Folder(home), run, signers=SIGNERS).complete
        return
    with pytest.raises(Refused, match="is not the one that was signed; the journal was altered"):
        verify_run(Folder(home), run, signers=SIGNERS)


FORGED: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "another end": lambda one: canonical({**one, "head": "0" * 64}),
    "no entries": lambda one: canonical({**one, "entries": 0}),
    "another key": lambda one: canonical({**one, "key": Signer(OTHER).public}),
    "no key": lambda one: canonical({**one, "key": "é"}),
    "no signature": lambda one: canonical({**one, "signature": "AAAA"}),
    "a field more": lambda one: canonical({**one, "more": 1}),
    "bytes": lambda _one: b"\xff\x00",
    "nothing": lambda _one: b"",
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_signature_is_refused(home: Path, run: str, what: str) -> None:
    """What the key did not make is named, whatever is wrong with it."""
    (file,) = (home / signatures_of(run)).iterdir()
    file.write_bytes(FORGED[what](json.loads(file.read_bytes())))
    with pytest.raises(Refused, match=r"signatures/.*: not a signature, or not made by the key that it names"):
        verify_run(Folder(home), run, signers=SIGNERS)


def test_a_signed_journal_does_not_pass_for_another_run(home: Path, run: str) -> None:
    """Somebody puts the whole journal of a good run, with its signature, in the place of a bad one."""
    shutil.copytree(home / "runs" / run, home / "runs" / "other")
    with pytest.raises(Refused, match=f"signed for run {run}, and lies beside the journal of other"):
        verify_run(Folder(home), "other", signers=SIGNERS)


def test_every_byte_counts(home: Path, run: str) -> None:
    """Flip any one byte of a journal: it is refused, or told as torn where it was the last newline."""
    whole = (home / journal_of(run)).read_bytes()
    journal = home / journal_of(run)
    for at in range(0, len(whole), 7):
        journal.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(Refused):
            verify_run(Folder(home), run, signers=SIGNERS)


def test_a_copy_is_proven_like_the_original(home: Path, run: str, tmp_path: Path) -> None:
    """A copied ops home, run's folder or journal, also as a bucket holds it, gives the same verdict."""
    want = verify_run(Folder(home), run, signers=SIGNERS)
    copy = tmp_path / "somewhere" / run
    shutil.copytree(home / "runs" / run, copy)
    for path in (tmp_path / "somewhere", copy, copy / JOURNAL):
        assert copied(path) == [copy]
        assert verify(path if path != copy.parent else copy, signers=SIGNERS).head == want.head
    lines = (copy / JOURNAL).read_bytes().splitlines(keepends=True)
    (copy / JOURNAL).unlink()
    (copy / JOURNAL).mkdir()
    for number, line in enumerate([b"a claim", *lines]):
        (copy / JOURNAL / f"{number:08d}").write_bytes(line)
    (copy / JOURNAL / "index.html").write_text("a download's own")
    assert copied(tmp_path / "somewhere") == [copy]
    for path in (copy, copy / JOURNAL):
        verdict = verify(path, signers=SIGNERS)
        assert (verdict.head, verdict.entries, verdict.signed_by) == (want.head, want.entries, "on-call")
    assert len(read(copy)) == want.entries
    (copy / JOURNAL / "00000002").unlink()
    with pytest.raises(Refused, match="line 2: it does not follow the line before it"):
        verify(copy)
    with pytest.raises(Refused, match=f"expected a folder with a {JOURNAL} in it, got none"):
        copied(tmp_path / "nothing")


@pytest.mark.parametrize("key", ["short", "é" * 44, base64.b64encode(bytes(31)).decode(), "=" * 44])
def test_what_is_no_key_is_refused_without_showing_it(key: str) -> None:
    """A bad key is named by its variable, never by its value."""
    with pytest.raises(Refused, match=r"^EMS_SIGNING_KEY: expected 32 bytes in base64, got") as refused:
        Signer(key)
    assert key not in str(refused.value)
    assert refused.value.next_command == "unset EMS_SIGNING_KEY"


def test_a_home_that_takes_no_signature_ends_no_run(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is over and written down: that it could not be signed is said."""
    operator = signing(home)
    notes: list[str] = []
    monkeypatch.setattr(Watcher, "note", lambda _self, text: notes.append(text))
    world = World(tmp_path / "world")

    def act(sight: Any) -> Any:  # noqa: ANN401 - a step's
        (home / signatures_of(sight.run)).write_text("no folder")
        return world.act("a", sight)

    assert operator.run(book(step("a", world, act=act)), arguments={}, consent=AGREED).status is Status.DONE
    assert any(note.startswith("the journal's end could not be signed: ") for note in notes)

    def sign(sight: Any) -> Any:  # noqa: ANN401 - a step's
        for entries in range(20):
            Signer(OTHER).sign(Folder(home), sight.run, entries=entries, head="0" * 64)
        return world.act("b", sight)

    assert operator.run(book(step("b", world, act=sign)), arguments={}, consent=AGREED).status is Status.DONE
    assert notes[-1] == "the journal's end was not signed: there is a signature of it already"
