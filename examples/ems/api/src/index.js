/**
 * API of the Equestrian Management System, as a Cloudflare Worker.
 *
 * Bindings: `DB` (Hyperdrive), `VERSION` (version metadata: id, tag, timestamp).
 */
import { refuse, sharing } from "./answers.js";
import { asProblem, connect } from "./database.js";
import { beat } from "./health.js";
import { record } from "./log.js";
import { find } from "./router.js";
import { identify } from "./sessions.js";

export default {
  /** Answer one request, and write one log line about it. */
  async fetch(request, env, ctx) {
    const started = Date.now();
    const { method } = request;
    const url = new URL(request.url);
    const requestId = request.headers.get("cf-ray") ?? crypto.randomUUID();
    const { pattern, params, handle } = find(method, url.pathname);
    const call = { request, env, url, params, requestId, sql: connect(env), user: "anonymous", failure: null };
    const response = await answer(call, handle);
    ctx.waitUntil(call.sql.end({ timeout: 1 }));
    const { user, failure } = call;
    record({ requestId, user, method, route: pattern, status: response.status, started, failure });
    const shared = { "x-request-id": requestId, ...sharing(request, url) };
    for (const [name, value] of Object.entries(shared)) response.headers.set(name, value);
    return method === "HEAD" ? new Response(null, response) : response;
  },

  /** Write the heartbeat row; a failure stays visible as the run's outcome. */
  async scheduled({ cron }, env, ctx) {
    const line = { requestId: crypto.randomUUID(), user: "cron", method: "CRON", route: cron, started: Date.now() };
    const sql = connect(env);
    try {
      await beat(sql, env);
      record({ ...line, status: 200, failure: null });
    } catch (failure) {
      record({ ...line, status: 500, failure });
      throw failure;
    } finally {
      ctx.waitUntil(sql.end({ timeout: 1 }));
    }
  },
};

async function answer(call, handle) {
  try {
    // The health must answer even to a caller whose session is over.
    if (call.url.pathname !== "/api/health") call.user = await identify(call);
    return await handle(call);
  } catch (error) {
    const problem = asProblem(error);
    if (problem.status >= 500) call.failure = problem;
    return refuse(problem);
  }
}
