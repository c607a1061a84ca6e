/** Lists and single rows, as the JSON text that the database makes: ids and microseconds come through unharmed. */
import { json, Problem } from "./answers.js";

const LIMIT = { fallback: 50, min: 1, max: 200 };
const OFFSET = { fallback: 0, min: 0, max: 1_000_000 };

/** Answer the newest rows of a resource, `limit` of them after the first `offset`. */
export const list = (resource) => async ({ sql, url }) => {
  const limit = whole(url, "limit", LIMIT);
  const offset = whole(url, "offset", OFFSET);
  const [{ items }] = await sql`
    select coalesce(json_agg(row_to_json(page) order by page.id desc), '[]')::text as items
      from (select * from ${sql(resource.table)} order by id desc limit ${limit} offset ${offset}) page`;
  return json(`{"items":${items},"limit":${limit},"offset":${offset}}`);
};

/** Answer one row, with its parts. */
export const read = (resource) => async ({ sql, params }) => {
  const { table, parts } = resource;
  const [found] = await sql`
    select row_to_json(answer)::text as body
      from (select kept.* ${
        parts
          ? sql`, coalesce((select json_agg(row_to_json(part) order by part.id) from ${sql(parts.table)} part
                             where part.${sql(parts.parent)} = kept.id), '[]') as ${sql(parts.name)}`
          : sql``
      }
              from ${sql(table)} kept where kept.id = ${params.id}) answer`;
  if (!found) throw new Problem(404, "not_found", "Rien à cette adresse.");
  return json(found.body);
};

function whole(url, name, { fallback, min, max }) {
  const given = url.searchParams.get(name);
  if (given === null) return fallback;
  const number = /^\d{1,9}$/.test(given) ? Number(given) : Number.NaN;
  if (number >= min && number <= max) return number;
  const fields = { [name]: `doit être entre ${min} et ${max}` };
  throw new Problem(400, "invalid_parameter", "Un paramètre n'est pas valide.", { fields });
}
