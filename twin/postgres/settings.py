"""Say what postgresql.conf holds beyond PostgreSQL's own defaults, each with its reason."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twin.postgres.programs import Programs

SERVER = {
    "listen_addresses": "",  # only the gateway reaches the server
    "max_connections": "100",
    "shared_buffers": "64MB",
    "shared_preload_libraries": "pg_stat_statements",
    "io_workers": "1",
    # Data survives the death of every process; only the machine's power may take it.
    "fsync": "off",
    "wal_level": "replica",
    "archive_mode": "on",
    # A hard link costs nothing. It needs wal_recycle off: a recycled file would be overwritten under its link.
    # A timeline's .partial file is never needed, and a second recovery from the same segment would repeat its name.
    "archive_command": "case %f in *.partial) ;; *) test ../archive/%f -ef %p || ln %p ../archive/%f ;; esac",
    "archive_timeout": "120",  # Supabase's: at most two minutes are not yet archived
    "wal_recycle": "off",
    "wal_init_zero": "off",
    "max_wal_size": "256MB",
    "min_wal_size": "2MB",
    "track_commit_timestamp": "on",  # what was committed when, for points in time
    "password_encryption": "scram-sha-256",
    "scram_iterations": "256",  # passwords are long and random; thousands of rounds would only slow each connection
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_min_duration_statement": "1s",
}

RECOVERY = {
    "restore_command": "cp ../archive/%f %p",
    "recovery_target_action": "promote",
    "hot_standby": "off",  # nobody may read a half-replayed state
}

# Supabase lets the role `postgres` create these, PostgreSQL itself only a superuser: supautils.privileged_extensions of
# supabase/postgres (ansible/files/postgresql_config/supautils.conf.j2; what PostgreSQL 17 shows of it stands in
# nix/tests/expected/z_17_supautils.out, commit 35c0bbca), read 2026-11-28, as far as this build has them. What it names
# beside them is trusted by PostgreSQL itself (hstore, pg_trgm, …) or not in this build (postgis, pg_cron, …).
# Not in it, so refused as by PostgreSQL: "may be unsafe" (file_fdw, pageinspect, pg_freespacemap, pg_surgery,
# pg_visibility) and deprecated (intagg). Newer projects may create amcheck too (pull request #2240 of 2026-06, put into
# pg_catalog); here it is refused as by those before.
PRIVILEGED = (
    "autoinc", "bloom", "dblink", "dict_xsyn", "earthdistance", "insert_username", "moddatetime", "pg_buffercache",
    "pg_prewarm", "pg_stat_statements", "pg_walinspect", "pgrowlocks", "pgstattuple", "postgres_fdw", "refint",
    "vector",
)  # fmt: skip

AUTHENTICATION = "local all all scram-sha-256\nlocal replication all scram-sha-256\n"


def write(programs: Programs, data: Path) -> None:
    """Write the configuration of a new data directory, and the extensions that this build lacks beside it."""
    shims = programs.data / "share"
    shutil.rmtree(shims, ignore_errors=True)
    shutil.copytree(Path(__file__).parent / "extension", shims / "extension")
    _trust(programs["postgres"].parents[1] / "share" / "extension", shims / "extension")
    settings = SERVER | {"extension_control_path": f"{shims}:$system"}
    lines = [f"{name} = '{_quoted(value)}'\n" for name, value in settings.items()]
    for name, text in (("postgresql.conf", "".join(lines)), ("pg_hba.conf", AUTHENTICATION)):
        (data / name).write_text(text, encoding="utf-8")


def _trust(system: Path, ours: Path) -> None:
    """Lay a trusted copy of the privileged extensions before the build's own."""
    for name in PRIVILEGED:
        for file in (system / f"{name}.control", *system.glob(f"{name}--*.sql")):
            text = file.read_text("utf-8")
            (ours / file.name).write_text(f"{text}trusted = true\n" if file.suffix == ".control" else text, "utf-8")


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")
