"""The edge of the program: exit codes, messages, JSON."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from infra.shapes import BOOKS
from runbooks.commands.frame import Flags
from runbooks.commands.frame.console import Console
from runbooks.commands.frame.naming import of_stack
from runbooks.commands.frame.shelf import SHELF, typed_as
from runbooks.commands.frame.speaking import report
from runbooks.model.errors import ActError, Exit, Refused, Unreachable

if TYPE_CHECKING:
    from pathlib import Path

    from tests.runbooks.desk import Desk

TOKEN = "token-of-this-test-0123456789-0123456789-ab"


def types(root: Path, *words: str, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Type an invoke command with nobody at the terminal."""
    return subprocess.run(
        [sys.executable, "-m", "invoke", *words],
        cwd=folder or root,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def stack_file(root: Path, tmp_path: Path) -> Path:
    """Give a stack file of its own, whose ops home is a folder of its own."""
    file = tmp_path / "Pulumi.here.yaml"
    text = (root / "Pulumi.prod.yaml").read_text("utf-8")
    file.write_text(text.replace("ops_home: .ops/prod", f"ops_home: {tmp_path}/ops"), "utf-8")
    return file


def test_a_missing_token_is_refused_with_the_way_on(root: Path, stack_file: Path) -> None:
    """Without its token a command does nothing: exit code 2, what is expected, and the next command."""
    done = types(root, "rollback", f"--stack={stack_file}")
    assert done.returncode == 2
    assert "CLOUDFLARE_API_TOKEN is not set. Expected in the environment" in done.stderr
    assert done.stderr.endswith("Next:\nexport CLOUDFLARE_API_TOKEN=…\n")
    assert done.stdout == ""


def test_json_stands_alone_on_standard_output(root: Path) -> None:
    """With --json a refusal is one document too."""
    done = types(root, "rollback", "--stack=nowhere", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["exit"], document["status"]) == (2, 2, "refused")
    assert document["next_command"] == "invoke --list"
    assert "Expected the name of a stack" in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110 - a device
def test_what_a_full_disk_does_not_take_is_said(root: Path, stack_file: Path) -> None:
    """A command that only prints has failed then, and says why in one line; invoke's own list says it too."""
    for words, code in ((["runs", f"--stack={stack_file}", "--json"], 1), (["--list"], 0)):
        with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
            done = subprocess.run(
                [sys.executable, "-m", "invoke", *words],
                cwd=root, stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            )  # fmt: skip
        said = "standard output: No space left on device: not all of it was written\n"
        assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "| true", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing(root: Path, stack_file: Path, closed: str) -> None:
    """Without a reader, a writer or a terminal a command does what it does, without a traceback."""
    program = shlex.join([sys.executable, "-m", "invoke", "restore.release", "--dry-run", f"--stack={stack_file}"])
    done = subprocess.run(
        ["/bin/sh", "-c", f"{program} {closed}"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == (0 if "|" in closed else 2)
    assert "Traceback" not in done.stderr
    assert ("EMS_DATABASE_URL is not set" in done.stderr) is ("2>" not in closed)


def test_commands_work_from_a_folder_below(root: Path, stack_file: Path) -> None:
    """From anywhere in the repository the stack is found, and a stack file's path is the operator's own."""
    done = types(root, "runs", f"--stack={stack_file.name}", "--json", folder=root / "runbooks" / "steps")
    assert done.returncode == 2
    from_there = os.path.relpath(stack_file, root / "runbooks" / "steps")
    done = types(root, "runs", f"--stack={from_there}", "--json", folder=root / "runbooks" / "steps")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"runs": []})


def test_a_wrong_argument_names_what_was_expected(root: Path, stack_file: Path) -> None:
    """A value that the book doesn't take is refused with those that it takes, and where they are explained."""
    done = types(root, "rollback", "--service=mail", f"--stack={stack_file}", CLOUDFLARE_API_TOKEN=TOKEN)
    assert done.returncode == 2
    assert done.stderr == "--service=mail: expected one of api, web, dns.\nNext:\ninvoke --help rollback\n"


def test_a_stack_of_real_providers_has_no_twin(root: Path, stack_file: Path) -> None:
    """twin.up and its kin never touch a stack that speaks to real providers."""
    done = types(root, "twin.down", f"--stack={stack_file}")
    assert done.returncode == 2
    assert "speaks to real providers: expected one whose endpoints are local" in done.stderr


def test_help_costs_nothing_heavy(root: Path) -> None:
    """Each task's help is printed, with what it changes and costs."""
    done = types(root, "--help", "rollback")
    assert done.returncode == 0
    for words in ("Changes:", "Costs:", "--accept-secret-change", "--take-over", "--dry-run"):
        assert words in done.stdout


def test_an_unexpected_failure_is_one_line_with_details_kept(
    root: Path, stack_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What nobody expected becomes one line; the traceback lies in the ops home, without secrets."""
    environ = {"CLOUDFLARE_API_TOKEN": TOKEN}
    console = Console(Flags(stack=str(stack_file)), root=root, environ=environ)
    with pytest.raises(ZeroDivisionError) as raised:
        raise ZeroDivisionError(TOKEN)
    code = report(raised.value, console, as_json=False)
    console.close()
    said = capsys.readouterr()
    assert code is Exit.FAILED
    assert said.err.startswith("Unexpected ZeroDivisionError: ●●●. Details: ")
    (details,) = (console.settings.home / "errors").iterdir()
    assert str(details) in said.err
    assert "Traceback" in details.read_text("utf-8")
    assert TOKEN not in details.read_text("utf-8") + said.out + said.err


def test_errors_keep_their_exit_code_and_next_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Each kind of error has its code; JSON and text say the same."""
    error = ActError("it went wrong", next_command="invoke runs.resume")
    assert report(error, None, as_json=True) is Exit.FAILED
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert (document["text"], document["next_command"]) == ("it went wrong", "invoke runs.resume")
    assert said.err == "it went wrong\nNext:\ninvoke runs.resume\n"
    assert report(Refused("no"), None, as_json=False) is Exit.REFUSED


@pytest.mark.parametrize(("typed", "code", "moved"), [("here", 0, True), ("yes", 2, False)])
def test_the_operator_types_the_stacks_name(
    desk: Desk, root: Path, stack_file: Path, typed: str, code: int, *, moved: bool
) -> None:
    """At a terminal the plan is shown and the stack's name is what goes on; anything else changes nothing."""
    good, bad = desk.release(), desk.release(good=False)
    text = stack_file.read_text("utf-8")
    text = text.replace("https://api.cloudflare.com/client/v4", desk.stand_in.address)
    stack_file.write_text(text.replace("    edge: null", f"    edge: {desk.stand_in.address}"), "utf-8")
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "invoke", "rollback", f"--to={good}", f"--stack={stack_file}"],
        cwd=root,
        env={**os.environ, "CLOUDFLARE_API_TOKEN": TOKEN, "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while b"to go on: " not in shown:
        shown += os.read(ours, 4096)
    os.write(ours, typed.encode() + b"\n")
    with contextlib.suppress(OSError):  # the terminal is gone when the program has ended
        while chunk := os.read(ours, 4096):
            shown += chunk
    assert running.wait(30) == code, shown.decode()
    os.close(ours)
    assert desk.stand_in.live == (good if moved else bad)


def test_where_nobody_answered_the_same_is_typed_again(capsys: pytest.CaptureFixture[str]) -> None:
    """Reading got no answer and nothing was done: the next command is this one."""
    assert report(Unreachable("GET /versions: no answer."), None, as_json=False) == 1
    assert capsys.readouterr().err == f"GET /versions: no answer.\nNext:\ninvoke {shlex.join(sys.argv[1:])}\n"


def test_every_book_can_be_named_in_a_stack_file() -> None:
    """What runs under a journal can be held for a second person or for what people do by hand, and nothing else."""
    assert sorted(typed_as(book) for book in SHELF) == sorted(BOOKS)


def test_a_book_is_named_by_its_command(root: Path, stack_file: Path) -> None:
    """A name that is none is refused with those that there are, before anything is looked at."""
    text = stack_file.read_text("utf-8")
    stack_file.write_text(text.replace("approvals: {books: []", "approvals: {books: [restore-finish]"), "utf-8")
    done = types(root, "runs", f"--stack={stack_file}")
    assert done.returncode == 2
    assert "ems-ops:approvals is not right: expected a book, one of backup, backup.prune, backup.verify" in done.stderr
    assert "rollback, got restore-finish." in done.stderr


@pytest.mark.parametrize(
    ("command", "stack", "said"),
    [
        ("invoke runs", "my stack.yaml", "invoke runs --stack 'my stack.yaml'"),
        ("invoke runs", "prod", "invoke runs"),
        ("invoke runs --stack twin", "other", "invoke runs --stack twin"),
        ("invoke --list", "other", "invoke --list"),
        ("export EMS_BACKUP_KEY=…", "other", "export EMS_BACKUP_KEY=…"),
    ],
)
def test_the_next_command_is_about_the_same_stack(command: str, stack: str, said: str) -> None:
    """What is to be typed next names the stack that was asked about, where it says nothing of one."""
    assert of_stack(command, stack) == said
