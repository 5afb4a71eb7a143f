// The page's composition root: config, who reads, the socket, the first render. Everything else is imported by need.

import { get } from "./api.js";
import { whoami } from "./session.js";
import { config, me } from "./store.js";
import { open } from "./stream.js";
import { html, render } from "./ui.js";
import { Shell } from "./views/shell.js";

const AGAIN = 3000; // ms between tries to reach the server for the first time

const REVOKED = [4500, 4503];

// Signed out somewhere else: the page goes on as a guest's.
async function onstop(code) {
  if (REVOKED.includes(code)) await whoami({ surely: Boolean(me.value) }).catch(() => {});
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
