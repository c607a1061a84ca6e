"""An ops home out of reach: the run goes on, says so, and everything is sent later, once, without gaps."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from runbooks.engine.lease import current, lease_name
from runbooks.engine.record.entry import Kind, entries_of
from runbooks.engine.record.folder import Folder
from runbooks.engine.record.home import RUNS, journal_of
from runbooks.engine.record.spool import Spool
from runbooks.engine.record.unsent import Unsent
from runbooks.engine.record.verdict import verify_run
from runbooks.engine.redaction import Redactor
from runbooks.engine.runner import Consent, Runner
from runbooks.model.errors import Exit, HeldByOther, Refused
from tests.runbooks.engine.test_resume import PowerCut
from tests.runbooks.engine.toys import AGREED, STACK, Watcher, World, book, marks, step

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.engine.step import Json, Sight, Step

LEDGER = "releases.jsonl"
AWAY = "cannot be reached (no route). Going on with what this machine knows"


class ShakyLog:
    """A log behind a wire."""

    def __init__(self, remote: Remote, log: object) -> None:
        self.remote, self.log = remote, log

    def append(self, line: bytes, *, durable: bool) -> None:
        """Add a line."""
        self.remote.pass_on()
        self.log.append(line, durable=durable)  # type: ignore[attr-defined] # a FolderLog

    def close(self) -> None:
        """Let go."""
        self.log.close()  # type: ignore[attr-defined] # a FolderLog


class Remote(Folder):
    """An ops home behind a wire: `down` lets nobody through; the process that asks dies at the call `cut`."""

    down = False
    cut = -1
    taken = False
    last = False

    def pass_on(self) -> None:
        """Let a call through, or not."""
        if self.down:
            message = "no route"
            raise ConnectionError(message)
        self.cut -= 1
        if self.cut == -1:
            raise PowerCut

    def names(self, folder: str) -> list[str]:
        """List."""
        self.pass_on()
        return super().names(folder)

    def exists(self, name: str) -> bool:
        """Look."""
        self.pass_on()
        return super().exists(name)

    def get(self, name: str) -> bytes | None:
        """Read."""
        self.pass_on()
        return super().get(name)

    def put_new(self, name: str, content: bytes) -> bool:
        """Put."""
        self.pass_on()
        return super().put_new(name, content)

    def replace(self, name: str, content: bytes) -> None:
        """Put over; where this is the `last` call that is tried, nobody gets through any more."""
        self.down = self.down or self.last
        self.pass_on()
        super().replace(name, content)

    def claim_log(self, name: str) -> bool:
        """Claim."""
        self.pass_on()
        return super().claim_log(name)

    def open_log(self, name: str, *, size: int) -> ShakyLog:  # type: ignore[override] # a log all the same
        """Open."""
        self.pass_on()
        if self.taken:
            message = "another process has written to it"
            raise FileExistsError(message)
        return ShakyLog(self, super().open_log(name, size=size))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a world in which nothing is so yet."""
    return World(tmp_path / "world")


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    """Give an ops home that can be reached."""
    return Remote(tmp_path / "remote")


class Machine:
    """A machine with operators, one at a time; `notes` is all they were told."""

    def __init__(self, remote: Remote, folder: Path) -> None:
        self.remote, self.folder = remote, folder
        self.notes: list[str] = []
        self.spool = self.next_process()

    def next_process(self) -> Spool:
        """End the process that there is, whatever it was at, and let the next command begin."""
        if getattr(self, "spool", None) is not None and self.spool._own is not None:
            os.close(self.spool._lock)
        self.spool = Spool(self.remote, self.folder, note=self.notes.append)
        self.spool.push()
        return self.spool

    @property
    def runner(self) -> Runner:
        """Return what runs books here."""
        return Runner(
            home=self.spool,
            stack=STACK,
            stack_argument=STACK,
            actor="on-call",
            show=Watcher(self.notes),
            redact=Redactor(()),
        )

    def bury(self) -> None:
        """Make the newest lease one of a process that is over."""
        for home in (Folder(self.folder / "kept"), Folder(self.remote.root)):
            holder = current(home, STACK)
            if holder is not None:
                gone = msgspec.structs.replace(holder, born="another process of this id")
                home.replace(lease_name(STACK, holder.fence), msgspec.json.encode(gone))


@pytest.fixture
def here(remote: Remote, tmp_path: Path) -> Machine:
    """Give a machine."""
    return Machine(remote, tmp_path / "here")


