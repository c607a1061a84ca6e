"""Who owns what and who may do what; roles, settings, encoding, identity; and what would run by itself."""

from __future__ import annotations

from typing import Final

from runbooks.steps.database.proof.manifest import Kind

# What makes values of a range type belongs to the server's first superuser, whoever made the type: the type's own owner
# stands for it, as an extension's does ('i', 'e').
OWNER: Final = """
with {relations}
select format('%s %s', case m.relkind when 'S' then 'sequence' when 'v' then 'view' when 'm'
  then 'materialized view' else 'table' end,
              m.name), pg_get_userbyid(m.relowner), array[m.writer::text]
  from mine m where m.relkind in ('r', 'p', 'f', 'v', 'm', 'S')
union all
select 'schema ' || quote_ident(n.nspname), pg_get_userbyid(n.nspowner), array[n.xmin::text] from pg_namespace n
  where {mine}
union all
select format('function %I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
  pg_get_userbyid(p.proowner), array[p.xmin::text]
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
 where {mine} and not exists
       (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype in ('e', 'i'))
union all
select format('type %I.%I', n.nspname, t.typname), pg_get_userbyid(t.typowner), array[t.xmin::text]
  from pg_type t join pg_namespace n on n.oid = t.typnamespace
 where {mine} and t.typtype in ('e', 'd', 'r') and not exists
       (select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e')
union all
select 'publication ' || quote_ident(pubname), pg_get_userbyid(pubowner), array[xmin::text] from pg_publication
"""

# Who granted it does not matter to who may do it.
GRANT: Final = """
with {relations}, held as (
  select format('%s %s', case m.relkind when 'S' then 'sequence' else 'table' end, m.name) as what,
         coalesce(m.relacl, acldefault(case m.relkind when 'S' then 's'::"char" else 'r' end, m.relowner)) as acl,
           m.writer
    from mine m where m.relkind in ('r', 'p', 'f', 'v', 'm', 'S')
  union all
  select format('column %s.%I', m.name, a.attname), a.attacl, a.xmin
    from pg_attribute a join mine m on m.oid = a.attrelid where a.attacl is not null and not a.attisdropped
  union all
  select 'schema ' || quote_ident(n.nspname), coalesce(n.nspacl, acldefault('n', n.nspowner)), n.xmin
    from pg_namespace n
    where {mine}
  union all
  select format('function %I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
         coalesce(p.proacl, acldefault('f', p.proowner)), p.xmin
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
   where {mine} and not exists
         (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype in ('e', 'i'))
  union all
  select format('type %I.%I', n.nspname, t.typname), t.typacl, t.xmin
    from pg_type t join pg_namespace n on n.oid = t.typnamespace where {mine} and t.typacl is not null
  union all
  select concat_ws(' ', 'new', d.defaclobjtype, 'of', pg_get_userbyid(d.defaclrole), 'in ' ||
    quote_ident(n.nspname)), d.defaclacl, d.xmin
    from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace)
select format('%s to %s', what, case when x.grantee = 0 then 'public' else pg_get_userbyid(x.grantee) end),
       string_agg(lower(x.privilege_type) || case when x.is_grantable then ' with grant option' else '' end, ', '
         order by x.privilege_type), array_agg(distinct writer::text)
  from held, aclexplode(acl) x group by 1
"""

# When a role was made is told by who was made a member of it then (its maker, unless that was a superuser).
ROLE: Final = """
select quote_ident(r.rolname), concat_ws(' ', case when r.rolcanlogin then 'login' else 'no login' end,
         case when r.rolsuper then 'superuser' end, case when r.rolinherit then 'inherit' else 'no inherit' end,
         case when r.rolcreaterole then 'create role' end, case when r.rolcreatedb then 'create database' end,
         case when r.rolreplication then 'replication' end, case when r.rolbypassrls then 'bypass row security' end,
         'connections ' || nullif(r.rolconnlimit, -1), 'until ' || r.rolvaliduntil,
         'member of ' || (select string_agg(quote_ident(g.rolname) || case when a.admin_option then ' as admin'
           else '' end, ', ' order by g.rolname)
                            from pg_auth_members a join pg_roles g on g.oid = a.roleid where a.member = r.oid)),
                              (select array_agg(a.xmin::text) from pg_auth_members a where a.roleid = r.oid)
  from pg_roles r where r.rolname !~ '^pg_'
"""

