"""Ways to go back to a point, and why one is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runbooks.model.errors import Refused

if TYPE_CHECKING:
    from runbooks.clients.supabase import Backups

STRATEGIES: Final = ("auto", "pitr", "dump", "archive")


def choose(asked: str, backups: Backups, *, project: str, retry: str) -> tuple[str, str]:
    """Return the strategy and the reason for it. Raises Refused where it is not there, naming what is.

    `retry` is the command without its strategy.
    """
    if asked not in STRATEGIES:
        message = f"--strategy={asked}: expected one of {', '.join(STRATEGIES)}."
        raise Refused(message, next_command=retry)
    daily = [backup.inserted_at for backup in backups.backups if backup.status == "COMPLETED"]
    exists = "pitr is not enabled for this project"
    if backups.pitr_enabled:
        ends = [f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else "?" for at in (backups.window.earliest, backups.window.latest)]
        exists = f"pitr, from {ends[0]} to {ends[1]}"
    exists += f"; the provider's daily backups: {', '.join(daily) or 'none'} (restored in its dashboard)"
    if asked in ("dump", "archive"):
        message = f"--strategy={asked}: not available for this project yet. What exists: {exists}."
        raise Refused(message, next_command=f"{retry} --strategy=pitr" if backups.pitr_enabled else None)
    if not backups.pitr_enabled:
        message = f"Supabase project {project}: nothing here can reach a point in time. What exists: {exists}."
        raise Refused(message, next_command=f"open https://supabase.com/dashboard/project/{project}")
    if asked == "pitr":
        return "pitr", "as asked"
    return "pitr", "the provider's recovery reaches any second of its window"
