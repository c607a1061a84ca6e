"""A product of an API alone: its stack file has only what every product must say."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
ACCOUNT: Final = "0123456789abcdef0123456789abcdef"
ZONE: Final = "lending.test"
PROJECT: Final = "lendingprojectoftest"


def config_of(addresses: dict[str, str], folder: Path) -> dict[str, Any]:
    """Return the values of its stack file: providers at these addresses, state and ops home in a folder."""
    return {
        "cloudflare:baseUrl": addresses["cloudflare"],
        "ems-ops:product": {"name": "lending", "title": "The Lending Library"},
        "ems-ops:account": ACCOUNT,
        "ems-ops:zone": ZONE,
        "ems-ops:endpoints": {
            "supabase": addresses["supabase"],
            "edge": addresses["edge"],
            "resolver": addresses["dns"],
        },
        "ems-ops:api": {
            "name": "lending-worker",
            "host": f"loans.{ZONE}",
            "build": ["python", "-m", "twin", "bundle", str(HERE / "worker.js")],
            "compatibility_date": "2026-04-01",
            "compatibility_flags": ["nodejs_compat"],
            "crons": [],
            "secrets": ["DESK_KEY"],
            "variables": {},
            "retry_after_seconds": 5,
            "health": {"path": "/alive", "status": "up", "message": "lending", "fresh_seconds": 60},
            "smoke": [{"path": "/loans", "contains": "edition"}],
        },
        "ems-ops:web": None,
        "ems-ops:records": [],
        "ems-ops:database": {
            "project": PROJECT,
            "hyperdrive": "lending-way",
            "schema": str(HERE / "schema.sql"),
            "seed": [],
            "operator_cidrs": ["127.0.0.1/32"],
            "checks": [{"name": "loans are there", "sql": "select exists (select from lending.loans)"}],
        },
        "ems-ops:objectives": {"rto_seconds": 300, "rpo_seconds": 120},
        "ems-ops:contacts": {
            "time_zone": "Europe/Lisbon",
            "technical_lead": "lead@lending.test",
            "database_admin": "data@lending.test",
            "on_call": "call@lending.test",
        },
        "ems-ops:ops_home": str(folder / "ops"),
        "ems-ops:drill": {
            "workload": {
                "path": "/loans",
                "table": "lending.loans",
                "key": "number",
                "per_second": 20,
                "body": {"book": "select shelfmark from lending.books"},
                "headers": {"X-Desk": "made-up-for-a-drill-EMS_SECRET_DESK_KEY"},
            },
            "lost_table": {"sql": "truncate lending.loans"},
            "bad_release": {"path": "/loans"},
        },
        "ems-ops:twin": {
            "state": str(folder / "twin"),
            "ports": {"cloudflare": 0, "supabase": 0, "edge": 0, "dns": 0, "postgres": 0},
        },
        "ems-ops:pins": {},
    }
