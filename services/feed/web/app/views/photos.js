// A post's photos: sized before they load, and whole on asking.

import { html, useState } from "../ui.js";
import { Dialog } from "./pieces.js";

export function Photos({ media }) {
  const [open, setOpen] = useState(null);
  if (!media.length) return null;
  return html`<div class=${media.length > 1 ? "photos many" : "photos"}>
    ${media.map((photo, n) => html`<figure key=${photo.id}>
      <${Picture} photo=${photo} size=${media.length > 1 ? "small" : "medium"} />
      <button class="see" type="button" onClick=${() => setOpen(photo)}>
        See full photo${media.length > 1 && html`<span class="unseen"> ${n + 1} of ${media.length}</span>`}
      </button>
    </figure>`)}
    ${open && html`<${Dialog} title="Photo" kind="wide" onclose=${() => setOpen(null)}>
      <img class="full" src=${open.urls.full} alt=${open.alt ?? ""} width=${open.width} height=${open.height} />
      ${open.alt && html`<p class="caption">${open.alt}</p>`}
    <//>`}
  </div>`;
}

// A photo that does not come keeps its place, and says in words what it would have shown.
function Picture({ photo, size }) {
  const [broken, setBroken] = useState(false);
  if (broken) return html`<div class="photo missing"><p>This photo didn't load.${photo.alt ? ` It shows: ${photo.alt}` : ""}</p></div>`;
  const ratio = Math.max(photo.width / photo.height, 0.8); // a tall photo is cut, or it would push the words away
  return html`<img class="photo" src=${photo.urls[size]} alt=${photo.alt ?? "A photo without a description"} loading="lazy" decoding="async"
    width=${photo.width} height=${Math.round(photo.width / ratio)} onError=${() => setBroken(true)} />`;
}
