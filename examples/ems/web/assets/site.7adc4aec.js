/* Shows the API's state on every page, its details on the status page and the lessons on theirs. */
const REFRESH_MS = 30_000;
const TIMEOUT_MS = 8_000;

/* The API stands beside the site: www.<zone> → api.<zone>. `data-api` on <html> names another one. */
const api =
  document.documentElement.dataset.api ??
  `${location.protocol}//api.${location.hostname.replace(/^www\./, "")}${location.port && `:${location.port}`}`;

async function ask(path) {
  const response = await fetch(api + path, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  return { response, body: await response.json() };
}

function put(name, text) {
  for (const place of document.querySelectorAll(`[data-show="${name}"]`)) place.textContent = text;
}

async function showState() {
  const asked = performance.now();
  let seen;
  try {
    const { response, body } = await ask("/api/health");
    seen = { good: response.ok && body.status === "ok", ...body };
  } catch (error) {
    seen = { good: false, message: "API injoignable", reason: error.name };
  }
  for (const place of document.querySelectorAll(".state")) {
    place.dataset.state = seen.good ? "ok" : "error";
    const text = seen.message ?? "État inconnu";
    if (place.textContent !== text) place.textContent = text; // read aloud at a change only
  }
  put("version", seen.version ?? "—");
  put("reason", seen.reason ?? "—");
  put("latency", `${Math.round(performance.now() - asked)} ms`);
  put("checked", new Date().toLocaleTimeString("fr-FR"));
}

async function showLessons(rows) {
  const when = new Intl.DateTimeFormat("fr-FR", { dateStyle: "medium", timeStyle: "short" });
  const price = new Intl.NumberFormat("fr-FR", { style: "currency", currency: "EUR" });
  try {
    const { response, body } = await ask("/api/lessons?limit=20");
    if (!response.ok) throw new Error(body.error?.message ?? `réponse ${response.status}`);
    const lines = body.items.map((lesson) => {
      const cells = [
        when.format(new Date(lesson.starts_at)),
        lesson.title,
        lesson.arena ?? "—",
        `${lesson.duration_minutes} min`,
        price.format(lesson.price_cents / 100),
      ];
      const line = document.createElement("tr");
      line.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
      return line;
    });
    rows.replaceChildren(...lines);
    put("lessons", body.items.length ? `${body.items.length} leçons` : "Aucune leçon au programme.");
  } catch (error) {
    put("lessons", `Le programme n'est pas disponible (${error.message}).`);
  }
}

showState();
setInterval(() => document.hidden || showState(), REFRESH_MS);
const rows = document.querySelector("#lessons tbody");
if (rows) showLessons(rows);
