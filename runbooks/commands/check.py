"""The quality gate: what must hold before a change goes in."""

from __future__ import annotations

from invoke import Context, task

GATE = ("ruff format --check .", "ruff check .", "mypy .", "lint-imports")
"""Formatting, lint, types, layers. The tests are `pytest`."""


@task
def check(context: Context) -> None:
    """Run the linters, the type checker and the layer contracts over the repository.

    Changes nothing. Takes about a minute the first time; needs `pip install -e '.[test]'`.
    """
    for command in GATE:
        context.run(command, echo=True)
