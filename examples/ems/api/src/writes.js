/** Creating rows: checked, audited and remembered under their idempotency key in one transaction. */
import { json, Problem } from "./answers.js";
import { readJson, sha256 } from "./body.js";
import { transaction } from "./database.js";
import { validate } from "./validation.js";

/** Create a row from the body; with an `Idempotency-Key`, at most once. Answers 201 after the commit. */
export const create = (name, resource) => async (call) => {
  const key = keyOf(call.request);
  const { value, hash } = await readJson(call.request);
  const checked = validate(resource.fields, value);
  const { row, parts } = resource.split ? resource.split(checked) : { row: checked, parts: [] };
  const insert = (tx) => insertAudited(tx, { resource, row, parts, action: `create ${name}`, call });
  const { body, replayed } = await transaction(call.sql, async (tx) =>
    key === null ? { body: await insert(tx) } : once(tx, { key, route: `POST /api/${name}`, hash, call }, insert),
  );
  return json(body, { status: 201, headers: replayed ? { "idempotent-replayed": "true" } : {} });
};

/** Insert the row, its parts and its audit row in one statement; give the whole row as JSON text. */
async function insertAudited(tx, { resource, row, parts, action, call }) {
  const [{ body }] = await tx`
    with created as (insert into ${tx(resource.table)} ${tx(row)} returning *),
    audited as (
      insert into ops.audit (actor, action, row_id, request_id)
      select ${call.user}, ${action}, id::text, ${call.requestId} from created
    )
    ${resource.parts ? tx`, part as (${resource.parts.insert(tx, parts)} returning *)` : tx``}
    select row_to_json(answer)::text as body
      from (select created.* ${
        resource.parts
          ? tx`, coalesce((select json_agg(row_to_json(part) order by part.id) from part), '[]')
                 as ${tx(resource.parts.name)}`
          : tx``
      } from created) answer`;
  return body;
}

/**
 * Do `insert` at most once for a key: the answer is kept beside the row, in its transaction.
 *
 * A second call with the key waits at the primary key until the first has committed or failed.
 */
async function once(tx, { key, route, hash, call }, insert) {
  const fingerprint = await sha256(new TextEncoder().encode(`${call.user}\n${hash}`));
  const [first] = await tx`
    insert into ops.idempotency (route, key, request_hash) values (${route}, ${key}, ${fingerprint})
    on conflict do nothing returning true`;
  if (first) {
    const body = await insert(tx);
    await tx`update ops.idempotency set status = 201, answer = ${body} where route = ${route} and key = ${key}`;
    return { body };
  }
  const [kept] = await tx`select request_hash, answer from ops.idempotency where route = ${route} and key = ${key}`;
  if (kept.request_hash !== fingerprint) {
    throw new Problem(409, "idempotency_key_reused", "Cette clé d'idempotence a servi à une autre demande.");
  }
  return { body: kept.answer, replayed: true };
}

function keyOf(request) {
  const key = request.headers.get("idempotency-key");
  if (key !== null && !/^[\x21-\x7e]{1,255}$/.test(key)) {
    const fields = { "idempotency-key": "doit avoir de 1 à 255 caractères ASCII visibles" };
    throw new Problem(400, "invalid_idempotency_key", "La clé d'idempotence n'est pas valide.", { fields });
  }
  return key;
}