@pytest.fixture
def there(remote: Remote, tmp_path: Path) -> Machine:
    """Give another machine."""
    return Machine(remote, tmp_path / "there")


def losing(world: World, name: str, then: Callable[[], None], **other: object) -> Step:
    """Return a step in whose act something happens to the ops home."""

    def act(sight: Sight) -> Json:
        made = world.act(name, sight)
        then()
        return made

    return step(name, world, act=act, **other)


def cable(remote: Remote, *, down: bool) -> Callable[[], None]:
    """Return what pulls the cable out, or plugs it in."""
    return lambda: setattr(remote, "down", down)


def content(remote: Remote) -> dict[str, bytes]:
    """Return every file of the ops home."""
    files = (path for path in remote.root.rglob("*") if path.is_file())
    return {path.relative_to(remote.root).as_posix(): path.read_bytes() for path in files}


def said(machine: Machine, text: str) -> int:
    """Count the notes that hold a text."""
    return sum(text in note for note in machine.notes)


def test_a_home_that_answers_is_used_as_it_is(remote: Remote, here: Machine, world: World) -> None:
    """Nothing waits on this machine, and nothing is said."""
    outcome = here.runner.run(marks(world, "a", "b"), arguments={}, consent=AGREED)
    assert (outcome.exit, outcome.journal) == (Exit.DONE, str(remote.root / journal_of(outcome.run)))
    assert verify_run(remote, outcome.run).complete
    assert not (here.folder / "pending").exists()
    assert not said(here, "ops home")
    assert here.runner.runs()[0].status == "done"


def test_a_run_that_begins_without_the_home_is_sent_by_the_next_command(
    remote: Remote, here: Machine, there: Machine, world: World
) -> None:
    """It is said before the plan is shown; the next command that reaches the home sends run and lease, once."""
    remote.down = True
    here.next_process()
    outcome = here.runner.run(marks(world, "a", "b"), arguments={}, consent=AGREED)
    assert (outcome.exit, outcome.status) == (Exit.DONE, "done")
    assert (said(here, AWAY), content(remote)) == (1, {})
    assert AWAY in here.notes[0]
    assert str(outcome.journal).startswith(str(here.folder / "pending"))
    assert [run.status for run in here.runner.runs()] == ["done"]

    remote.down = False
    here.next_process()
    proven = verify_run(remote, outcome.run)
    assert said(here, f"from when it was away: {proven.entries} entries of {journal_of(outcome.run)}") == 1
    assert proven.complete
    assert [run.run for run in there.runner.runs()] == [outcome.run]
    assert there.runner.run(marks(world, "c"), arguments={}, consent=AGREED).exit is Exit.DONE
    before = content(remote)
    here.next_process()
    assert content(remote) == before
    assert said(here, "sent to the ops home") == 1
    assert world.effects() == ["act a", "act b", "act c"]


def test_a_run_that_loses_the_home_goes_on_and_is_sent(remote: Remote, here: Machine, world: World) -> None:
    """What was written before stays, what comes after waits; the lease ends with the process."""
    made = book(losing(world, "a", cable(remote, down=True)), step("b", world))
    outcome = here.runner.run(made, arguments={}, consent=AGREED)
    assert (outcome.exit, world.effects()) == (Exit.DONE, ["act a", "act b"])
    assert said(here, AWAY) == 1
    assert said(here, "the lease could not be given back") == 1
    remote.down = False
    sent = len(entries_of(remote, outcome.run))
    here.next_process()
    proven = verify_run(remote, outcome.run)
    assert proven.complete
    assert sent == 3
    assert said(here, f"from when it was away: {proven.entries - sent} entries") == 1
    assert not list((here.folder / "pending").iterdir())


def test_a_lease_that_would_end_is_not_outlived(remote: Remote, here: Machine, world: World) -> None:
    """A step that outlasts the lease does not begin; going on with it is possible under one that only we see."""
    slow = step("b", world, deadline=500.0)
    made = book(losing(world, "a", cable(remote, down=True)), slow)
    outcome = here.runner.run(made, arguments={}, consent=AGREED)
    assert (outcome.exit, world.effects()) == (Exit.PAUSED, ["act a"])
    assert outcome.text.startswith("the lease cannot be renewed: no route; no effect starts without it")
    here.bury()
    here.next_process()
    done = here.runner.resume(outcome.run, book=book(step("a", world), slow), consent=AGREED)
    assert (done.exit, world.effects()) == (Exit.DONE, ["act a", "act b"])
    remote.down = False
    here.next_process()
    assert verify_run(remote, outcome.run).complete
    taken = [entry.payload["fence"] for entry in entries_of(remote, outcome.run) if entry.kind is Kind.LEASE_TAKEN]
    assert taken == [1, 2]
    assert not said(here, "meanwhile the stack was taken")


