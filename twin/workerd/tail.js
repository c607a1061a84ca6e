// Hands every event of the app to the twin, without what cannot be written as JSON.
const request = ({ event }) =>
  event?.request ? { method: event.request.method, url: event.request.url } : null;

export default {
  async tail(events, env) {
    const plain = events.map((event) => ({
      at: event.eventTimestamp,
      outcome: event.outcome,
      cron: event.event?.cron ?? null,
      request: request(event),
      ray: event.event?.request?.headers?.["cf-ray"] ?? null,
      logs: event.logs.map(({ timestamp, level, message }) => ({ timestamp, level, message })),
      exceptions: event.exceptions.map(({ timestamp, name, message, stack }) => ({ timestamp, name, message, stack })),
    }));
    await env.TWIN.fetch("http://twin/tail", { method: "POST", body: JSON.stringify(plain) });
  },
};
