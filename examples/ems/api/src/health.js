/** The health contract, and the heartbeat by which a restore is proved. */
import { json } from "./answers.js";

const DATABASE_MS = 3000;

/** Answer whether the service works: 200 `ok`, or 503 `error` with the reason when the database does not answer. */
export async function health(call) {
  const { sql, env } = call;
  const common = () => ({ timestamp: new Date().toISOString(), version: env.VERSION.id });
  try {
    // A volatile function: Hyperdrive would answer a cacheable query even while the database is down.
    await within(DATABASE_MS, sql`select clock_timestamp()`);
  } catch (error) {
    call.failure = error;
    const body = { status: "error", message: "La base de données ne répond pas", reason: reasonOf(error), ...common() };
    return json(body, { status: 503, headers: { "retry-after": "5" } });
  }
  return json({ status: "ok", message: "API opérationnelle", ...common() });
}

/** Write one heartbeat row. */
export async function beat(sql, env) {
  await sql`insert into ops.heartbeat (version) values (${env.VERSION.id})`;
}

/** Name the reason by its code alone: the driver's text may name hosts and users. */
function reasonOf(error) {
  return `database: ${error.code ?? "connection failed"}`;
}

async function within(ms, query) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Error(`no answer in ${ms} ms`), { code: "TIMEOUT" })), ms);
  });
  try {
    return await Promise.race([query, late]);
  } finally {
    clearTimeout(timer);
  }
}
