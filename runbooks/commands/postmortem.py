"""`invoke postmortem`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke import task

from runbooks.commands.frame import READING, Flags, perform

if TYPE_CHECKING:
    from invoke import Context

    from runbooks.commands.frame.console import Console
    from runbooks.model.errors import Exit


@task(auto_shortflags=False, help={**READING, "run": "The run to write about; without it the newest one."})
def postmortem(_context: Context, *, run: str = "", stack: str = "prod", json: bool = False) -> None:
    """Write the post-mortem of a run, in Markdown and HTML, from what its journal holds.

    Changes nothing but postmortem.md and postmortem.html beside the journal; again, it writes the same.
    """

    def work(console: Console) -> Exit:
        from runbooks import postmortem as book
        from runbooks.model.errors import Exit

        written = book.write(console.settings, console.runner.home, run or None, redact=console.redact)
        if console.flags.json:
            console.print_json({"run": written.run, "markdown": written.markdown, "html": written.html})
        else:
            print(written.markdown)  # noqa: T201 - the command's own output
            print(written.html)  # noqa: T201 - the command's own output
        return Exit.DONE

    perform(Flags(stack, json=json), work)
