"""What is backed up: which tables a dump would miss, which roles and extensions it will need to be loaded again."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from runbooks.clients.postgres import sql
from runbooks.model.errors import Refused
from runbooks.steps.backups.catalog import Extension, Role

if TYPE_CHECKING:
    from runbooks.clients.postgres import Session

NAMED: Final = 20  # tables that a refusal names before it counts the rest

HELD: Final = """
select n.nspname, c.relname, c.relkind::text,
       has_schema_privilege(n.oid, 'usage'),
       case when c.relkind = 'S' then has_sequence_privilege(c.oid, 'select') when c.relkind in ('v', 'm') then true
            else has_table_privilege(c.oid, 'select') end,
       c.relrowsecurity and not (select rolsuper or rolbypassrls from pg_roles where rolname = current_user)
         and (c.relforcerowsecurity or not pg_has_role(c.relowner, 'usage'))
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'S', 'v', 'm') and c.relpersistence <> 't'
   and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and not exists (select from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
 order by 1, 2
"""
"""What pg_dump locks and reads: tables, partitioned tables, sequences; whether we may, and whether rows are hidden. And
views, of which it reads nothing, but which may be left out as well."""
NEEDS: Final = """
select n.nspname, c.relname, b.nspname, b.relname, pg_describe_object(d.classid, d.objid, d.objsubid)
  from pg_depend d join pg_class c on c.oid = d.refobjid join pg_namespace n on n.oid = c.relnamespace
  left join pg_rewrite w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid
  left join pg_attrdef f on d.classid = 'pg_attrdef'::regclass and f.oid = d.objid
  left join pg_policy p on d.classid = 'pg_policy'::regclass and p.oid = d.objid
  left join pg_constraint k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid
  left join pg_inherits i on d.classid = 'pg_class'::regclass and i.inhrelid = d.objid and i.inhparent = d.refobjid
  left join (select b.oid, b.relname, bn.nspname from pg_class b join pg_namespace bn on bn.oid = b.relnamespace) b
    on b.oid = coalesce(w.ev_class, f.adrelid, p.polrelid, k.conrelid, i.inhrelid)
 where d.refclassid = 'pg_class'::regclass and c.relkind in ('r', 'p', 'S', 'v', 'm') and b.oid is distinct from c.oid
   and (b.oid is not null or d.classid = 'pg_proc'::regclass)
 order by 1, 2, 5
"""
"""What could not be made without a table, and of which table it is part."""

ROLES: Final = """
select r.rolname, concat_ws(' ', case when rolcanlogin then 'login' else 'nologin' end,
         case when rolinherit then 'inherit' else 'noinherit' end, case when rolbypassrls then 'bypassrls' end,
         case when rolcreatedb then 'createdb' end, case when rolcreaterole then 'createrole' end),
       array(select g.rolname from pg_auth_members m join pg_roles g on g.oid = m.roleid
              where m.member = r.oid order by 1)
  from pg_roles r where r.rolname !~ '^pg_' order by 1
"""
EXTENSIONS: Final = """
select e.extname, n.nspname, e.extversion, array(
         select format('%I.%I(%s) returns %s', f.nspname, p.proname, pg_get_function_identity_arguments(p.oid),
                       pg_get_function_result(p.oid))
           from pg_depend d join pg_proc p on p.oid = d.objid join pg_namespace f on f.oid = p.pronamespace
          where d.classid = 'pg_proc'::regclass and d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid
            and d.deptype = 'e' and p.prokind = 'f' order by 1)
  from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname <> 'plpgsql' order by 1
"""


def left_out(session: Session, patterns: tuple[str, ...], *, file: str) -> tuple[str, ...]:
    """Return the tables that the stack file leaves out, quoted as in SQL.

    Raises Refused when a dump would miss rows of any other: it names the tables and the GRANT that mends it.
    """
    role = sql.Identifier(str(session.value("select current_user"))).as_string(None)
    without, mends = [], []
    for schema, name, kind, enters, reads, hidden in session.rows(HELD):
        table = sql.Identifier(schema, name).as_string(None)
        if any(fnmatchcase(f"{schema}.{name}", pattern) for pattern in patterns):
            without.append(table)
        elif not enters or not reads:
            space = sql.Identifier(schema).as_string(None)
            usage = "" if enters else f"GRANT USAGE ON SCHEMA {space} TO {role}; "
            mends.append((table, f"{usage}GRANT SELECT ON {'SEQUENCE ' if kind == 'S' else ''}{table} TO {role};"))
        elif hidden:
            mends.append((table, f"ALTER ROLE {role} BYPASSRLS;"))
    if mends:
        tables = ", ".join(table for table, _ in mends[:NAMED]) + (
            f" and {len(mends) - NAMED} more" * (len(mends) > NAMED)
        )
        grants = " ".join(dict.fromkeys(grant for _, grant in mends[:NAMED]))
        message = (
            f"Database {session.where}: role {role} cannot read every row of {tables}; the backup would miss them, so "
            f"none was begun. An owner runs: {grants} Or leave them out on purpose: {file}, ems-ops:backups.without."
        )
        raise Refused(message, next_command="invoke backup --dry-run")
    _refuse_needed(session, without, file=file)
    return tuple(without)


def _refuse_needed(session: Session, without: list[str], *, file: str) -> None:
    """Raise Refused where something that stays needs what is left out: such a backup could not be loaded."""
    needed: dict[str, None] = {}
    for schema, name, part_schema, part_name, what in session.rows(NEEDS) if without else ():
        table = sql.Identifier(schema, name).as_string(None)
        part = sql.Identifier(part_schema, part_name).as_string(None) if part_name else ""
        if table in without and part not in without:
            needed[f"{what} needs {table}"] = None
    if needed:
        listed = "; ".join([*needed][:NAMED])
        message = (
            f"{file}: ems-ops:backups.without: {listed}: a backup without it could not be loaded, so none was begun. "
            "Leave that out as well, or nothing of it."
        )
        raise Refused(message, next_command=f"edit {file}")


def roles(session: Session) -> tuple[Role, ...]:
    """Return every role that is not the server's own; a superuser as an ordinary one."""
    return tuple(Role(name, options, tuple(member_of)) for name, options, member_of in session.rows(ROLES))


def extensions(session: Session) -> tuple[Extension, ...]:
    """Return every extension of the database, with the functions that it brought."""
    found = session.rows(EXTENSIONS)
    return tuple(Extension(name, schema, version, tuple(functions)) for name, schema, version, functions in found)
