"""What a comparison found is sorted: only what was left out on purpose is no fault."""

from __future__ import annotations

import pytest

from runbooks.steps.backups.proving import HERE, sorted_out
from runbooks.steps.database.proof.comparing import MISSING, Finding
from runbooks.steps.database.proof.manifest import Kind

LEFT_OUT = ('"public"."log"', '"Club"."odd name"')


@pytest.mark.parametrize(
    ("kind", "where", "expected"),
    [
        (Kind.TABLE_ROWS, "public.logins", "3 rows"),
        (Kind.COLUMN, "public.log_entries.at", "1. date"),
        (Kind.TABLE, 'public."log book"', "table"),
        (Kind.GRANT, "table other.public.log to anon", "select"),
        (Kind.INDEX, "public.logins_pkey", "CREATE UNIQUE INDEX logins_pkey ON public.logins USING btree (id)"),
        (Kind.SEQUENCE, "public.logins_id_seq", "bigint owned by public.logins.id"),
    ],
)
def test_a_table_whose_name_begins_like_one_that_was_left_out_is_looked_at(
    kind: Kind, where: str, expected: str
) -> None:
    """Its faults are faults."""
    finding = Finding(kind, where, expected, MISSING)
    assert sorted_out([finding], left_out=LEFT_OUT) == ([str(finding)], [])


def test_what_belongs_to_a_table_that_was_left_out_was_left_out_with_it() -> None:
    """Its columns, grants, indexes under names of their own, the sequence that it owns with its grants and value."""
    findings = [
        Finding(Kind.TABLE, "public.log", "table", MISSING),
        Finding(Kind.COLUMN, "public.log.at", "1. date", MISSING),
        Finding(Kind.GRANT, "table public.log to anon", "select", MISSING),
        Finding(Kind.TABLE, '"Club"."odd name"', "table", MISSING),
        Finding(Kind.INDEX, "public.by_day", "CREATE INDEX by_day ON public.log USING btree (at)", MISSING),
        Finding(Kind.COMMENT, "index public.by_day", "days", MISSING),
        Finding(Kind.SEQUENCE, "public.counter", "bigint owned by public.log.id", "bigint"),
        Finding(Kind.GRANT, "sequence public.counter to anon", "usage", MISSING),
        Finding(Kind.STATISTICS, "public.st", "CREATE STATISTICS public.st ON a, b FROM public.log", MISSING),
    ]
    assert sorted_out(findings, left_out=LEFT_OUT) == ([], [str(finding) for finding in findings])


@pytest.mark.parametrize(
    "said",
    [
        "ERROR:  ICU is not supported in this build",
        "ERROR:  compression method lz4 not supported\nDETAIL:  … requires the server to be built with",
        "could not write: No space left on device",
    ],
)
def test_what_this_machine_cannot_do_is_no_fault_of_a_backup(said: str) -> None:
    """Then nothing is proven, and nothing is written down against it."""
    assert HERE.search(said)