def test_a_home_that_comes_back_is_used_again(remote: Remote, here: Machine, world: World) -> None:
    """When the lease must be renewed the home is tried again: the journal is sent, and the run goes on there."""
    made = book(
        losing(world, "a", cable(remote, down=True)),
        losing(world, "b", cable(remote, down=False)),
        step("c", world, deadline=500.0),
    )
    outcome = here.runner.run(made, arguments={}, consent=AGREED)
    assert outcome.exit is Exit.DONE
    assert verify_run(remote, outcome.run).complete
    assert said(here, "sent to the ops home") == 1
    assert not list((here.folder / "pending").iterdir())
    holder = current(remote, STACK)
    assert holder is not None
    assert holder.released


def test_a_run_that_others_went_on_with_stops(remote: Remote, here: Machine, there: Machine, world: World) -> None:
    """Their entries stand; ours are set aside and named by every command until somebody removes them."""

    def others() -> None:
        remote.down = False
        there.bury()
        home = there.next_process()
        plain = book(step("a", world), step("b", world), slow)
        assert there.runner.resume(home.names(RUNS)[0], book=plain, consent=AGREED).exit is Exit.DONE

    slow = step("c", world, deadline=500.0)
    made = book(losing(world, "a", cable(remote, down=True)), losing(world, "b", others), slow)
    outcome = here.runner.run(made, arguments={}, consent=AGREED)
    assert outcome.exit is Exit.PAUSED
    assert "somebody else went on with this run while the ops home was away" in outcome.text
    assert verify_run(remote, outcome.run).complete
    assert world.effects() == ["act a", "act b", "act c"]
    name = journal_of(outcome.run)
    for _ in range(2):
        here.notes.clear()
        here.next_process()
        assert said(here, f"{remote.where(name)} is not what this machine left unsent") == 1
    shutil.rmtree(here.folder / "refused")
    here.notes.clear()
    here.next_process()
    assert here.notes == []


def test_the_same_lease_taken_twice_is_said(remote: Remote, here: Machine, there: Machine, world: World) -> None:
    """Two machines begin without the home: both are sent, the second one's lease is refused and both are named."""
    remote.down = True
    runs = []
    for machine, name in ((here, "a"), (there, "b")):
        machine.next_process()
        runs.append(machine.runner.run(marks(world, name), arguments={}, consent=AGREED).run)
    remote.down = False
    here.next_process()
    before = content(remote)
    there.next_process()
    assert {name: content(remote)[name] for name in before} == before
    holder = current(remote, STACK)
    assert holder is not None
    assert holder.run == runs[0]
    [note] = [note for note in there.notes if "taken twice" in note]
    assert f"the lease {lease_name(STACK, 1)} was taken twice: by on-call on " in note
    assert all(f"run {run}" in note for run in runs)


def test_on_one_machine_only_one_begins_without_the_home(remote: Remote, here: Machine) -> None:
    """Whoever comes second is told who holds it, also once the home is back."""
    remote.down = True
    first, second = here.next_process(), Spool(remote, here.folder, note=here.notes.append)
    second.push()
    assert first.put_new(lease_name(STACK, 1), b"first")
    assert not second.put_new(lease_name(STACK, 1), b"second")
    assert (second.get(lease_name(STACK, 1)), second.exists(lease_name(STACK, 1))) == (b"first", True)
    assert first.claim_log(journal_of("x"))
    assert not second.claim_log(journal_of("x"))
    first.abandon_log(journal_of("x"))
    assert second.claim_log(journal_of("x"))
    remote.down = False
    third = Spool(remote, here.folder, note=here.notes.append)
    third.push()
    assert content(remote) == {}
    assert third.names(f"leases/{STACK}") == ["00000001.json"]
    assert third.get(lease_name(STACK, 1)) == b"first"


