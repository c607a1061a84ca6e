"""Which code is at work."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from runbooks.model.version import code_version

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

INSTALLED = version("ems-ops")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_installed_package_says_its_version(tmp_path: Path) -> None:
    """Without a checkout there is only the version."""
    assert code_version(tmp_path) == INSTALLED


def test_detached_head_is_the_commit(tmp_path: Path) -> None:
    """HEAD may hold the commit itself."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text(f"{COMMIT}\n")
    assert code_version(tmp_path) == f"{INSTALLED}+0123456789ab"


def test_branch_is_followed_to_its_commit(tmp_path: Path) -> None:
    """A branch lies in a file of its own, or among the packed ones after `git gc`, or is still unborn."""
    git = tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert code_version(tmp_path) == INSTALLED
    (git / "packed-refs").write_text(f"# pack-refs\n{COMMIT[::-1]} refs/heads/other\n{COMMIT} refs/heads/main\n")
    assert code_version(tmp_path) == f"{INSTALLED}+0123456789ab"
    (git / "refs" / "heads" / "main").write_text(f"{COMMIT[::-1]}\n")
    assert code_version(tmp_path) == f"{INSTALLED}+76543210fedc"


def test_code_that_was_not_installed_still_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run from a folder without `pip install`, the version says so instead of failing."""

    def missing(_name: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr("importlib.metadata.version", missing)
    assert code_version(tmp_path) == "not installed"
