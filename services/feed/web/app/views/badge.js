// How live the page is, in words.

import { connection } from "../stream.js";
import { html, useEffect, useState } from "../ui.js";

/** The words for a state of live.js at the time `now`, in ms. */
export function words({ state, until }, now) {
  if (state === "live") return "Live";
  if (state === "offline" || state === "stopped") return "Offline, showing what we have";
  const seconds = state === "waiting" ? Math.min(30, Math.ceil((until - now) / 1000)) : 0; // clocks may jump
  return seconds > 0 ? `Reconnecting in ${seconds} s` : "Connecting";
}

// The seconds count for the eye only: a screen reader hears the state change once, not each number.
export function Badge() {
  const now = connection.value;
  const [time, setTime] = useState(Date.now());
  useEffect(() => {
    setTime(Date.now());
    if (now.state !== "waiting") return undefined;
    const timer = setInterval(() => setTime(Date.now()), 500);
    return () => clearInterval(timer);
  }, [now]);
  const said = now.state === "waiting" ? "Reconnecting" : words(now, time);
  return html`<p class="live" data-state=${now.state}><span aria-hidden="true">${words(now, time)}</span><span class="unseen" role="status">${said}</span></p>`;
}