def test_a_living_process_keeps_what_it_has(remote: Remote, here: Machine, world: World) -> None:
    """Another command of this machine that reaches the home sends nothing of it, and is held by it."""
    holders: list[str] = []

    def another() -> None:
        remote.down = False
        other = Machine(remote, here.folder)
        with pytest.raises(HeldByOther) as held:
            other.runner.run(marks(world, "z"), arguments={}, consent=AGREED)
        holders.append(str(held.value))
        assert not list(remote.root.rglob("*.jsonl"))

    remote.down = True
    here.next_process()
    outcome = here.runner.run(book(losing(world, "a", another)), arguments={}, consent=AGREED)
    assert (outcome.exit, world.effects()) == (Exit.DONE, ["act a"])
    assert f"run {outcome.run}" in holders[0]
    here.next_process()
    assert verify_run(remote, outcome.run).complete


def test_a_home_that_is_lost_after_the_plan_is_refused(remote: Remote, here: Machine, world: World) -> None:
    """Nobody begins under a lease of this machine who was not told before agreeing."""

    def asked(_plan: object) -> bool:
        remote.down = True
        return True

    with pytest.raises(Refused, match="nothing was done: the ops home cannot be written: no route"):
        here.runner.run(marks(world, "a"), arguments={}, consent=Consent(ask=asked))
    assert here.spool.names(RUNS) == []
    with pytest.raises(ConnectionError, match="lost after the plan was made: the same command again goes on without"):
        here.spool.put_new(lease_name(STACK, 1), b"ours")
    assert world.effects() == []


def test_a_stack_that_was_taken_over_meanwhile_is_said(
    remote: Remote, here: Machine, there: Machine, world: World
) -> None:
    """The journal is sent all the same: it is what was done."""
    here.runner.run(book(losing(world, "a", cable(remote, down=True))), arguments={}, consent=AGREED)
    remote.down = False
    there.bury()
    over = Consent(yes=True, reason="they are cut off", take_over=True)
    there.next_process()
    assert there.runner.run(marks(world, "b"), arguments={}, consent=over).exit is Exit.DONE
    here.next_process()
    assert said(here, "went on without the ops home under fence 1; meanwhile the stack was taken by on-call on ") == 1


def left_behind(remote: Remote, here: Machine, world: World) -> str:
    """Leave a run, a ledger and a lease unsent; return the run."""
    log = remote.open_log(LEDGER, size=0)
    log.append(b"known\n", durable=True)
    here.next_process().read_log(LEDGER)
    remote.down = True
    here.next_process()
    noted = here.spool.open_log(LEDGER, size=6)
    for line in (b"one\n", b"two\n"):
        noted.append(line, durable=True)
    noted.close()
    again = here.spool.open_log(LEDGER, size=14)
    again.append(b"three\n", durable=True)
    again.close()
    assert here.spool.read_log(LEDGER) == b"known\none\ntwo\nthree\n"
    run = here.runner.run(marks(world, "a"), arguments={}, consent=AGREED).run
    remote.down = False
    return run


def test_sending_can_be_killed_anywhere(remote: Remote, here: Machine, world: World, tmp_path: Path) -> None:
    """At each call of it: nothing is left out, written twice or written over, and the next command finishes it."""
    run = left_behind(remote, here, world)
    os.close(here.spool._lock)
    here.spool = None  # type: ignore[assignment] # its process is over
    shutil.copytree(tmp_path, beginning := tmp_path.with_name(f"{tmp_path.name}-beginning"))
    ends = []
    for cut in range(100):
        for place in (here.folder, remote.root):
            shutil.rmtree(place)
            shutil.copytree(beginning / place.relative_to(tmp_path), place)
        remote.cut = cut
        try:
            Spool(remote, here.folder, note=here.notes.append).push()
        except PowerCut:
            early = content(remote)
            Spool(remote, here.folder, note=here.notes.append).push()
            assert all(content(remote)[name].startswith(part) for name, part in early.items())
        ends.append(content(remote))
        assert not list((here.folder / "pending").iterdir())
        if remote.cut >= 0:
            break
    remote.cut = -1
    assert cut > 15
    assert all(end == ends[-1] for end in ends)
    assert remote.read_log(LEDGER) == b"known\none\ntwo\nthree\n"
    assert verify_run(remote, run).complete
    remote.down = True
    away = Spool(remote, here.folder, note=here.notes.append)
    assert away.read_log(LEDGER) == b"known\none\ntwo\nthree\n"


def test_what_this_machine_wrote_is_known_when_the_home_is_away(remote: Remote, here: Machine, world: World) -> None:
    """The last lines too, though nobody has read them since."""
    outcome = here.runner.run(marks(world, "a"), arguments={}, consent=AGREED)
    remote.down = True
    here.next_process()
    assert [(run.run, run.status) for run in here.runner.runs()] == [(outcome.run, "done")]


