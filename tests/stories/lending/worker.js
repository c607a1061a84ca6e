// Another product: a library's loans. No site, no bundle of its own, other words for everything.
import postgres from "postgres";

const connect = (env) => postgres(env.DB.connectionString, { max: 1, fetch_types: false, connect_timeout: 3 });

const newest = (sql) => sql`select number, book from lending.loans order by number desc limit 5`;

async function answer(request, env, sql) {
  const { pathname } = new URL(request.url);
  if (pathname === "/alive") {
    await sql`select clock_timestamp()`;
    const about = { status: "up", message: "lending", version: env.VERSION.id };
    return Response.json({ ...about, timestamp: new Date().toISOString() });
  }
  if (pathname !== "/loans") return new Response("no such page", { status: 404 });
  if (request.method === "POST") {
    if (request.headers.get("x-desk") !== env.DESK_KEY) return new Response("who are you?", { status: 401 });
    const { book } = await request.json();
    const [loan] = await sql`insert into lending.loans (book) values (${book}) returning number, book`;
    return Response.json(loan, { status: 201 });
  }
  return Response.json({ edition: env.EDITION ?? "first", loans: await newest(sql) });
}

export default {
  async fetch(request, env, ctx) {
    const sql = connect(env);
    try {
      return await answer(request, env, sql);
    } catch (error) {
      return Response.json({ error: error.code ?? "unknown" }, { status: 503 });
    } finally {
      ctx.waitUntil(sql.end({ timeout: 1 }));
    }
  },
};
