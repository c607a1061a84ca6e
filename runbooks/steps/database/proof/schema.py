"""How each kind of object is defined, as one line of text from the server's own catalogues.

Names are qualified (the reading session's search path holds nothing but the catalogue). What belongs to an extension is
not listed: the extension's version stands for it. A third column holds the transactions that wrote the object.
Sources: PostgreSQL 15 to 18, "System Catalogs".
"""

from __future__ import annotations

from typing import Final

from runbooks.clients.postgres import sql
from runbooks.steps.database.proof.manifest import Kind

MINE: Final = sql.SQL("n.nspname !~ '^pg_' and n.nspname <> 'information_schema'")
"""A namespace that is not the server's own."""

RELATIONS: Final = sql.SQL(
    "mine as (select c.*, c.xmin as writer, n.nspname, format('%I.%I', n.nspname, c.relname) as name from pg_class c"
    " join pg_namespace n on n.oid = c.relnamespace where {mine} and c.relpersistence <> 't' and not exists"
    " (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'))"
).format(mine=MINE)

SCHEMA: Final = "select quote_ident(n.nspname), 'there', array[n.xmin::text] from pg_namespace n where {mine}"

EXTENSION: Final = """
select quote_ident(extname), format('version %s in %I', extversion, n.nspname), array[e.xmin::text]
  from pg_extension e join pg_namespace n on n.oid = e.extnamespace
"""

TYPE: Final = """
select format('%I.%I', n.nspname, t.typname), case t.typtype
         when 'e' then (select format('enum (%s)', string_agg(quote_literal(enumlabel), ', ' order by enumsortorder))
                          from pg_enum where enumtypid = t.oid)
         when 'd' then concat_ws(' ', 'domain', format_type(typbasetype, typtypmod), typcollation::regcollation::text,
                case when typnotnull then 'not null' end, 'default ' || typdefault,
                (select string_agg(pg_get_constraintdef(oid), ' ' order by conname)
                   from pg_constraint where contypid = t.oid))
         when 'r' then (select concat_ws(' ', 'range', format_type(rngsubtype, null), nullif(rngcollation,
           0)::regcollation)
                          from pg_range where rngtypid = t.oid)
         else (select format('(%s)', string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', '
           order by attnum))
                 from pg_attribute where attrelid = t.typrelid and attnum > 0 and not attisdropped) end,
       array[t.xmin::text] || (select array_agg(xmin::text) from pg_enum where enumtypid = t.oid)
         || (select array_agg(xmin::text) from pg_constraint where contypid = t.oid)
         || (select array_agg(xmin::text) from pg_attribute where attrelid = t.typrelid and attnum > 0)
  from pg_type t join pg_namespace n on n.oid = t.typnamespace
  left join pg_class c on c.oid = t.typrelid
 where {mine} and (t.typtype in ('e', 'd', 'r') or c.relkind = 'c')
   and not exists (select from pg_depend d
                    where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e')
"""

TABLE: Final = """
with {relations}
select m.name, concat_ws(' ',
         case m.relkind when 'r' then 'table' when 'p' then 'partitioned table' else 'foreign table' end,
         case m.relpersistence when 'u' then 'unlogged' end,
         case when m.relkind = 'p' then 'by ' || pg_get_partkeydef(m.oid) end,
         (select format(case when m.relispartition then 'partition of %s %s' else 'inherits %s' end,
                        string_agg(inhparent::regclass::text, ', ' order by inhseqno),
                        pg_get_expr(m.relpartbound, m.oid)) from pg_inherits where inhrelid = m.oid having count(*)
                          > 0),
         case when m.relrowsecurity then 'row security' else 'no row security' end,
         case when m.relforcerowsecurity then 'forced' end,
         case m.relreplident when 'd' then null else 'replica identity ' || m.relreplident::text end,
         'with ' || array_to_string(m.reloptions, ', '),
         (select 'server ' || quote_ident(srvname) || ' options ' || left(encode(sha256(convert_to(
           (select array_agg(o order by o) from unnest(ftoptions) o)::text, 'UTF8')), 'hex'), 16)
            from pg_foreign_table join pg_foreign_server s on s.oid = ftserver where ftrelid = m.oid)),
       array[m.writer::text] || (select array_agg(xmin::text) from pg_inherits where inhrelid = m.oid)
  from mine m where m.relkind in ('r', 'p', 'f')
"""

