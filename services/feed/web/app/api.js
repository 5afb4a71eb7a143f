// HTTP: one call, its answer or its Problem. It knows no state; who is asking is the cookie's business.

const PATIENCE = 20_000; // ms; a write may wait 2 s for a lock and be tried again before the server answers
const TICKET_LIFE = 45_000; // ms of the 60 s that a ticket is good for

/** What went wrong, as a person can use it. `status` 0: no answer came (offline, or too slow). */
export class Problem extends Error {
  constructor({ status = 0, code = "offline", title = "We couldn't reach Chorus", detail, request_id, errors, retry_after }) {
    super(detail || title);
    Object.assign(this, { status, code, title, detail, requestId: request_id, errors: errors ?? [], retryAfter: retry_after });
  }

  /** The fault of one field, in words, if the server named it. */
  of(field) {
    return this.errors.find((fault) => fault.field === field)?.detail;
  }
}

/** GET and the rest. Answers {data, asOf}; throws Problem. `key` is the Idempotency-Key, `token` a bearer. */
export async function call(method, path, { body, form, key, token } = {}) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  if (token) headers.Authorization = `Bearer ${token}`;
  let response, text;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: form ?? (body === undefined ? undefined : JSON.stringify(body)),
      credentials: token ? "omit" : "same-origin",
      cache: "no-cache",
      signal: AbortSignal.timeout(form ? 6 * PATIENCE : PATIENCE),
    });
    text = await response.text();
  } catch {
    throw new Problem({});
  }
  const answer = parsed(text);
  if (!response.ok) {
    const retry_after = Number(response.headers.get("Retry-After")) || undefined;
    const request_id = response.headers.get("X-Request-Id") ?? undefined;
    throw new Problem({ status: response.status, code: "unknown", title: "Something went wrong", request_id, retry_after, ...answer });
  }
  return { data: answer, asOf: parsed(response.headers.get("Chorus-As-Of")) ?? answer?.as_of ?? null };
}

function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

export const get = (path) => call("GET", path);

/** The path with its query; parts that are null or undefined are left out. */
export function withQuery(path, query) {
  const given = Object.entries(query).filter(([, value]) => value != null && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

let ticket = null;

/** A ticket for notify; the same one for as long as it is surely good. */
export async function takeTicket({ fresh = false } = {}) {
  if (fresh || !ticket || Date.now() - ticket.at > TICKET_LIFE) {
    const { data } = await call("POST", "/v1/live/ticket");
    ticket = { value: data.ticket, at: Date.now() };
  }
  return ticket.value;
}

/** Who asks has changed: an old ticket would speak for the wrong one. */
export function forgetTicket() {
  ticket = null;
}

/** A cursor that is complete for both reads: the lower position of each log. Null when either is not known. */
export function lowest(a, b) {
  if (!a || !b) return a ?? b;
  if (a.epoch !== b.epoch) return a.epoch < b.epoch ? a : b;
  return { epoch: a.epoch, seq: a.seq.map((seq, log) => Math.min(seq, b.seq[log] ?? seq)) };
}
