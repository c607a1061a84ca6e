"""`invoke twin.up`, `twin.down`, `twin.break`: the local twin, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke import task

from runbooks.commands.frame import READING, Flags, perform

if TYPE_CHECKING:
    from invoke import Context

    from runbooks.commands.frame.console import Console
    from runbooks.model.errors import Exit


@task(auto_shortflags=False, help=READING)
def up(_context: Context, *, stack: str = "twin", json: bool = False) -> None:
    """Start the local twin on the stack's fixed ports, with data and a deployed release.

    Changes: processes on this machine and the twin's folder; nothing anywhere else. Run again, it brings up what is
    missing. Costs: a few seconds; the first time the engines are fetched into the user's cache. It stays up until
    `invoke twin.down`.
    """

    def work(console: Console) -> Exit:
        from runbooks.commands import local

        return local.up(console)

    perform(Flags(stack, json=json), work)


@task(auto_shortflags=False, help=READING)
def down(_context: Context, *, stack: str = "twin", json: bool = False) -> None:
    """Stop the local twin.

    Its data stays in its folder: `invoke twin.up` goes on with it. Remove the folder to begin anew.
    """

    def work(console: Console) -> Exit:
        from runbooks.commands import local

        return local.down(console)

    perform(Flags(stack, json=json), work)


@task(
    auto_shortflags=False,
    name="break",
    help={
        **READING,
        "what": (
            "A whole thing: postgres-stop, postgres-start, rate-limits (1,200 calls in 5 minutes, until a reset), "
            "platform-sessions (Supabase's own services are in the database: it cannot be renamed, until a reset); "
            "or what users have seen of recoveries: restore-ignored, -pretended, -restarted, -empty, -stuck, "
            "-inactive, -odd, -shifted; restrictions-stored, -unheld; archive-none, -stopped."
        ),
        "seconds": "With --what=restore-shifted: how much later than the point, in whole seconds; negative: earlier.",
        "path": "Break calls whose path matches this pattern.",
        "method": "Only calls by this method: GET, POST … Without it: any.",
        "provider": "Only calls to this one: cloudflare, supabase or edge. Without it: any.",
        "status": "Answer with this HTTP status instead.",
        "retry_after": "With --status: when to ask again, in seconds.",
        "delay": "Let the call wait, in seconds.",
        "silence": "Answer nothing for so many seconds, then close the connection.",
        "stale": "Answer reads as before the last write, for so many seconds after it.",
        "reset": "Cut the connection: before or after the effect.",
        "after": "Let this many matching calls go well first.",
        "times": "Break this many calls; 0 breaks all.",
        "clear": "Let all calls go well again.",
    },
)
def break_(
    _context: Context,
    *,
    what: str = "",
    seconds: int = 0,
    path: str = "",
    method: str = "",
    provider: str = "",
    status: int = 0,
    retry_after: int = 0,
    delay: float = 0.0,
    silence: float = 0.0,
    stale: float = 0.0,
    reset: str = "",
    after: int = 0,
    times: int = 1,
    clear: bool = False,
    stack: str = "twin",
    json: bool = False,
) -> None:
    """Break the local twin, to see what the runbooks do.

    Changes only the twin: an engine as a whole, or the provider calls that match.
    """

    def work(console: Console) -> Exit:
        from runbooks.clients.twin import Do, Fault
        from runbooks.commands import local

        do = Do(
            status=status or None, retry_after=retry_after or None, delay=delay or None, silence=silence or None,
            stale=stale or None, reset=reset or None,
        )  # fmt: skip
        fault = Fault(provider=provider, method=method, path=path, do=do, after=after, times=times or None)
        return local.break_down(console, what=what, seconds=seconds, fault=fault if path else None, clear=clear)

    perform(Flags(stack, json=json), work)