# A dump gives the columns of a table that inherits another order: the inherited ones come first.
COLUMN: Final = """
with {relations}
select format('%s.%I', m.name, a.attname), concat_ws(' ',
         case when m.relispartition or not exists (select from pg_inherits where inhrelid = m.oid)
           then row_number() over (partition by a.attrelid order by a.attnum) || '.' end,
         format_type(a.atttypid, a.atttypmod),
         case when a.attcollation <> t.typcollation then 'collate ' || a.attcollation::regcollation end,
         case when a.attnotnull then 'not null' end,
         case a.attidentity when 'a' then 'generated always as identity' when 'd'
           then 'generated by default as identity' end,
         case a.attgenerated when 's' then 'generated stored' when 'v' then 'generated virtual' end,
         'default ' || pg_get_expr(d.adbin, d.adrelid)), array[a.xmin::text, d.xmin::text]
         || (select array_agg(x.xmin::text) from pg_attribute x where x.attrelid = a.attrelid and x.attisdropped)
  from pg_attribute a join mine m on m.oid = a.attrelid join pg_type t on t.oid = a.atttypid
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
 where m.relkind in ('r', 'p', 'f', 'v', 'm') and a.attnum > 0 and not a.attisdropped
"""

# A key is enforced by triggers of its own, which `alter table … disable trigger all` switches off as well. In version
# 18 "not null" is a constraint too; the column says it, unless it does not hold for old rows.
CONSTRAINT: Final = """
with {relations}
select format('%s.%I', m.name, k.conname), concat_ws(' ', pg_get_constraintdef(k.oid),
         case when not k.convalidated then 'NOT VALIDATED' end,
         case when exists (select from pg_trigger where tgconstraint = k.oid and tgenabled <> 'O')
           then 'NOT ENFORCED' end),
       array[k.xmin::text] || (select array_agg(xmin::text) from pg_trigger where tgconstraint = k.oid)
  from pg_constraint k join mine m on m.oid = k.conrelid
 where k.contype <> 't' and (k.contype <> 'n' or not k.convalidated)
"""

INDEX: Final = """
with {relations}
select format('%I.%I', m.nspname, c.relname), concat_ws(' ', pg_get_indexdef(i.indexrelid),
         case when not i.indisvalid then 'INVALID' end, case when not i.indisready then 'NOT READY' end,
         case when i.indisclustered then 'CLUSTER' end, case when i.indisreplident then 'REPLICA IDENTITY' end),
           array[i.xmin::text, c.xmin::text]
  from pg_index i join mine m on m.oid = i.indrelid join pg_class c on c.oid = i.indexrelid
"""

TRIGGER: Final = """
with {relations}
select format('%s.%I', m.name, t.tgname), concat_ws(' ',
         regexp_replace(pg_get_triggerdef(t.oid), 'EXECUTE FUNCTION .*$', ''), t.tgfoid::regprocedure,
         case when t.tgnargs > 0 then 'arguments ' || left(encode(sha256(t.tgargs), 'hex'), 16) end,
         case t.tgenabled when 'O' then 'enabled' when 'D' then 'DISABLED' when 'R' then 'on replicas'
           else 'always' end), array[t.xmin::text]
  from pg_trigger t join mine m on m.oid = t.tgrelid where not t.tgisinternal
"""

