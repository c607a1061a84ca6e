"""A dump's list is sorted into what is ours, what becomes ours, and what is left to the platform."""

from __future__ import annotations

from runbooks.steps.backups.entries import Sorted, entries, sort
from runbooks.steps.backups.loading import without_configuration, without_strangers

LISTED = (
    "8; 2615 16448 SCHEMA - auth supabase_auth_admin",
    "2; 3079 16456 EXTENSION - pgcrypto ",
    "3700; 0 0 COMMENT - EXTENSION pgcrypto ",
    "230; 1259 16500 TABLE auth users supabase_auth_admin",
    "3701; 0 0 ACL auth TABLE users supabase_auth_admin",
    "250; 1259 16600 TABLE public horses postgres",
    "3650; 0 16500 TABLE DATA auth users supabase_auth_admin",
    "3651; 0 16502 TABLE DATA auth schema_migrations supabase_auth_admin",
    "3652; 0 16600 TABLE DATA public horses postgres",
    "3710; 0 0 SEQUENCE SET public invoice_number_seq postgres",
    "2101; 826 16460 DEFAULT ACL public DEFAULT PRIVILEGES FOR TABLES supabase_admin",
    "3500; 2606 16700 FK CONSTRAINT public bookings bookings_horse_id_fkey postgres",
    "3501; 3466 16800 EVENT TRIGGER - pgrst_watch supabase_admin",
)


def named(found: object) -> list[str]:
    """Return entries as kind and name."""
    return [f"{one.kind} {one.name}" for one in found]  # type: ignore[attr-defined] # a tuple of entries


def test_lines_are_read() -> None:
    """Kind, schema, name and owner of each, also of kinds that begin alike and of entries without schema or owner."""
    found = entries(LISTED)
    assert [(one.kind, one.schema, one.name, one.owner) for one in found[:2]] == [
        ("SCHEMA", "-", "auth", "supabase_auth_admin"),
        ("EXTENSION", "-", "pgcrypto", ""),
    ]
    assert (found[6].kind, found[6].name) == ("TABLE DATA", "users")
    assert (found[11].kind, found[11].name) == ("FK CONSTRAINT", "bookings bookings_horse_id_fkey")
    assert [one.line for one in found] == list(LISTED)


def test_in_a_new_database_what_is_the_platforms_becomes_ours() -> None:
    """Only what superusers alone can make is left out, and extensions, which are made before."""
    chosen = sort(entries(LISTED), become=frozenset({"postgres"}))
    assert named(chosen.theirs) == [
        *("SCHEMA auth", "TABLE users", "ACL TABLE users", "TABLE DATA users", "TABLE DATA schema_migrations"),
    ]
    assert named(chosen.skipped) == ["DEFAULT ACL DEFAULT PRIVILEGES FOR TABLES", "EVENT TRIGGER pgrst_watch"]
    assert named(chosen.ours)[:2] == ["TABLE horses", "TABLE DATA horses"]


def test_rows_of_an_extension_that_cannot_be_made_are_left_out() -> None:
    """pg_cron's own table comes with the extension, which another database of the server has: its rows are skipped."""
    listed = [*LISTED, "3653; 0 16900 TABLE DATA cron job supabase_admin"]
    sorted_ = sort(entries(listed), become=frozenset({"postgres"}))
    chosen = without_strangers(sorted_, frozenset({"public"}))
    assert (named(chosen.skipped)[-1], named(chosen.ours)) == ("TABLE DATA job", named(sorted_.ours))
    assert "TABLE DATA users" in named(chosen.theirs)
    assert without_strangers(sorted_, frozenset({"public", "cron"})) == sorted_


def test_rows_of_a_table_that_the_dump_does_not_define_are_left_out_where_its_extension_is_missing() -> None:
    """Only an extension's own configuration is dumped so: without the extension there is nothing to load it into."""
    listed = [line for line in LISTED if "schema_migrations" not in line and "invoice_number_seq" not in line]
    whole = Sorted(tuple(entries([*listed, "3653; 0 16900 TABLE DATA cron job supabase_admin"])), (), ())
    assert named(without_configuration(whole).skipped) == ["TABLE DATA job"]


def test_names_with_spaces_lose_no_rows() -> None:
    """The list does not quote: a schema, a table or an owner of several words is still known as what it is."""
    listed = [
        "9; 2615 16449 SCHEMA - with space the owner",
        "251; 1259 16601 TABLE with space no key the owner",
        "3654; 0 16601 TABLE DATA with space no key the owner",
        "3655; 0 16602 TABLE DATA public two words postgres",
        "3656; 0 16900 TABLE DATA cron job supabase_admin",
    ]
    chosen = without_strangers(
        sort(entries(listed), become=frozenset({"postgres", "the owner"})), frozenset({"public"})
    )
    assert [one.line for one in chosen.ours] == listed[:4]
    assert [one.line for one in chosen.skipped] == listed[4:]
