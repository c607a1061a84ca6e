/** Which handler answers which method and path; logs name the pattern, never the path. */
import { Problem } from "./answers.js";
import { health } from "./health.js";
import { list, read } from "./reads.js";
import { resources } from "./resources.js";
import { login } from "./sessions.js";
import { create } from "./writes.js";

const ROUTES = new Map([
  ["/api/health", { GET: health }],
  ["/api/login", { POST: login }],
  ...Object.entries(resources).flatMap(([name, resource]) => [
    [`/api/${name}`, { GET: list(resource), POST: create(name, resource) }],
    [`/api/${name}/:id`, { GET: read(resource) }],
  ]),
]);

/** Find the route of a request: its pattern, its parameters and the handler, which may be one that refuses. */
export function find(method, path) {
  const [, parent, id] = /^(.+)\/([1-9]\d{0,17})$/.exec(path) ?? [];
  const pattern = parent ? `${parent}/:id` : path;
  const handlers = ROUTES.get(pattern);
  if (!handlers || path.includes(":")) return { pattern: "(none)", params: {}, handle: notFound };
  const allowed = Object.keys(handlers).flatMap((name) => (name === "GET" ? ["GET", "HEAD"] : [name]));
  const handle = handlers[method === "HEAD" ? "GET" : method] ?? otherMethod(method, [...allowed, "OPTIONS"].join(", "));
  return { pattern, params: { id }, handle };
}

function notFound() {
  throw new Problem(404, "not_found", "Rien à cette adresse.");
}

function otherMethod(method, allow) {
  if (method === "OPTIONS") {
    const headers = {
      allow,
      "access-control-allow-methods": allow,
      "access-control-allow-headers": "authorization, content-type, idempotency-key",
      "access-control-max-age": "3600",
    };
    return () => new Response(null, { status: 204, headers });
  }
  return () => {
    throw new Problem(405, "method_not_allowed", "Méthode non permise ici.", { headers: { allow } });
  };
}
