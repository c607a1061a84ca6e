/** Reading a request's body within its limits. */
import { Problem } from "./answers.js";

const MAX_BYTES = 64 * 1024;

/** A body that is too large is read on up to here: a caller who is still sending would miss an earlier answer. */
const DRAIN_BYTES = 1024 * 1024;

/** Read a JSON body; give the value and its bytes' SHA-256 in hexadecimal. */
export async function readJson(request) {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new Problem(415, "unsupported_media_type", "Le corps doit être en application/json.");
  }
  const bytes = await readBytes(request);
  return { value: parse(bytes), hash: await sha256(bytes) };
}

/** Hash bytes with SHA-256, in hexadecimal. */
export async function sha256(bytes) {
  return Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("hex");
}

function parse(bytes) {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new Problem(400, "invalid_json", "Le corps n'est pas du JSON valide.", { cause: error });
  }
}

async function readBytes(request) {
  const tooLarge = () => new Problem(413, "body_too_large", `Le corps dépasse ${MAX_BYTES} octets.`);
  if (Number(request.headers.get("content-length")) > DRAIN_BYTES) throw tooLarge();
  const chunks = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.length;
    if (size > DRAIN_BYTES) break;
    if (size <= MAX_BYTES) chunks.push(chunk);
  }
  if (size > MAX_BYTES) throw tooLarge();
  return Buffer.concat(chunks);
}
