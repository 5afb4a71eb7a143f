// Words that met a change made elsewhere: both are shown beside each other, and the writer says which stay.

import { html } from "../ui.js";

/** `theirs` and `yours` are [[label, words]]: those that differ are shown. `what`: "post" or "comment". */
export function Conflict({ what, theirs, yours, busy, onmine, ontheirs }) {
  const shown = theirs.map(([label, words], n) => [label, words || "", yours[n][1] || ""]).filter(([, a, b]) => a !== b);
  const side = (title, at) => html`<div class="side">
    <h3>${title}</h3>
    ${shown.map((row) => html`<p class="hint">${row[0]}</p><blockquote class="body" dir="auto">${row[at] || "–"}</blockquote>`)}
  </div>`;
  return html`<section class="trouble" role="alert">
    <p>This ${what} was changed somewhere else while you were writing. Your words are kept above.</p>
    ${shown.length > 0 && html`<div class="sides">${side("It now reads", 1)}${side("Yours", 2)}</div>`}
    <div class="row end">
      <button class="quiet" type="button" onClick=${ontheirs}>Keep what is there</button>
      <button class="primary" type="button" disabled=${busy} onClick=${onmine}>Save my words instead</button>
    </div>
  </section>`;
}
