// The page's composition root: config, who reads, the socket, the first render. Everything else is imported by need.

import { get } from "./api.js";
import { whoami } from "./session.js";
import { config, me } from "./store.js";
import { open, reopen } from "./stream.js";
import { html, render } from "./ui.js";
import { Shell } from "./views/shell.js";

const AGAIN = 3000; // ms between tries to reach the server for the first time

const LATER = 30_000; // ms; a member whom the gateway refuses all the same asks again, slowly

const REVOKED = [4500, 4503];
let refusals = 0;

// Signed out somewhere else: the page goes on as a guest's, with a connection of a guest's.
async function onstop(code) {
  if (!REVOKED.includes(code)) return;
  const before = me.value;
  await whoami({ surely: Boolean(before) }).catch(() => {});
  // Still who we were: a ticket that ended while the machine slept is the likeliest, so the first new try comes soon.
  if (me.value?.id === before?.id) setTimeout(reopen, Math.min(LATER, AGAIN * ++refusals) * (0.5 + Math.random() / 2));
}

async function begin() {
  try {
    const [{ data }] = await Promise.all([get("/v1/config"), whoami()]);
    config.value = data;
    open(data.live_url, { onstop });
  } catch {
    setTimeout(begin, AGAIN);
  }
}

begin();
render(html`<${Shell} />`, document.getElementById("page"));
