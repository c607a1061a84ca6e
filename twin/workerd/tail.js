// Hands every event of the app to the twin, several at a time, without what cannot be written as JSON.
const TOGETHER = 10; // milliseconds: under load this makes one message of many

const request = ({ event }) => {
  if (!event?.request) return null;
  const { method, url, headers, cf } = event.request; // the runtime has hidden what is secret in them
  return { method, url, headers: { ...headers }, cf: cf ?? {} };
};

let waiting = [];
let sending = false;

export default {
  async tail(events, env) {
    for (const event of events) {
      waiting.push({
        at: event.eventTimestamp,
        outcome: event.outcome,
        cron: event.event?.cron ?? null,
        scheduled: event.event?.scheduledTime ?? null,
        request: request(event),
        response: event.event?.response ? { status: event.event.response.status } : null,
        ray: event.event?.request?.headers?.["cf-ray"] ?? null,
        entrypoint: event.entrypoint ?? null,
        truncated: event.truncated ?? false,
        logs: event.logs.map(({ timestamp, level, message }) => ({ timestamp, level, message })),
        exceptions: event.exceptions.map(({ timestamp, name, message, stack }) => ({ timestamp, name, message, stack })),
      });
    }
    if (sending) return;
    sending = true;
    await scheduler.wait(TOGETHER);
    const batch = waiting;
    waiting = [];
    sending = false;
    await env.TWIN.fetch("http://twin/tail", { method: "POST", body: JSON.stringify(batch) });
  },
};
