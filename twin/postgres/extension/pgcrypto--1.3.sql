-- gen_random_uuid() is PostgreSQL's own since 13.
create function @extschema@.gen_random_bytes(wanted integer) returns bytea
  language plpgsql volatile parallel safe as $$
declare
  gathered bytea := '';
begin
  if wanted < 1 or wanted > 1024 then
    raise exception 'Length not in range' using errcode = 'external_routine_invocation_exception';
  end if;
  while length(gathered) < wanted loop
    gathered := gathered || pg_catalog.sha256(pg_catalog.uuid_send(pg_catalog.gen_random_uuid())
      || pg_catalog.uuid_send(pg_catalog.gen_random_uuid()));
  end loop;
  return substr(gathered, 1, wanted);
end $$;

create function @extschema@.digest(data bytea, kind text) returns bytea
  language plpgsql immutable strict parallel safe as $$
begin
  return case lower(kind)
    when 'md5' then decode(md5(data), 'hex')
    when 'sha224' then pg_catalog.sha224(data)
    when 'sha256' then pg_catalog.sha256(data)
    when 'sha384' then pg_catalog.sha384(data)
    when 'sha512' then pg_catalog.sha512(data)
  end;
end $$;

create function @extschema@.digest(data text, kind text) returns bytea
  language sql immutable strict parallel safe as
  $$select @extschema@.digest(pg_catalog.convert_to(data, 'UTF8'), kind)$$;

create function @extschema@.hmac(data bytea, key bytea, kind text) returns bytea
  language plpgsql immutable strict parallel safe as $$
declare
  block constant integer := case when lower(kind) in ('sha384', 'sha512') then 128 else 64 end;
  padded bytea := case when length(key) > block then @extschema@.digest(key, kind) else key end;
  inner_key bytea;
  outer_key bytea;
begin
  padded := padded || decode(repeat('00', block - length(padded)), 'hex');
  inner_key := padded;
  outer_key := padded;
  for i in 0 .. block - 1 loop
    inner_key := set_byte(inner_key, i, get_byte(padded, i) # 54);
    outer_key := set_byte(outer_key, i, get_byte(padded, i) # 92);
  end loop;
  return @extschema@.digest(outer_key || @extschema@.digest(inner_key || data, kind), kind);
end $$;

create function @extschema@.hmac(data text, key text, kind text) returns bytea
  language sql immutable strict parallel safe as
  $$select @extschema@.hmac(pg_catalog.convert_to(data, 'UTF8'), pg_catalog.convert_to(key, 'UTF8'), kind)$$;
