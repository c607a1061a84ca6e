"""`invoke drill`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke import task

from runbooks.commands.frame import READING, Flags, perform
from runbooks.commands.frame.words import WordsTask

if TYPE_CHECKING:
    from invoke import Context

    from runbooks.commands.frame.console import Console
    from runbooks.model.errors import Exit


@task(
    klass=WordsTask,
    auto_shortflags=False,
    positional=["names"],
    help={
        **READING,
        "names": "Which drills; without a name bad-release and lost-table.",
        "all": "All drills.",
        "list": "Print the names of the drills and what each does, and stop.",
        "junit": "Write the result as JUnit XML into this file as well.",
    },
)
def drill(
    _context: Context,
    names: list[str],
    *,
    all: bool = False,  # noqa: A002 - the flag's name
    list: bool = False,  # noqa: A002 - the flag's name
    junit: str = "",
    stack: str = "twin",
    json: bool = False,
) -> None:
    """Break a fresh local twin while it is in use, let the real runbooks repair it, measure recovery and loss.

    Changes nothing but a twin of its own on free ports, which is gone afterwards; the evidence stays in the ops home.
    `rehearsal` breaks nothing and needs no twin: `invoke drill rehearsal --stack prod` restores production's newest own
    backup on this machine and compares it; only the proof is written.
    A drill that is not proven, or could not be measured, does not end it: the next one gets a fresh twin, and all are
    named at the end. Ctrl-C does. Exit 0 only when every drill is proven, 1 when one is not; 3 after Ctrl-C, 4 when
    another operator's run is in the way. Costs: about half a minute, with --all two minutes; the first time the engines
    are fetched.
    """

    def work(console: Console) -> Exit:
        from runbooks.commands import drilling

        if list:
            return drilling.listed(console)
        return drilling.drill(console, names, every=all, junit=junit)

    perform(Flags(stack, json=json), work)