VERIFIER: Final = """
select quote_ident(rolname), coalesce(left(encode(sha256(convert_to(rolpassword, 'UTF8')), 'hex'), 16), 'none'),
  array[xmin::text]
  from pg_authid where rolname !~ '^pg_' and rolcanlogin
"""

# A setting of the application (its name has a dot) may be a secret: it stands as a digest.
SETTING: Final = """
select concat_ws(' ', split_part(x, '=', 1), 'for', case when s.setrole = 0 then 'everybody'
  else quote_ident(pg_get_userbyid(s.setrole)) end,
         case when s.setdatabase <> 0 then 'here' end),
       case when strpos(split_part(x, '=', 1), '.') = 0 then substr(x, strpos(x, '=') + 1)
            else left(encode(sha256(convert_to(x, 'UTF8')), 'hex'), 16) end, array[s.xmin::text]
  from pg_db_role_setting s, unnest(s.setconfig) x
 where s.setdatabase = 0 or s.setdatabase = (select oid from pg_database where datname = current_database())
"""

ENCODING: Final = """
select w.name, w.value, null::text[] from pg_database b, lateral to_jsonb(b) r, lateral (values
         ('encoding', pg_encoding_to_char(b.encoding)), ('collation', b.datcollate), ('character types', b.datctype),
         ('provider', case r->>'datlocprovider' when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end),
         ('locale', coalesce(r->>'datlocale', r->>'daticulocale')), ('rules', r->>'daticurules'),
         ('collation version', b.datcollversion)) w(name, value)
 where b.datname = current_database() and w.value is not null
"""

IDENTITY: Final = """
select 'system', system_identifier::text, null::text[] from pg_control_system()
union all select 'database', current_database(), null
"""

VERSION: Final = """
select 'server', current_setting('server_version'), null::text[]
union all select 'timeline', timeline_id::text, null from pg_control_checkpoint()
"""

REPLICATION: Final = """
select 'origin ' || quote_ident(roname), 'there', array[xmin::text] from pg_replication_origin
union all
select 'slot ' || quote_ident(slot_name), concat_ws(' ', slot_type, plugin), null from pg_replication_slots
  where not temporary
union all
select 'subscription ' || quote_ident(subname), case when subenabled then 'enabled' else 'disabled' end,
  array[xmin::text]
  from pg_subscription where subdbid = (select oid from pg_database where datname = current_database())
"""

PREPARED: Final = """
select quote_ident(gid), 'by ' || owner, null::text[] from pg_prepared_xacts where database = current_database()
"""

# The command often carries a token in a header.
CRON: Final = """
select coalesce(jobname, jobid::text), concat_ws(' ', quote_literal(schedule), 'as', username, 'in', database,
         case when active then 'active' else 'not active' end,
         'command ' || left(encode(sha256(convert_to(command, 'UTF8')), 'hex'), 16)), array[xmin::text]
  from cron.job
"""

AROUND: Final = {
    Kind.OWNER: OWNER,
    Kind.GRANT: GRANT,
    Kind.ROLE: ROLE,
    Kind.PASSWORD: VERIFIER,
    Kind.SETTING: SETTING,
    Kind.ENCODING: ENCODING,
    Kind.IDENTITY: IDENTITY,
    Kind.VERSION: VERSION,
    Kind.REPLICATION: REPLICATION,
    Kind.PREPARED: PREPARED,
    Kind.CRON: CRON,
}