EVENT_TRIGGER: Final = """
select quote_ident(evtname), concat_ws(' ', evtevent, evttags::text, evtfoid::regprocedure,
         case when evtenabled = 'D' then 'DISABLED' else 'enabled' end), array[e.xmin::text]
  from pg_event_trigger e where not exists
       (select from pg_depend d where d.classid = 'pg_event_trigger'::regclass and d.objid = e.oid
         and d.deptype = 'e')
"""

FUNCTION: Final = """
select format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
       concat_ws(' ', case p.prokind when 'f' then 'function' when 'p' then 'procedure' when 'a' then 'aggregate'
         else 'window' end,
         'returns ' || pg_get_function_result(p.oid), 'in', l.lanname,
         case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
         case when p.prosecdef then 'security definer' end, case when p.proisstrict then 'strict' end,
         case when p.proleakproof then 'leakproof' end, 'parallel ' || p.proparallel::text,
         'source ' || left(encode(sha256(convert_to(concat_ws('|', pg_get_function_arguments(p.oid), p.prosrc,
           p.probin,
           pg_get_function_sqlbody(p.oid), p.proconfig::text, a.aggtransfn::text, a.aggfinalfn::text,
             a.agginitval), 'UTF8')), 'hex'), 16)), array[p.xmin::text]
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
  left join pg_aggregate a on a.aggfnoid = p.oid
 where {mine} and not exists
       (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
"""

VIEW: Final = """
with {relations}
select m.name, concat_ws(' ', case m.relkind when 'v' then 'view' else 'materialized view' end,
         'with ' || array_to_string(m.reloptions, ', '), case when not m.relispopulated then 'NOT POPULATED' end,
         pg_get_viewdef(m.oid)), array[m.writer::text] || (select array_agg(xmin::text) from pg_rewrite
           where ev_class = m.oid)
  from mine m where m.relkind in ('v', 'm')
"""

RULE: Final = """
with {relations}
select format('%s.%I', m.name, r.rulename), concat_ws(' ', pg_get_ruledef(r.oid), case when r.ev_enabled = 'D'
  then 'DISABLED' end), array[r.xmin::text]
  from pg_rewrite r join mine m on m.oid = r.ev_class where r.rulename <> '_RETURN'
"""

SEQUENCE: Final = """
with {relations}
select m.name, concat_ws(' ', format_type(s.seqtypid, null), 'start', s.seqstart, 'by', s.seqincrement, 'from',
  s.seqmin,
         'to', s.seqmax, 'cache', s.seqcache, case when s.seqcycle then 'cycle' end, case m.relpersistence when 'u'
           then 'unlogged' end,
         (select format('owned by %s.%I', d.refobjid::regclass, a.attname)
            from pg_depend d join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
           where d.classid = 'pg_class'::regclass and d.objid = m.oid and d.refclassid = 'pg_class'::regclass
             and d.deptype in ('a', 'i') limit 1)), array[s.xmin::text, m.writer::text]
  from pg_sequence s join mine m on m.oid = s.seqrelid
"""

STATISTICS: Final = """
select format('%I.%I', n.nspname, x.stxname), pg_get_statisticsobjdef(x.oid), array[x.xmin::text]
  from pg_statistic_ext x join pg_namespace n on n.oid = x.stxnamespace where {mine}
"""

POLICY: Final = """
with {relations}
select format('%s.%I', m.name, p.polname), concat_ws(' ',
         case when p.polpermissive then 'permissive' else 'restrictive' end,
         case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
           else 'all' end,
         'to ' || (select string_agg(case when r = 0 then 'public' else pg_get_userbyid(r) end, ', ' order by 1)
                     from unnest(p.polroles) r),
         'using ' || pg_get_expr(p.polqual, p.polrelid), 'check ' || pg_get_expr(p.polwithcheck, p.polrelid)),
           array[p.xmin::text]
  from pg_policy p join mine m on m.oid = p.polrelid
"""

