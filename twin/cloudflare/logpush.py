"""Keep where logs go: Logpush jobs are stored and read back; the twin pushes nothing by itself yet.

Codes and texts of refusals are not confirmed against the provider.
"""

from __future__ import annotations

from twin.cloudflare.collection import Collection, Rows
from twin.cloudflare.errors import Json, required


def build_job(sent: Json, _rows: Rows, _own: str) -> Json:
    """Return a checked Logpush job."""
    required(sent, "destination_conf")
    return {"dataset": "workers_trace_events", "enabled": False, "last_complete": None, "last_error": None} | sent


JOBS = Collection(
    kind="logpush job",
    path="/accounts/{account}/logpush/jobs",
    key="logpush",
    gone=(1002, "job not found"),
    build=build_job,
    next_id=lambda rows: max(map(int, rows), default=0) + 1,  # a whole number: the provider process dies of a text
)
ROUTES = JOBS.routes()