def test_a_home_that_is_lost_while_sending_gets_the_rest_later(remote: Remote, here: Machine, world: World) -> None:
    """It is said, and the next command goes on with it."""
    run = left_behind(remote, here, world)
    remote.down = True
    os.close(here.spool._lock)
    flaky = Spool(Dying(remote.root), here.folder, note=here.notes.append)
    flaky.push()
    assert flaky.away
    remote.down = False
    Spool(remote, here.folder, note=here.notes.append).push()
    assert verify_run(remote, run).complete


class Dying(Remote):
    """An ops home that lets four calls through."""

    left = 4

    def pass_on(self) -> None:
        """Count down."""
        self.down = self.left == 0
        self.left -= 1
        super().pass_on()


def test_what_somebody_else_writes_while_sending_stands(remote: Remote, here: Machine, world: World) -> None:
    """Of two who add the same entry one is told so: that log is set aside, the others are sent."""
    run = left_behind(remote, here, world)
    remote.taken = True
    here.next_process()
    assert remote.read_log(LEDGER) == b"known\n"
    assert remote.exists(lease_name(STACK, 1))
    assert sorted(path.name for path in (here.folder / "refused").rglob("*.jsonl")) == ["journal.jsonl", LEDGER]
    assert said(here, f"{remote.where(journal_of(run))} is not what this machine left unsent") == 1


def test_an_altered_journal_is_never_sent(remote: Remote, here: Machine, world: World) -> None:
    """What was changed on this machine is named and set aside."""
    run = left_behind(remote, here, world)
    file = Path(here.spool.where(journal_of(run)))
    file.write_bytes(file.read_bytes().replace(b"on-call", b"nobody!"))
    here.next_process()
    assert said(here, "line 1: its hash does not fit its content; the journal was altered") == 1
    assert remote.read_log(journal_of(run)) == b""


def test_a_torn_line_is_not_sent(remote: Remote, here: Machine, world: World) -> None:
    """A line that the power cut off never was one."""
    left_behind(remote, here, world)
    with Path(here.spool.where(LEDGER)).open("ab") as file:
        file.write(b"half a li")
    here.next_process()
    assert remote.read_log(LEDGER) == b"known\none\ntwo\nthree\n"


def test_what_cannot_be_put_is_not_forgotten(remote: Remote, here: Machine) -> None:
    """Without the home nothing in it is replaced."""
    here.spool.replace("a/b", b"1")
    assert here.spool.get("a/b") == b"1"
    remote.down = True
    with pytest.raises(ConnectionError, match="no route"):
        here.spool.replace("a/b", b"2")
    assert here.spool.get("a/b") == b"1"


def test_a_run_without_the_home_replaces_nothing_in_it(remote: Remote, here: Machine) -> None:
    """What it began alone is sent after it, whole."""
    remote.down = True
    spool = here.next_process()
    assert spool.put_new(lease_name(STACK, 1), b"ours")
    spool.replace(lease_name(STACK, 1), b"ours, later")
    remote.down = False
    with pytest.raises(ConnectionError, match="this run began without the ops home and ends without it"):
        spool.replace("a/b", b"2")
    assert content(remote) == {}


def test_a_home_that_is_lost_again_while_it_comes_back_loses_no_line(remote: Remote, here: Machine) -> None:
    """What was sent is sent; what follows is written where the home is then."""
    log = here.spool.open_log(LEDGER, size=0)
    log.append(b"one\n", durable=True)
    remote.down = True
    log.append(b"two\n", durable=True)
    assert remote.root.joinpath(LEDGER).read_bytes() == b"one\n"
    remote.down, remote.last = False, True
    with pytest.raises(ConnectionError, match="no route"):
        here.spool.replace(lease_name(STACK, 1), b"ours")
    assert remote.root.joinpath(LEDGER).read_bytes() == b"one\ntwo\n"
    log.append(b"three\n", durable=True)
    remote.down, remote.last = False, False
    log.close()
    here.next_process()
    assert remote.read_log(LEDGER) == b"one\ntwo\nthree\n"


def test_an_emptied_folder_has_no_lock(tmp_path: Path) -> None:
    """What somebody else has just sent is left alone."""
    with Unsent(tmp_path / "gone").locked() as free:
        assert not free
