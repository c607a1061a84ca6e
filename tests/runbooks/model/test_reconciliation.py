"""Everything that is changed outside is in one table."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from runbooks.model.reconciliation import DEPLOY, WRITES, Lost, Write

if TYPE_CHECKING:
    from pathlib import Path


def changing_steps(module: Path) -> set[str]:
    """Return the public functions of a module that make a step which changes or destroys something."""
    functions = [node for node in ast.parse(module.read_text("utf-8")).body if isinstance(node, ast.FunctionDef)]
    called = {function.name: set(_called(function)) for function in functions}
    changing = {function.name for function in functions if _changes(function)}
    private = {name for name in changing if name.startswith("_")}
    makers = (changing - private) | {name for name, calls in called.items() if calls & private}
    return {f"{module.stem}.{name}" for name in makers}


def _called(function: ast.FunctionDef) -> list[str]:
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return [call.id for call in calls if isinstance(call, ast.Name)]


def _changes(function: ast.FunctionDef) -> bool:
    effects = [node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute)]
    return "Step" in _called(function) and bool({"WRITE", "DESTROY"} & set(effects))


def test_every_step_that_changes_something_is_in_the_table(root: Path) -> None:
    """A step whose effect isn't classified fails here, and so does an entry whose step is gone."""
    found = set().union(*(changing_steps(module) for module in (root / "runbooks" / "steps").rglob("*.py")))
    listed = [step for entry in WRITES for step in entry.steps]
    assert found == set(listed)
    assert len(listed) == len(set(listed))


def test_there_is_one_table(root: Path) -> None:
    """No door can be opened with an entry that was made up on the spot."""
    makers = [
        file.name
        for file in (root / "runbooks").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call) and {"lost", "how"} <= {keyword.arg for keyword in node.keywords}
    ]
    assert set(makers) == {"reconciliation.py"}
    assert len(makers) == len(WRITES)


def test_every_entry_says_how_and_where() -> None:
    """Every entry says how a lost answer is settled and where its request id is; a key is kept somewhere."""
    for entry in WRITES:
        assert entry.how
        assert entry.request_id
        assert entry.lost is not Lost.BY_KEY or not entry.request_id.startswith("nowhere")


@pytest.mark.parametrize("entry", WRITES)
def test_requests_have_a_path(entry: Write) -> None:
    """What is sent by HTTP says to which paths."""
    assert bool(entry.path) == (entry.call in {"POST", "PUT", "PATCH", "DELETE"})


def test_a_path_is_meant_as_a_whole() -> None:
    """A pattern covers the path, not something that begins or ends like it."""
    assert DEPLOY.covers("/accounts/a/workers/scripts/ems-api/deployments")
    assert not DEPLOY.covers("/accounts/a/workers/scripts/ems-api/deployments/1")
