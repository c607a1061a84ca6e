// Fires the app's scheduled() handler: the runtime has no other door to it from outside.
export default {
  async fetch(request, env) {
    if (request.method === "HEAD") return new Response(null); // the twin asks whether it runs
    const { cron, at } = await request.json();
    const fired = await env.APP.scheduled({ cron, scheduledTime: new Date(at) });
    return Response.json(fired);
  },
};
