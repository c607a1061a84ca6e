/** What the API answers: JSON, and problems as `{error: {code, message, fields?}}`. */

const HEADERS = {
  "content-type": "application/json; charset=utf-8",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
};

/** Answer with `body`: text is JSON already, anything else is written as JSON. */
export function json(body, { status = 200, headers = {} } = {}) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return new Response(text, { status, headers: { ...HEADERS, ...headers } });
}

/** A refusal with everything that the caller may know. */
export class Problem extends Error {
  constructor(status, code, message, { fields, headers, cause } = {}) {
    super(message, { cause });
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.fields = fields;
    this.headers = headers;
  }
}

/** Write a problem as an answer. */
export function refuse(problem) {
  const { status, code, message, fields, headers } = problem;
  return json({ error: { code, message, fields } }, { status, headers });
}

/**
 * Let the product's own site read the answers from a browser: `www.<zone>` and `<zone>` where we are `api.<zone>`.
 * Everyone may read the health.
 */
export function sharing(request, url) {
  const origin = request.headers.get("origin");
  if (url.pathname === "/api/health") return { "access-control-allow-origin": "*" };
  if (!origin || !URL.canParse(origin)) return {};
  const zone = url.hostname.replace(/^api\./, "");
  if (![zone, `www.${zone}`].includes(new URL(origin).hostname)) return { vary: "origin" };
  return { "access-control-allow-origin": origin, "access-control-expose-headers": "x-request-id", vary: "origin" };
}