PUBLICATION: Final = """
select quote_ident(p.pubname), concat_ws(' ', case when p.puballtables then 'all tables' end,
         case when p.pubinsert then 'insert' end, case when p.pubupdate then 'update' end,
         case when p.pubdelete then 'delete' end, case when p.pubtruncate then 'truncate' end,
         (select 'of ' || string_agg(concat_ws(' ', format('%I.%I', t.schemaname, t.tablename),
           (select array_agg(x order by x) from unnest(t.attnames) x)::text, t.rowfilter), ', '
                                     order by t.schemaname, t.tablename)
            from pg_publication_tables t where t.pubname = p.pubname)), array[p.xmin::text] ||
              (select array_agg(xmin::text) from pg_publication_rel where prpubid = p.oid)
  from pg_publication p
"""

# A dump gives options of foreign servers and tables in the order of their names.
OTHER: Final = """
select format('collation %I.%I', n.nspname, x.collname),
       concat_ws(' ', x.collprovider, x.collcollate, x.collctype, case when not x.collisdeterministic
         then 'nondeterministic' end), array[x.xmin::text]
  from pg_collation x join pg_namespace n on n.oid = x.collnamespace where {mine}
union all
select 'foreign server ' || quote_ident(srvname), concat_ws(' ', f.fdwname, srvtype, srvversion,
       left(encode(sha256(convert_to((select array_agg(o order by o) from unnest(srvoptions) o)::text, 'UTF8')),
         'hex'), 16)), array[x.xmin::text]
  from pg_foreign_server x join pg_foreign_data_wrapper f on f.oid = srvfdw
union all
select format('operator %s', o.oid::regoperator), o.oprcode::regprocedure::text, array[o.xmin::text]
  from pg_operator o join pg_namespace n on n.oid = o.oprnamespace where {mine} and not exists
       (select from pg_depend d where d.classid = 'pg_operator'::regclass and d.objid = o.oid and d.deptype = 'e')
union all
select format('cast (%s as %s)', format_type(castsource, null), format_type(casttarget, null)),
       concat_ws(' ', castcontext, nullif(castfunc, 0)::regprocedure), array[x.xmin::text]
  from pg_cast x where x.oid >= 16384 and not exists
       (select from pg_depend d where d.classid = 'pg_cast'::regclass and d.objid = x.oid and d.deptype = 'e')
union all
select format('text search configuration %I.%I', n.nspname, x.cfgname),
       (select string_agg(format('%s %s', maptokentype, mapdict::regdictionary), ', ' order by maptokentype, mapseqno)
          from pg_ts_config_map where mapcfg = x.oid), array[x.xmin::text]
  from pg_ts_config x join pg_namespace n on n.oid = x.cfgnamespace where {mine} and not exists
       (select from pg_depend d where d.classid = 'pg_ts_config'::regclass and d.objid = x.oid and d.deptype = 'e')
"""

COMMENT: Final = """
select i.type || ' ' || i.identity, x.description, array[x.xmin::text]
  from pg_description x, lateral pg_identify_object(x.classoid, x.objoid, x.objsubid) i
 where x.objoid >= 16384 and i.identity is not null and not exists
       (select from pg_depend d where d.classid = x.classoid and d.objid = x.objoid and d.deptype = 'e')
"""

STRUCTURE: Final = {
    Kind.SCHEMA: SCHEMA,
    Kind.EXTENSION: EXTENSION,
    Kind.TYPE: TYPE,
    Kind.TABLE: TABLE,
    Kind.COLUMN: COLUMN,
    Kind.CONSTRAINT: CONSTRAINT,
    Kind.INDEX: INDEX,
    Kind.TRIGGER: TRIGGER,
    Kind.EVENT_TRIGGER: EVENT_TRIGGER,
    Kind.FUNCTION: FUNCTION,
    Kind.VIEW: VIEW,
    Kind.RULE: RULE,
    Kind.SEQUENCE: SEQUENCE,
    Kind.STATISTICS: STATISTICS,
    Kind.POLICY: POLICY,
    Kind.PUBLICATION: PUBLICATION,
    Kind.OTHER: OTHER,
    Kind.COMMENT: COMMENT,
}
