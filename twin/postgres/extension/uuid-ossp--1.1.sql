create function @extschema@.uuid_generate_v4() returns uuid
  language sql volatile parallel safe as 'select pg_catalog.gen_random_uuid()';
create function @extschema@.uuid_nil() returns uuid
  language sql immutable parallel safe as $$select '00000000-0000-0000-0000-000000000000'::uuid$$;
