# Up to 500 lines because it is one table: a line or two for each fault.
"""What can be wrong with a restored database, planted one by one: the smallest change that each of them is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

QUIET: Final = "set session_replication_role = replica; "
"""Goes before each: no trigger and no foreign key answers to what is planted."""


class Place(StrEnum):
    """Where a fault is planted."""

    DATABASE = "in the database"
    LATE = "in the database, after the point"
    CLUSTER = "in the cluster, and taken back"
    DISK = "in a file of the stopped server"
    ELSEWHERE = "another server or database stands in its place"


@dataclass(frozen=True)
class Fault:
    """One fault: what is planted (SQL, or SQL for the relation whose file is damaged), and how it is taken back."""

    name: str
    plant: str
    place: Place = Place.DATABASE
    undo: str = ""
    group: str = ""


def _group(name: str, *faults: Fault) -> tuple[Fault, ...]:
    return tuple(Fault(fault.name, fault.plant, fault.place, fault.undo, name) for fault in faults)


def _of_this_database(change: str) -> str:
    return f"do $$ begin execute format('alter database %I {change}', current_database()); end $$"


ROWS: Final = _group(
    "rows",
    Fault("a row missing", "delete from depot.moves where id = 77"),
    Fault("some rows missing", "delete from depot.moves where id between 100 and 140"),
    Fault("the newest rows missing", "delete from depot.parcels where id > 1990"),
    Fault(
        "rows doubled",
        "insert into depot.moves (parcel_id, at, station) select parcel_id, at, station from depot.moves limit 5",
    ),
    Fault("a row altered", "update depot.parcels set price = price + 1 where id = 5"),
    Fault("rows from after the point", "insert into ledger.settings values ('late', '1')", Place.LATE),
    Fault("a row altered after the point", "update depot.parcels set price = 1 where id = 9", Place.LATE),
    Fault("a table empty", "truncate depot.moves_2025"),
    Fault("a small table empty", "truncate ledger.settings"),
    Fault("an unlogged table emptied", "truncate depot.sessions"),
    Fault("a table missing", 'drop table depot."Odd Name"'),
    Fault("a whole schema missing", "drop schema ledger cascade"),
    Fault("a partition missing", "drop table depot.moves_2025"),
    Fault(
        "rows in the wrong table",
        "insert into ledger.settings select 'moved ' || id, '1' from depot.customers"
        " where id < 4; delete from depot.customers where id < 4",
    ),
    Fault("large object missing", "select lo_unlink(500001)"),
    Fault("large object altered", "select lo_put(500002, 100, 'other')"),
)

VALUES: Final = _group(
    "values",
    Fault("two columns swapped", "update depot.customers set name = note, note = name where note <> ''"),
    Fault(
        "values swapped between two rows",
        "update depot.parcels set price = case id when 10 then 4.07 else 3.70 end where id in (10, 11)",
    ),
    Fault("a long text truncated", "update depot.scans set page = left(page, 8191) where id = 7"),
    Fault("text truncated", "update depot.customers set note = left(note, 20) where id = 2"),
    Fault(
        "text in the wrong encoding",
        "update depot.customers set name = convert_from(convert_to(name, 'UTF8'), 'LATIN1')",
    ),
    Fault("a letter's accent lost", "update depot.customers set name = replace(name, 'ü', 'u') where id = 2"),
    Fault("trailing space added", "update depot.customers set phone = phone || ' ' where id = 3"),
    Fault(
        "case lost in case-insensitive text",
        "update depot.customers set email = lower(email::text) where id = 7",
    ),
    Fault("numbers rounded", "update depot.parcels set insured = round(insured, 2)"),
    Fault("floats rounded", "update depot.parcels set ratio = ratio::real"),
    Fault("timestamps shifted by a zone", "update depot.parcels set sent_at = sent_at + interval '1 hour'"),
    Fault("local timestamps shifted", "update depot.parcels set arrived_at = arrived_at - interval '2 hours'"),
    Fault("dates shifted by a day", "update depot.customers set born = born - 1 where id < 9"),
    Fault("an interval written otherwise", "update depot.parcels set took = justify_hours(took) where id = 40"),
    Fault("nothing became empty text", "update depot.customers set note = '' where note is null"),
    Fault("empty text became nothing", "update depot.customers set note = null where note = ''"),
    Fault("a flag flipped", "update depot.customers set vip = not vip where id = 11"),
    Fault("json written otherwise", 'update depot.customers set preferences = \'{"a": 2, "b": 1}\' where id = 4'),
    Fault("jsonb altered", 'update depot.customers set address = address || \'{"street": "x"}\' where id = 4'),
    Fault("hstore altered", "update depot.customers set tags = tags || 'k=>other' where id = 4"),
    Fault(
        "a byte altered",
        "update depot.parcels set picture = set_byte(picture, 3, 255 - get_byte(picture, 3)) where id = 4",
    ),
    Fault("an array's order altered", "update depot.parcels set labels = array['b', 'a1'] where id = 4"),
    Fault("a composite altered", "update depot.parcels set size = (1, 20, 30) where id = 4"),
    Fault("a range altered", "update depot.parcels set window_ = depot.span(4, 5, '[]') where id = 4"),
    Fault("a place moved", "update depot.parcels set place = point(4, 2.5) where id = 4"),
    Fault("an identifier altered", "update depot.parcels set token = gen_random_uuid() where id = 4"),
    Fault("an enum's value altered", "update depot.parcels set state = 'stored' where id = 4"),
    Fault(
        "a generated value wrong",
        "update pg_attribute set attgenerated = '' where attrelid = 'depot.parcels'::regclass and attname = 'vat';"
        " update depot.parcels set vat = vat + 1 where id = 4;"
        " update pg_attribute set attgenerated = 's' where attrelid = 'depot.parcels'::regclass and attname = 'vat'",
    ),
)

TOAST: Final = "(select reltoastrelid from pg_class where oid = 'depot.scans'::regclass)"
"""Where the long values of a table are kept, as SQL: its name holds a number."""

KEYS: Final = _group(
    "keys and sequences",
    Fault("a sequence behind its column", "select setval('depot.customers_id_seq', 5)"),
    Fault("a sequence behind that no column owns", "select setval('depot.label_seq', 1005)"),
    Fault("a foreign key violated", "delete from depot.customers where id = 17"),
    Fault(
        "a foreign key lost",
        "alter table ledger.charges drop constraint charges_parcel_id_fkey",
    ),
    Fault(
        "a foreign key not validated",
        "alter table depot.parcels drop constraint parcels_customer_id_fkey; alter table depot.parcels add constraint"
        " parcels_customer_id_fkey foreign key (customer_id) references depot.customers not valid",
    ),
    Fault("foreign keys switched off", "alter table depot.parcels disable trigger all"),
    Fault("a check lost", "alter table depot.parcels drop constraint parcels_price_check"),
    Fault(
        "a check violated",
        "alter table depot.parcels drop constraint parcels_price_check;"
        " update depot.parcels set price = -1 where id = 3;"
        " alter table depot.parcels add constraint parcels_price_check check (price >= 0) not valid;"
        " update pg_constraint set convalidated = true where conname = 'parcels_price_check'",
    ),
    Fault("a primary key lost", "alter table ledger.settings drop constraint settings_pkey"),
    Fault("a unique constraint lost", "alter table ledger.charges drop constraint charges_parcel_id_booked_on_key"),
    Fault("not null lost", "alter table depot.customers alter column name drop not null"),
    Fault("an index lost", "drop index depot.parcels_customer_idx"),
    Fault(
        "an index invalid",
        "update pg_index set indisvalid = false where indexrelid = 'depot.parcels_code_key'::regclass",
    ),
    Fault(
        "rows missing in an index",
        "update pg_index set indisready = false where indexrelid = 'ledger.beats_pkey'::regclass;"
        " insert into ledger.beats (beat_at)"
        " select timestamptz '2026-04-30Z' + n * interval '1 s' from generate_series(1, 9) n;"
        " update pg_index set indisready = true where indexrelid = 'ledger.beats_pkey'::regclass",
    ),
    Fault(
        "the same key twice",
        "update pg_index set indisready = false where indexrelid = 'depot.parcels_code_key'::regclass;"
        " update depot.parcels set code = (select code from depot.parcels where id = 1) where id = 2;"
        " update pg_index set indisready = true where indexrelid = 'depot.parcels_code_key'::regclass;",
    ),
    Fault(
        "a foreign key's action changed",
        "alter table ledger.charges drop constraint charges_parcel_id_fkey; alter table ledger.charges add constraint"
        " charges_parcel_id_fkey foreign key (parcel_id) references depot.parcels",
    ),
    Fault(
        "a constraint no longer deferred",
        "alter table ledger.charges alter constraint charges_customer_id_fkey not deferrable",
    ),
    Fault(
        "a check not validated",
        "alter table depot.parcels drop constraint parcels_price_check; alter table depot.parcels add constraint"
        " parcels_price_check check (price >= 0) not valid",
    ),
    Fault("a sequence's step changed", "alter sequence depot.label_seq increment 1"),
    Fault("a sequence owned by nobody", "alter sequence depot.moves_id_seq owned by none"),
    Fault("a page of a table damaged", "'depot.parcels'", Place.DISK),
    Fault("a page of an index damaged", "'depot.parcels_code_key'", Place.DISK),
    Fault("a page of long values damaged", TOAST, Place.DISK),
)

DEFINITIONS: Final = _group(
    "definitions",
    Fault(
        "a view changed",
        "create or replace view depot.open_parcels with (security_invoker = true) as select p.id, p.code, c.name"
        " from depot.parcels p join depot.customers c on c.id = p.customer_id",
    ),
    Fault("a view runs as its owner", "alter view depot.open_parcels reset (security_invoker)"),
    Fault("a view lost", "drop view depot.open_parcels"),
    Fault(
        "a materialized view stale",
        "update ledger.charges set cents = cents + 1 where id = 1; refresh materialized view ledger.per_customer;"
        " update ledger.charges set cents = cents - 1 where id = 1",
    ),
    Fault("a materialized view not populated", "refresh materialized view ledger.per_customer with no data"),
    Fault(
        "a function changed",
        "create or replace function depot.touch() returns trigger language plpgsql as 'begin return new; end'",
    ),
    Fault("a function runs as its owner", "alter function depot.volume(depot.box) security definer"),
    Fault("a function's search path lost", "alter function depot.known(text) reset search_path"),
    Fault("a function no longer runs as its owner", "alter function depot.known(text) security invoker"),
    Fault("a function lost", "drop procedure depot.nothing()"),
    Fault("an aggregate lost", "drop aggregate depot.total(numeric)"),
    Fault("an operator lost", "drop operator depot.|+| (numeric, numeric)"),
    Fault("a trigger lost", "drop trigger touch on depot.parcels"),
    Fault("a trigger disabled", "alter table depot.parcels disable trigger touch"),
    Fault(
        "a trigger's argument changed",
        "drop trigger tell on depot.parcels; create trigger tell after insert on depot.parcels"
        " for each row when (new.price > 1000) execute function depot.tell('another');"
        " alter table depot.parcels enable always trigger tell",
    ),
    Fault("a trigger that fires on replicas only", "alter table depot.parcels enable replica trigger touch"),
    Fault("an event trigger lost", "drop event trigger watch"),
    Fault("an event trigger disabled", "alter event trigger watch disable"),
    Fault("a rule disabled", "alter table ledger.charges disable rule charges_stay"),
    Fault("a rule lost", "drop rule charges_stay on ledger.charges"),
    Fault("a default changed", "alter table depot.customers alter column vip set default true"),
    Fault("a default lost", "alter table depot.parcels alter column labels drop default"),
    Fault("a generated column changed", "alter table depot.parcels alter column vat set expression as (price * 0.19)"),
    Fault("a generated column an ordinary one", "alter table depot.parcels alter column vat drop expression"),
    Fault("an identity lost", "alter table depot.customers alter column id drop identity"),
    Fault("an identity loosened", "alter table depot.customers alter column id set generated by default"),
    Fault("a column lost", "alter table depot.customers drop column phone"),
    Fault("a column added", "alter table depot.customers add column extra text"),
    Fault("a column's type narrowed", "alter table depot.customers alter column phone type varchar(12)"),
    Fault(
        "a column's collation changed", 'alter table depot.customers alter column phone type varchar(30) collate "C"'
    ),
    Fault("an enum's value renamed", "alter type depot.state rename value 'lost' to 'gone'"),
    Fault(
        "an enum's value lost",
        "delete from pg_enum where enumtypid = 'depot.state'::regtype and enumlabel = 'announced';"
        " update depot.parcels set state = 'stored' where false",
    ),
    Fault("a domain's check lost", "alter domain depot.weight drop constraint weight_check"),
    Fault(
        "a domain's not validated check",
        "alter domain depot.weight drop constraint weight_check;"
        " alter domain depot.weight add constraint weight_check check (value > 0) not valid",
    ),
    Fault("a partition detached", "alter table depot.moves detach partition depot.moves_2025"),
    Fault("a table no longer logged", "alter table ledger.beats set unlogged"),
    Fault("an extension lost", "drop extension pg_trgm cascade"),
    Fault("an extension's version out of date", "update pg_extension set extversion = '1.5' where extname = 'pg_trgm'"),
    Fault("a foreign server lost", "drop server warehouse cascade"),
    Fault("a publication lost", "drop publication changes"),
    Fault("a table lost from a publication", "alter publication changes drop table depot.parcels"),
    Fault("a statistics object lost", "drop statistics depot.parcels_stats"),
    Fault("a replica identity changed", "alter table depot.parcels replica identity full"),
    Fault("a comment lost", "comment on column depot.customers.vip is null"),
    Fault(
        "the database's order of text is out of date",
        "update pg_database set datcollversion = '0' where datname = current_database()",
    ),
    Fault("the order of text is out of date", "update pg_collation set collversion = '0' where collname = 'plain'"),
)

RIGHTS: Final = _group(
    "rights and roles",
    Fault("a policy lost", 'drop policy "own rows" on depot.customers'),
    Fault("a policy opened", 'alter policy "own rows" on depot.customers using (true)'),
    Fault("row security switched off", "alter table depot.parcels disable row level security"),
    Fault("row security not forced", "alter table depot.customers no force row level security"),
    Fault("a policy for everybody", 'alter policy "clerks see all" on depot.parcels to public'),
    Fault("the usage of a schema lost", "revoke usage on schema ledger from depot_reader"),
    Fault("the usage of a sequence lost", "revoke usage on sequence depot.label_seq from depot_clerk"),
    Fault("the right to run a function lost", "revoke execute on function depot.volume(depot.box) from depot_clerk"),
    Fault("a grant lost", "revoke select on depot.parcels from depot_reader"),
    Fault("a grant too many", "grant select on ledger.charges to public"),
    Fault("a column's grant lost", "revoke update (phone) on depot.customers from depot_clerk"),
    Fault("a function open to all", "grant execute on function depot.volume(depot.box) to public"),
    Fault("default rights lost", "alter default privileges in schema depot revoke select on tables from depot_reader"),
    Fault("an owner changed", "alter table depot.customers owner to postgres"),
    Fault("a function's owner changed", "alter function depot.touch() owner to postgres"),
    Fault("a schema's owner changed", "alter schema depot owner to postgres"),
    Fault("a setting of the database lost", _of_this_database("reset statement_timeout")),
    Fault("a setting of the database changed", _of_this_database("set default_transaction_read_only = on")),
    Fault(
        "a role missing",
        "alter role depot_group rename to depot_gone",
        Place.CLUSTER,
        "alter role depot_gone rename to depot_group",
    ),
    Fault(
        "a role that passes row security by",
        "alter role depot_reader bypassrls",
        Place.CLUSTER,
        "alter role depot_reader nobypassrls",
    ),
    Fault("a role that cannot log in", "alter role depot_clerk nologin", Place.CLUSTER, "alter role depot_clerk login"),
    Fault(
        "a role's password lost",
        "alter role depot_clerk password null",
        Place.CLUSTER,
        "alter role depot_clerk password 'parcel'",
    ),
    Fault(
        "a role's password expired",
        "alter role depot_clerk valid until '2026-01-01'",
        Place.CLUSTER,
        "alter role depot_clerk valid until 'infinity'",
    ),
    Fault(
        "a membership lost", "revoke depot_group from depot_clerk", Place.CLUSTER, "grant depot_group to depot_clerk"
    ),
    Fault(
        "a role's setting lost",
        "alter role depot_clerk reset statement_timeout",
        Place.CLUSTER,
        "alter role depot_clerk set statement_timeout = '30s'",
    ),
)

AROUND: Final = _group(
    "identity and what runs by itself",
    Fault("another database", "ems", Place.ELSEWHERE),
    Fault("another system", "other system", Place.ELSEWHERE),
    Fault("an older branch of time", "older branch", Place.ELSEWHERE),
    Fault("another encoding", "SQL_ASCII", Place.ELSEWHERE),
    Fault("an empty database", "empty", Place.ELSEWHERE),
    Fault(
        "a replication origin left",
        "select pg_replication_origin_create('left')",
        Place.CLUSTER,
        "select pg_replication_origin_drop('left')",
    ),
    Fault(
        "a replication slot left",
        "select pg_create_physical_replication_slot('left', true)",
        Place.CLUSTER,
        "select pg_drop_replication_slot('left')",
    ),
    Fault(
        "a subscription left",
        "create subscription left_over connection 'host=127.0.0.1 port=1 dbname=x' publication p"
        " with (connect = false, slot_name = none, enabled = false, create_slot = false)",
        Place.CLUSTER,
        "drop subscription left_over",
    ),
    Fault("a prepared transaction left", "begin; create table depot.half (id int); prepare transaction 'left'"),
    Fault("a scheduled job active", "update cron.job set active = true"),
)

FAULTS: Final = (*ROWS, *VALUES, *KEYS, *DEFINITIONS, *RIGHTS, *AROUND)
