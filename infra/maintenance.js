// Answers while the service is stopped. Needs nothing of the app: no database, no flag, no cooperation.
export default {
  async fetch(request, env) {
    const body = {
      status: "maintenance",
      message: `${env.PRODUCT} is under maintenance and will be back soon`,
      timestamp: new Date().toISOString(),
      version: env.VERSION.id,
    };
    const headers = {
      "content-type": "application/json; charset=utf-8",
      "cache-control": "no-store",
      "retry-after": env.RETRY_AFTER,
    };
    return new Response(request.method === "HEAD" ? null : JSON.stringify(body), { status: 503, headers });
  },

  // Scheduled work must not touch data that is being recovered.
  async scheduled() {},
};
