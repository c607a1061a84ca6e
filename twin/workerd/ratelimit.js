// What `env.LIMITER.limit({ key })` is: counts in this process, by key and period, as Cloudflare does in one location.
export default function ({ limit, period }) {
  const seen = new Map();
  return {
    async limit({ key = "" } = {}) {
      const now = Math.floor(Date.now() / 1000 / period);
      const [at, count] = seen.get(key) ?? [now, 0];
      const made = at === now ? count + 1 : 1;
      seen.set(key, [now, made]);
      return { success: made <= limit };
    },
  };
}
