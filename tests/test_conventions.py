"""What we agreed on, as tests: layers, sizes, names, help, and that nothing of a machine or a secret is committed."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from importlinter.cli import lint_imports
from invoke import Collection, Parser

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGES: Final = ("infra", "runbooks", "twin")
HEAVY: Final = ("httpx", "psycopg", "duckdb", "pulumi", "pulumi_cloudflare", "matplotlib", "rich", "msgspec", "aiohttp")
"""What an operator must not wait for when the question is only "which commands are there"."""

NAMES_THAT_SAY_NOTHING: Final = {"utils", "util", "helpers", "common", "misc", "manager", "base"}
EDGES: Final = {
    "runbooks/commands/frame/__init__.py": "turns an unknown failure into one message",
    "runbooks/drills/programme.py": "records a drill that trips, so that it does not take the others with it",
    "runbooks/engine/runner.py": "writes an unknown failure into the journal before it goes on upwards",
}
"""Where `except Exception` may stand, and why."""


def committed(*patterns: str) -> list[Path]:
    """Return the files that git tracks, or every file outside of hidden and built folders where there is no git."""
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]
    endings = tuple(pattern.removeprefix("*") for pattern in patterns)
    hidden = (".git", ".venv", "build", "node_modules")
    files = (file for file in ROOT.rglob("*") if file.is_file() and not set(file.relative_to(ROOT).parts) & set(hidden))
    return [file for file in files if not endings or file.name.endswith(endings)]


def modules(*folders: str) -> Iterator[tuple[str, Path, ast.Module]]:
    """Yield (path from the root, path, syntax tree) of every committed Python file below the folders, or of all."""
    for file in committed("*.py"):
        name = file.relative_to(ROOT).as_posix()
        if not folders or name.startswith(folders):
            yield name, file, ast.parse(file.read_text("utf-8"))


def tasks_of(collection: Collection, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every (name, task) of a namespace."""
    for name, task in collection.tasks.items():
        yield f"{prefix}{collection.transform(name)}", task
    for name, inner in collection.collections.items():
        yield from tasks_of(inner, f"{prefix}{name}.")


@pytest.fixture(scope="session")
def menu() -> Collection:
    """Give the namespace of tasks.py as invoke sees it."""
    import tasks  # noqa: PLC0415 - the import itself is under test elsewhere

    return tasks.namespace


def test_layers_hold() -> None:
    """Every import goes down the layers that pyproject.toml draws."""
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_packages_say_what_they_may_not_do() -> None:
    """Each package of ours opens with a docstring."""
    silent = [n for n, _, tree in modules(*PACKAGES) if n.endswith("__init__.py") and not ast.get_docstring(tree)]
    assert silent == []


def test_only_settings_read_the_environment() -> None:
    """`os.environ` is read at one door in the runbooks, and handed over from the command frame."""
    allowed = {"runbooks/commands/frame/__init__.py"}
    readers = {
        name
        for name, _, tree in modules("runbooks/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv")
    }
    assert readers - allowed == set()


def test_broad_excepts_stand_at_the_edge_only() -> None:
    """A broad `except` becomes a message or a journal entry at the edge; elsewhere it cleans up and re-raises."""
    broad = {
        f"{name}:{node.lineno}"
        for name, _, tree in modules(*PACKAGES)
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and name not in EDGES
        and ast.unparse(node.body[-1]) != "raise"
    }
    assert broad == set()


def test_modules_and_functions_stay_small() -> None:
    """A module has at most 300 lines (500 with the reason on its first line), a function 40, a folder 15 files."""
    too_long = []
    for name, file, tree in modules(*PACKAGES, "tasks.py", "benchmarks/", "examples/"):
        text = file.read_text("utf-8").splitlines()
        limit = 500 if text and "lines because" in text[0] else 300
        if len(text) > limit:
            too_long.append(f"{name}: {len(text)} lines")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > 40:
                    too_long.append(f"{name}:{node.lineno} {node.name}: {length} lines")
    folders: dict[str, int] = {}
    for name, _, _ in modules(*PACKAGES):
        folder = name.rpartition("/")[0]
        folders[folder] = folders.get(folder, 0) + 1
    too_long += [f"{folder}: {count} files" for folder, count in folders.items() if count > 15]
    assert too_long == []


def test_names_say_something() -> None:
    """No module is called utils, helpers, common, misc, manager or base."""
    assert [name for name, file, _ in modules() if file.stem in NAMES_THAT_SAY_NOTHING] == []


def test_tests_say_what_they_show() -> None:
    """Every test opens with a sentence of behaviour."""
    silent = [
        f"{name}:{node.lineno} {node.name}"
        for name, _, tree in modules("tests/")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_every_task_has_help() -> None:
    """Each task's help parses, starts with a sentence, and explains each of its flags."""
    # In a process of its own: invoke takes the help of a flag away when it is read for the first time.
    code = "import json, tests.test_conventions as t, tasks; print(json.dumps(t.unexplained(tasks.namespace)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def unexplained(menu: Collection) -> list[str]:
    """Return the tasks without a first sentence and the flags without help."""
    wrong = []
    for name, task in tasks_of(menu):
        first = (task.__doc__ or "").strip().splitlines()[:1]
        if not first or not first[0].endswith("."):
            wrong.append(f"{name}: no first sentence")
        wrong += [f"{name} --{argument.name}: no help" for argument in task.get_arguments() if not argument.help]
    return wrong


def test_every_book_is_in_the_readme() -> None:
    """A reader of the README finds every book."""
    readme = (ROOT / "README.md").read_text("utf-8")
    books = [f.stem for f in (ROOT / "runbooks").glob("*.py") if f.stem != "__init__"]
    assert books
    assert [book for book in books if f"runbooks/{book}.py" not in readme] == []


def test_every_command_in_the_readme_exists(menu: Collection) -> None:
    """Each `invoke …` of the README parses: the task exists and takes these flags."""
    readme = (ROOT / "README.md").read_text("utf-8")
    commands = re.findall(r"^(?:\$ )?invoke (.+?)(?:\s+#.*)?$", readme, re.MULTILINE)
    assert commands
    for command in commands:
        words = [word.strip("\"'") for word in re.findall(r"[^\s\"]*\"[^\"]*\"|\S+", command)]
        if words[0].startswith("--"):
            continue
        Parser(contexts=menu.to_contexts()).parse_argv(words)


def test_the_menu_is_light() -> None:
    """`import tasks` loads nothing that an operator would have to wait for."""
    code = f"import sys, tasks; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_menu_only_composes() -> None:
    """tasks.py stays under 60 lines and defines no task of its own."""
    text = (ROOT / "tasks.py").read_text("utf-8")
    assert len(text.splitlines()) < 60
    assert not any(isinstance(node, ast.FunctionDef) for node in ast.walk(ast.parse(text)))


def test_nothing_of_a_machine_is_committed() -> None:
    """No committed file holds a home folder, a package index's address or a private key."""
    marks = re.compile(
        r"resolved\W+https?:|--(?:extra-)?index-[u]rl|--find-[l]inks|/(?:home|Users)/\w+/|/[r]oot/\.|registry\.[n]pm"
        r"|files\.[p]ythonhosted|-----BEGIN [A-Z ]*PRIVATE [K]EY"
    )
    hits = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in committed()
        if file.stat().st_size < 2_000_000
        for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1)
        if marks.search(line)
    ]
    assert hits == []
