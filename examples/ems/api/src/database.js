/** The way to the database, and what its errors mean to a caller. */
import postgres from "postgres";
import { Problem } from "./answers.js";

/** Seconds to wait for a connection, and for one statement of a write. */
const CONNECT_SECONDS = 3;
const STATEMENT_SECONDS = 8;

/**
 * Make a client for one request; it connects at its first query. Hyperdrive keeps the real connections.
 *
 * Dates and times stay the database's own text: a JavaScript Date would lose the microseconds.
 */
export function connect(env) {
  return postgres(env.DB.connectionString, {
    max: 1,
    fetch_types: false,
    connect_timeout: CONNECT_SECONDS,
    connection: { application_name: "ems-api" },
    types: { date: { to: 1184, from: [1082, 1083, 1114, 1184], serialize: String, parse: String } },
  });
}

/** Run `work` in one transaction whose statements are cut off in time: an answer follows its commit, or none does. */
export function transaction(sql, work) {
  return sql.begin(async (tx) => {
    const [, result] = await Promise.all([
      tx`select set_config('statement_timeout', ${`${STATEMENT_SECONDS}s`}, true)`,
      work(tx),
    ]);
    return result;
  });
}

/** Classes of SQLSTATE, and codes of the driver, that say "not now": the same call may succeed later. */
const LATER = /^(08|28|3D|53|57|25006|CONNECT|ECONN|ENOTFOUND|ETIMEDOUT|EPIPE)/;

/** The runtime's own socket errors carry no code ("connection attempt failed", "Network connection lost."). */
const SOCKET = /connect|network/i;

/** Turn any error into the problem that the caller is told. */
export function asProblem(error) {
  if (error instanceof Problem) return error;
  const code = String(error.code ?? "");
  if (LATER.test(code) || (code === "" && SOCKET.test(error.message))) {
    const headers = { "retry-after": "5" };
    return new Problem(503, "database_unavailable", "La base de données ne répond pas.", { headers, cause: error });
  }
  const [, column] = /^Key \((?:lower\()?(\w+)/.exec(error.detail ?? "") ?? [];
  const told = (text) => ({ fields: column ? { [column]: text } : undefined, cause: error });
  if (code === "23503") return new Problem(422, "unknown_reference", "Référence inconnue.", told("n'existe pas"));
  if (code === "23505") return new Problem(409, "already_exists", "Existe déjà.", told("existe déjà"));
  if (/^2[23]/.test(code)) return new Problem(422, "invalid_value", "Valeur refusée par la base.", { cause: error });
  return new Problem(500, "internal_error", "Erreur interne.", { cause: error });
}
