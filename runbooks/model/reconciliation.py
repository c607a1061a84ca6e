# Up to 500 lines because it is one table: an entry for each thing that is changed outside.
"""Everything that the runbooks change outside, and what becomes of it when its answer is lost.

The doors ask for the entry: without one no request is sent (`clients/transport.py`, `clients/edge.py`) and no session
writes (`clients/postgres.py`). Each step that changes something is named here by what it does; a test compares them
with the steps, and loses the answer of each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Lost(StrEnum):
    """What makes a lost answer harmless."""

    BY_NATURE = "idempotent by nature"
    """Doing it again gives the same, and nothing besides."""
    BY_KEY = "idempotent by key"
    """The other side knows a repetition by a key of ours."""
    BY_LOOKUP = "looked for"
    """It is not done again unless it is proven that it did not happen."""


@dataclass(frozen=True, kw_only=True)
class Write:
    """One thing that is changed. `call` is the HTTP method or the operation, `path` a pattern of the whole path.

    `how` says by what a lost answer is settled, `request_id` where the act's id is kept, or why it isn't. `steps` are
    the functions in `runbooks/steps` whose steps do it (none: only a drill's twin is changed).
    """

    system: str
    call: str
    path: str = ""
    lost: Lost
    how: str
    request_id: str
    steps: tuple[str, ...] = ()

    def covers(self, path: str) -> bool:
        """Tell whether a request to this path is meant."""
        return re.fullmatch(self.path, path) is not None


DEPLOY: Final = Write(
    system="Cloudflare",
    call="POST",
    path=r"/accounts/[^/]+/workers/scripts/[^/]+/deployments",
    lost=Lost.BY_LOOKUP,
    how="the live deployment; one of somebody else that came between is left as it is",
    request_id="the deployment's annotation workers/message",
    steps=("workers.route_traffic", "stages.shift_traffic", "stages.follow_program"),
)
UPLOAD_AGAIN: Final = Write(
    system="Cloudflare",
    call="POST",
    path=r"/accounts/[^/]+/workers/workers/[^/]+/versions",
    lost=Lost.BY_LOOKUP,
    how="the version whose message names the run, which uploads one; without traffic it does nothing",
    request_id="the version's annotation workers/message",
    steps=("secrets.set_secrets",),
)
MOVE_SITE: Final = Write(
    system="Cloudflare",
    call="POST",
    path=r"/accounts/[^/]+/pages/projects/[^/]+/deployments/[^/]+/rollback",
    lost=Lost.BY_LOOKUP,
    how="the project's canonical deployment; one of somebody else that came between is left as it is",
    request_id="nowhere: a rollback makes nothing that could carry it",
    steps=("pages.make_live",),
)
PURGE: Final = Write(
    system="Cloudflare",
    call="POST",
    path=r"/zones/[^/]+/purge_cache",
    lost=Lost.BY_NATURE,
    how="what is gone from the cache is fetched again; what is served after it is compared",
    request_id="nowhere: it leaves nothing behind",
    steps=("pages.purge_cache",),
)
CHANGE_RECORDS: Final = Write(
    system="Cloudflare",
    call="POST",
    path=r"/zones/[^/]+/dns_records/batch",
    lost=Lost.BY_LOOKUP,
    how="the records that stand; a batch is one transaction, and none of its parts can be done to its own result",
    request_id="nowhere: in a record's comment it would be a change of the record",
    steps=("records.bring_back",),
)
RESTRICT: Final = Write(
    system="Supabase",
    call="POST",
    path=r"/v1/projects/[^/]+/network-restrictions/apply",
    lost=Lost.BY_NATURE,
    how="both lists are replaced whole, and read back; lists of somebody else that came between are left as they are",
    request_id="nowhere: the platform keeps addresses only",
    steps=("restrictions.allow",),
)
RECOVER: Final = Write(
    system="Supabase",
    call="POST",
    path=r"/v1/projects/[^/]+/database/backups/restore-pitr",
    lost=Lost.BY_LOOKUP,
    how="the server's start, timeline, transactions, and the project's state; after 20 s of nothing it has not begun",
    request_id="nowhere: the platform keeps no comment; what was seen before the request is in the journal",
    steps=("supabase.recover",),
)
EMPTY_TRANSACTION: Final = Write(
    system="database",
    call="commit a transaction that changes no row",
    lost=Lost.BY_NATURE,
    how="the window of the provider's archive",
    request_id="nowhere: it leaves nothing behind",
    steps=("supabase.let_the_archive_reach",),
)
END_SESSIONS: Final = Write(
    system="database",
    call="pg_terminate_backend",
    lost=Lost.BY_NATURE,
    how="pg_stat_activity: who is connected now",
    request_id="nowhere: an ended session is gone",
    steps=("server.end_other_sessions",),
)
APPLY: Final = Write(
    system="program",
    call="pulumi up, on the twin `python -m twin apply`",
    lost=Lost.BY_NATURE,
    how="its own state, written after each resource: the next run goes on from there, what stands is not made again",
    request_id="the state of the program",
    steps=("program.apply_program",),
)
COPY: Final = Write(
    system="ops home",
    call="copy the database into backups/<id>",
    lost=Lost.BY_LOOKUP,
    how="the manifest and the size of every file; it is moved to its place whole",
    request_id="nowhere: the copy's id is in the plan",
    steps=("copies.copy_present",),
)
NOTE_DEFINITIONS: Final = Write(
    system="ops home",
    call="note the present's definitions in backups/<id>",
    lost=Lost.BY_LOOKUP,
    how="its file, and the point that stands in it; it is moved to its place whole",
    request_id="nowhere: the copy's id is in the plan",
    steps=("definitions.note_definitions",),
)
COPY_LATER: Final = Write(
    system="ops home",
    call="copy rows into backups/<id>/later",
    lost=Lost.BY_LOOKUP,
    how="its manifest; it is moved to its place whole",
    request_id="nowhere: the copy's id is in the plan",
    steps=("copies.keep_later_writes",),
)
LOAD_BACKUP: Final = Write(
    system="database",
    call="load a backup into a database that nobody uses yet",
    lost=Lost.BY_LOOKUP,
    how="the note on the database that says what was loaded whole; without it the database is made anew",
    request_id="the note on the database",
    steps=("beside.load_beside",),
)
FETCH: Final = Write(
    system="ops home",
    call="bring a backup to this machine, and remove it again",
    lost=Lost.BY_NATURE,
    how="a file that is written last",
    request_id="nowhere: the backup's id is the folder's name",
    steps=("beside.have_on_this_machine", "beside.forget"),
)
SWITCH: Final = Write(
    system="database",
    call="rename two databases in one transaction",
    lost=Lost.BY_LOOKUP,
    how="the notes on the databases, which move with them",
    request_id="nowhere: the note names the run",
    steps=("renaming.switch",),
)
DROP_FORMER: Final = Write(
    system="database",
    call="drop a database that is noted as former",
    lost=Lost.BY_NATURE,
    how="whether it is still there",
    request_id="nowhere: what is gone says nothing",
    steps=("renaming.drop_former",),
)
NOTE_PLACE: Final = Write(
    system="database",
    call="comment on a database: whose place it has",
    lost=Lost.BY_NATURE,
    how="the comment, which names the run",
    request_id="nowhere: the comment names the run",
    steps=("replaced.note_place",),
)
SWITCH_WAL: Final = Write(
    system="database",
    call="commit a transaction that changes no row, and begin a new WAL segment",
    lost=Lost.BY_NATURE,
    how="what was committed in the archived WAL, and when",
    request_id="nowhere: it leaves nothing behind",
    steps=("recovering.let_the_wal_arrive",),
)
RECOVER_BESIDE: Final = Write(
    system="server of our own",
    call="copy a base beside the data folder and replay WAL",
    lost=Lost.BY_LOOKUP,
    how="the note beside the copy that it stood at the point; without it the copy is made anew",
    request_id="nowhere: the note names the run",
    steps=("recovering.recover_beside",),
)
END_RECOVERY: Final = Write(
    system="server of our own",
    call="end the recovery of a copy that nobody uses yet",
    lost=Lost.BY_LOOKUP,
    how="the note beside the copy, and whether it still asks for a recovery",
    request_id="nowhere: the note names the run",
    steps=("recovering.end_the_recovery",),
)
STOP_SERVER: Final = Write(
    system="server of our own",
    call="the stack file's command that stops it",
    lost=Lost.BY_NATURE,
    how="whether it answers, and its process",
    request_id="nowhere: a stopped server keeps nothing",
    steps=("places.stop_server",),
)
START_SERVER: Final = Write(
    system="server of our own",
    call="the stack file's command that starts it",
    lost=Lost.BY_NATURE,
    how="what the server that answers says of itself: system, timeline, recovery",
    request_id="nowhere: a server keeps nothing of its start",
    steps=("places.start_server",),
)
EXCHANGE: Final = Write(
    system="server of our own",
    call="rename two data folders",
    lost=Lost.BY_LOOKUP,
    how="which folders are there; half an exchange is finished",
    request_id="nowhere: the note beside the former folder names the run",
    steps=("places.exchange_folders",),
)
DROP_FOLDER: Final = Write(
    system="server of our own",
    call="remove a data folder that is noted as former",
    lost=Lost.BY_NATURE,
    how="whether it is still there",
    request_id="nowhere: what is gone says nothing",
    steps=("places.drop_folder",),
)
MOVE: Final = Write(
    system="Cloudflare",
    call="PATCH",
    path=r"/accounts/[^/]+/hyperdrive/configs/[^/]+",
    lost=Lost.BY_LOOKUP,
    how="the origin that Hyperdrive has; one of somebody else that came between is left as it is",
    request_id="nowhere: the provider keeps no comment",
    steps=("hyperdrive.move_connection",),
)
HOLD_JOBS: Final = Write(
    system="database",
    call="cron.alter_job: whether jobs are active, and in which database",
    lost=Lost.BY_NATURE,
    how="which jobs are active and where; which of them were before is in the intent",
    request_id="nowhere: pg_cron keeps no comment",
    steps=("jobs.hold_jobs", "jobs.release_jobs"),
)
HOLD_OUTGOING: Final = Write(
    system="database",
    call="the stack file's statements that hold what waits to leave, or let it go",
    lost=Lost.BY_LOOKUP,
    how="how many wait, how many are held; one transaction",
    request_id="nowhere: rows of the product are not ours to mark",
    steps=("outgoing.hold_outgoing", "outgoing.release_outgoing"),
)
END_LOGINS: Final = Write(
    system="database",
    call="delete every login",
    lost=Lost.BY_NATURE,
    how="whether any is left",
    request_id="nowhere: what is gone says nothing",
    steps=("logins.end_logins",),
)
ERASE: Final = Write(
    system="database",
    call="the stack file's statements that erase a person",
    lost=Lost.BY_NATURE,
    how="the stack file's SQL that sees whether anything is left; one transaction a person",
    request_id="nowhere: what is gone says nothing",
    steps=("erasures.erase",),
)
NOTE_ERASURE: Final = Write(
    system="ops home",
    call="append to erasures.jsonl",
    lost=Lost.BY_LOOKUP,
    how="the line of this run for this person",
    request_id="nowhere: the line's field run names the run",
    steps=("erasures.note_erasures",),
)
LIST_ACCEPTED: Final = Write(
    system="ops home",
    call="put the list of what was accepted after the point",
    lost=Lost.BY_LOOKUP,
    how="the file, which is put whole and never written over",
    request_id="nowhere: it lies in the run's folder",
    steps=("accepted.list_accepted",),
)
ASK_LOGS: Final = Write(
    system="Cloudflare",
    call="POST",
    path=r"/accounts/[^/]+/workers/observability/telemetry/query",
    lost=Lost.BY_NATURE,
    how="it only reads: the question is too long for an address; a list without its answer says so",
    request_id="nowhere: it leaves nothing behind",
)
DUMP: Final = Write(
    system="ops home",
    call="dump the database into a draft",
    lost=Lost.BY_LOOKUP,
    how="its manifest and the size of every file; a draft that was not stored is made anew",
    request_id="nowhere: the backup's id is in the plan",
    steps=("dumping.dump_database",),
)
STORE: Final = Write(
    system="backups",
    call="put the files of a backup",
    lost=Lost.BY_NATURE,
    how="the size of each file that is there; the same bytes are put again",
    request_id="nowhere: the backup's id is their folder",
    steps=("storing.store",),
)
PUBLISH: Final = Write(
    system="backups",
    call="put the manifest of a backup if absent",
    lost=Lost.BY_LOOKUP,
    how="the manifest that is there; another one is never written over",
    request_id="nowhere: the manifest names the run",
    steps=("storing.publish",),
)
TAKE_AWAY: Final = Write(
    system="backups",
    call="delete the files of a backup, its manifest first",
    lost=Lost.BY_NATURE,
    how="which files are still there",
    request_id="nowhere: what is gone says nothing",
    steps=("pruning.take_away",),
)
PROVE: Final = Write(
    system="ops home",
    call="put the proof of a backup if absent",
    lost=Lost.BY_LOOKUP,
    how="the proof of this run",
    request_id="the proof's name is the run's id",
    steps=("proofs.record",),
)
NOTE_RELEASE: Final = Write(
    system="ops home",
    call="append to releases.jsonl",
    lost=Lost.BY_LOOKUP,
    how="the line of this request, or what the ledger says as a whole",
    request_id="the line's field request",
    steps=("releases.record_verified", "releases.quarantine", "releases.note_unpinned"),
)
KEEP_RECORDS: Final = Write(
    system="ops home",
    call="append to records.jsonl",
    lost=Lost.BY_LOOKUP,
    how="the last line: the same records are not written twice",
    request_id="nowhere: the line's field run names the run",
    steps=("snapshots.keep_records",),
)
PIN: Final = Write(
    system="stack file",
    call="replace the pins",
    lost=Lost.BY_LOOKUP,
    how="the pin that stands there; the file is replaced whole",
    request_id="nowhere: the pin's field run names the run",
    steps=("pins.pin_release", "pins.pin_database", "pins.unpin_release"),
)
ORDER: Final = Write(
    system="operated service",
    call="POST",
    path=r"/.*",
    lost=Lost.BY_KEY,
    how="a drill's own user never sends an order twice, and counts it as unanswered",
    request_id="the header idempotency-key",
)
SPOIL: Final = Write(
    system="database",
    call="the statement by which a drill loses a table of its own twin",
    lost=Lost.BY_NATURE,
    how="a drill looks until the fault is noticed; the twin is thrown away",
    request_id="nowhere: it is the fault, not the repair",
)
LOAD: Final = Write(
    system="database",
    call="psql: schema and data of a new twin",
    lost=Lost.BY_LOOKUP,
    how="one transaction a file; loaded only where the product's tables are not there",
    request_id="nowhere: a new twin has nobody else",
)
BREAK: Final = Write(
    system="twin",
    call="POST",
    path=r"/__twin/(faults|cron|break)",
    lost=Lost.BY_LOOKUP,
    how="a drill looks until the fault is noticed; the twin is thrown away",
    request_id="nowhere: it is the fault, not the repair",
)
MEND: Final = Write(
    system="twin",
    call="DELETE",
    path="/__twin/faults",
    lost=Lost.BY_NATURE,
    how="no fault is left after it, however often",
    request_id="nowhere: it leaves nothing behind",
)

WRITES: Final = tuple(entry for entry in list(globals().values()) if isinstance(entry, Write))
