"""What a database is beside what is in it, which no dump carries: locale, settings, grants, limit, owner.

A database that takes another one's place must be like it in all of that: who may connect, what a session begins with,
how text is ordered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from runbooks.clients.postgres import sql
from runbooks.model.errors import CheckError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runbooks.clients.postgres import Session

LISTS: Final = (
    *("local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries"),
    *("temp_tablespaces", "unix_socket_directories"),
)
"""Settings that hold a list of quoted names: as one literal they would be one name (PostgreSQL 18, pg_dump's
`variable_is_guc_list_quote`)."""
NAME: Final = re.compile(r'"((?:[^"]|"")*)"|([^,\s]+)')
PROVIDERS: Final = {"c": "libc", "i": "icu", "b": "builtin"}

LOCALE: Final = """
select pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, coalesce(row->>'datlocprovider', 'c'),
       coalesce(row->>'datlocale', row->>'daticulocale'), row->>'daticurules'
  from pg_database d, lateral to_jsonb(d) row where d.datname = %s
"""
"""Read by name: versions 15 to 18 have the locale of a provider in other columns, 14 in none."""
SETTINGS: Final = """
select coalesce(r.rolname, ''), split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)
  from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase left join pg_roles r on r.oid = s.setrole,
       unnest(s.setconfig) c
 where d.datname = %s order by 1, 2
"""
GRANTS: Final = """
select case when x.grantee = 0 then '' else pg_get_userbyid(x.grantee) end, x.privilege_type, x.is_grantable
  from pg_database d, aclexplode(d.datacl) x where d.datname = %s and x.grantee <> d.datdba order by 1, 2
"""
OWN: Final = """
select d.datacl is not null, d.datconnlimit, pg_get_userbyid(d.datdba), pg_has_role(d.datdba, 'usage')
       and pg_get_userbyid(d.datdba) <> current_user
  from pg_database d where d.datname = %s
"""


def locale_of(session: Session, database: str) -> dict[str, str]:
    """Return encoding and locale of a database, by the words in which `create_like` and manifests name them."""
    encoding, collation, kind, provider, locale, rules = session.rows(LOCALE, (database,))[0]
    found = {"encoding": encoding, "collation": collation, "character types": kind, "provider": PROVIDERS[provider],
             "locale": locale, "rules": rules}  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def create_like(database: str, locale: Mapping[str, str]) -> sql.Composed:
    """Return the statement that makes an empty database of this encoding and locale."""
    provider = locale.get("provider", "libc")
    words = {
        "encoding": locale.get("encoding", "UTF8"),
        "lc_collate": locale.get("collation", "C"),
        "lc_ctype": locale.get("character types", "C"),
    }
    if provider != "libc":
        words |= {"locale_provider": provider, f"{provider}_locale": locale["locale"]}
    if "rules" in locale:
        words["icu_rules"] = locale["rules"]
    made = sql.SQL("create database {} template template0").format(sql.Identifier(database))
    for word, value in words.items():
        made += sql.SQL(" {} {}").format(sql.Identifier(word), sql.Literal(value))
    return made


def dress(session: Session, database: str, *, like: str) -> list[str]:
    """Give a database the settings, grants, limit and owner of another; return what our role may not give.

    `session` commits each statement by itself.
    """
    failed = []
    for command in [*_commands(session, sql.Identifier(database), like)]:
        try:
            session.run(command)
        except CheckError as error:
            failed.append(f"{command.as_string(None)}: {error}")
    return failed


def _commands(session: Session, database: sql.Identifier, like: str) -> Iterator[sql.Composed]:
    for role, key, value in session.rows(SETTINGS, (like,)):
        whose = sql.SQL("role {} in database {}").format(sql.Identifier(role), database) if role else None
        whose = whose or sql.SQL("database {}").format(database)
        yield sql.SQL("alter {} set {} to {}").format(whose, sql.Identifier(key), _value(key, value))
    granted, limit, owner, other = session.rows(OWN, (like,))[0]
    if granted:  # else everybody has what a new database gives to everybody
        yield sql.SQL("revoke all on database {} from public").format(database)
    for grantee, privilege, further in session.rows(GRANTS, (like,)):
        to = sql.Identifier(grantee) if grantee else sql.SQL("public")
        what = sql.SQL(privilege)  # one of the server's own words
        option = sql.SQL(" with grant option" if further else "")
        yield sql.SQL("grant {} on database {} to {}{}").format(what, database, to, option)
    if limit >= 0:
        yield sql.SQL("alter database {} connection limit {}").format(database, sql.Literal(limit))
    if other:
        yield sql.SQL("alter database {} owner to {}").format(database, sql.Identifier(owner))


def _value(key: str, value: str) -> sql.Composable:
    """Return a setting's value as it is written in SQL: names of a list each for itself."""
    if key not in LISTS:
        return sql.Literal(value)
    names = [quoted.replace('""', '"') if quoted or not plain else plain for quoted, plain in NAME.findall(value)]
    return sql.SQL(", ").join(sql.Literal(name) for name in names or [""])
