"""A restore and a release at the same time: one goes on, the other is told who is at it or what must be settled."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from runbooks.clients.twin import Do, Fault
from tests.stories.conftest import Operator, at_work
from tests.stories.test_backups import AGREED, begin
from tests.stories.test_restore import health
from tests.stories.test_restore_dump import backed_up, databases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.twin

BLIND = Fault(provider="edge", method="", path=".*", do=Do(status=502), times=None)
"""Nobody sees what users get: a run waits for it, for up to a minute, and holds the stack."""


@pytest.fixture(scope="module")
def house(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """Give an operator of a twin with data and a backup."""
    with at_work(root, tmp_path_factory.mktemp("house")) as operator:
        assert operator.types("twin.up").code == 0
        backed_up(operator)
        yield operator


@contextmanager
def at_it(operator: Operator, *words: str, after: str) -> Iterator[str]:
    """Begin a command, and give its run's id once it has begun this step; kill it at the end."""
    runs = operator.stack_file.parent / "ops" / "runs"
    before = set(runs.iterdir()) if runs.is_dir() else set()
    operator.control.fault(BLIND)
    running = begin(operator, *words, *AGREED)
    try:
        until = time.monotonic() + 90
        begun: list[Path] = []
        while not begun and time.monotonic() < until:
            time.sleep(0.05)
            journals = [run / "journal.jsonl" for run in set(runs.iterdir()) - before]
            begun = [one for one in journals if one.is_file() and f'"step":"{after}"' in one.read_text("utf-8")]
        assert begun, f"no run has begun {after}"
        yield begun[0].parent.name
    finally:
        running.kill()
        running.communicate()
        operator.control.clear_faults()


def point(operator: Operator) -> str:
    """Return the flag that goes back to the newest backup."""
    return f"--point=backup:{operator.types('backup.list').document['backups'][-1]['id']}"


def test_while_a_restore_is_at_work_nobody_else_is(house: Operator) -> None:
    """A deploy and a second restore end with its holder's name; once it was killed they name what goes on with it."""
    back = point(house)
    with at_it(house, "restore", back, after="stop traffic") as run:
        for command in (("deploy",), ("restore", back)):
            held = house.consents(*command)
            assert (held.code, f"run {run}" in held.document["text"]) == (4, True), held.text
            assert held.document["text"].startswith("held by ")
    assert health(house) == 503
    on = f"--run {run} --stack {house.stack_file}"
    refused = house.consents("deploy")
    assert (refused.code, refused.document["next_command"]) == (2, f"invoke runs.resume {on}"), refused.text
    assert refused.document["text"] == (
        f"ems-api is stopped by restore {run}, which is unfinished, and its process is gone: nothing is released "
        f"before that is settled. Go on with it, or take it back (`invoke runs.undo {on}`)."
    )
    second = house.consents("restore", back)
    assert (second.code, second.document["next_command"]) == (4, f"invoke runs.resume {on}"), second.text
    done = house.consents("runs.resume")
    assert (done.code, health(house), len(databases(house))) == (0, 200, 1), done.text
    assert house.consents("restore.finish").code == 0


def test_while_a_deploy_is_at_work_no_restore_begins(house: Operator) -> None:
    """It ends with the deploy's name, and has changed nothing."""
    back = point(house)
    with at_it(house, "deploy", after="apply") as run:
        held = house.consents("restore", back)
    assert (held.code, f"run {run}" in held.document["text"]) == (4, True), held.text
    assert databases(house) == []
    assert house.consents("runs.resume").code == 0


def test_nothing_is_released_onto_a_database_that_is_not_proven(house: Operator) -> None:
    """After a restore that failed its proof a deploy and a rollback are refused; taken back, they are not."""
    told = house.stack_file.read_text("utf-8")
    house.edit("ems-ops:database", checks=[{"name": "never", "sql": "select false"}])
    unproven = house.consents("restore", point(house))
    house.stack_file.write_text(told, "utf-8")
    assert (unproven.code, health(house)) == (5, 503), unproven.text
    for command in ("deploy", "rollback"):
        refused = house.consents(command)
        assert (refused.code, "is unproven: nothing is released" in refused.document["text"]) == (2, True), refused.text
    undone = house.consents("runs.undo", unproven.document["run"])
    assert (undone.code, health(house)) == (0, 200), undone.text
    assert house.types("deploy", "--dry-run").code == 0
