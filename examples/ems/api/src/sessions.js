/** Who is calling: login with a password, then a bearer token. Without a token the caller is `anonymous`. */
import { timingSafeEqual } from "node:crypto";
import { json, Problem } from "./answers.js";
import { readJson, sha256 } from "./body.js";
import { transaction } from "./database.js";
import { email, required, text, validate } from "./validation.js";

const FIELDS = { email: required(email), password: required(text({ max: 200, verbatim: true })) };

/** Checked for an unknown address, so that it takes as long as a known one. */
const NOBODY = `pbkdf2-sha256$100000$${btoa("sixteen bytes...")}$${btoa("\0".repeat(32))}`;

/** Exchange e-mail and password for a token; every attempt is put down, and only then answered. */
export async function login(call) {
  const { value } = await readJson(call.request);
  const given = validate(FIELDS, value);
  const address = given.email.toLowerCase();
  const [account] = await call.sql`
    select id, role, password_hash from ops.accounts where email = ${address} and active`;
  const matches = await verify(given.password, account?.password_hash ?? NOBODY);
  const succeeded = Boolean(account) && matches;
  const token = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");
  const session = await transaction(call.sql, async (tx) => {
    await tx`
      insert into ops.login_attempts (email, account_id, succeeded, address, user_agent, request_id)
      values (${address}, ${account?.id ?? null}, ${succeeded}, ${call.request.headers.get("cf-connecting-ip")},
              ${call.request.headers.get("user-agent")?.slice(0, 300) ?? null}, ${call.requestId})`;
    if (!succeeded) return null;
    const [opened] = await tx`
      insert into ops.sessions (token_hash, account_id, expires_at)
      values (decode(${await hashOf(token)}, 'hex'), ${account.id}, now() + interval '12 hours')
      returning to_json(expires_at) as expires_at`;
    return opened;
  });
  if (!session) throw new Problem(401, "invalid_credentials", "Adresse ou mot de passe incorrect.");
  call.user = account.id;
  return json({ token, expires_at: session.expires_at, user: { id: account.id, role: account.role } });
}

/** Name the account behind the request's bearer token. */
export async function identify({ request, sql }) {
  const header = request.headers.get("authorization");
  if (header === null) return "anonymous";
  const [, token] = /^Bearer ([A-Za-z0-9_-]{43})$/.exec(header) ?? [];
  const [account] = token
    ? await sql`
        select a.id from ops.sessions s join ops.accounts a on a.id = s.account_id
         where s.token_hash = decode(${await hashOf(token)}, 'hex') and s.expires_at > clock_timestamp() and a.active`
    : [];
  if (account) return account.id;
  const headers = { "www-authenticate": 'Bearer error="invalid_token"' };
  throw new Problem(401, "invalid_token", "Session inconnue ou expirée.", { headers });
}

const hashOf = (token) => sha256(new TextEncoder().encode(token));

async function verify(password, stored) {
  const [, rounds, salt, key] = stored.split("$");
  const secret = await crypto.subtle.importKey("raw", new TextEncoder().encode(password), "PBKDF2", false, [
    "deriveBits",
  ]);
  const method = { name: "PBKDF2", hash: "SHA-256", salt: Buffer.from(salt, "base64"), iterations: Number(rounds) };
  return timingSafeEqual(Buffer.from(await crypto.subtle.deriveBits(method, secret, 256)), Buffer.from(key, "base64"));
}
