/** The log: one JSON object a line, at level ERROR, WARN or INFO. Never a body, an address or a token. */

/** Write what happened to one call; `failure` is the error behind a 5xx or null. */
export function record({ requestId, user, method, route, status, started, failure }) {
  const level = status >= 500 ? "ERROR" : status >= 400 ? "WARN" : "INFO";
  const now = Date.now();
  const time = new Date(now).toISOString();
  const line = { level, time, request_id: requestId, user, method, route, status, ms: now - started };
  if (failure) line.error = describe(failure);
  const print = { ERROR: console.error, WARN: console.warn, INFO: console.log }[level];
  print(JSON.stringify(line));
}

function describe(failure) {
  const root = failure.cause instanceof Error ? failure.cause : failure;
  return { name: root.name, code: root.code, message: root.message, stack: root.stack };
}
