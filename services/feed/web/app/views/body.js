// A body's words, with its tags, mentions and links; nothing in them is rewritten.

import { topicPath } from "../router.js";
import { pieces } from "../text.js";
import { html, useState } from "../ui.js";

const LONG = 1200; // characters past which a list shows a post's beginning: about a phone's screen and a half
const LINES = 24; // of its own

/** The text as it was written; entities come from the server, by code points. `folds`: a long one shows its beginning. */
export function Body({ text, entities, folds = false }) {
  const [isOpen, setOpen] = useState(false);
  if (!text) return html`<p class="deleted">Whoever wrote this took their words away.</p>`;
  const folded = folds && !isOpen && (text.length > LONG || text.split("\n").length > LINES);
  const open = () => setOpen(true);
  // Whoever comes to a link in what is folded sees where they are.
  return html`<p class=${folded ? "body folded" : "body"} dir="auto" onFocusIn=${folded ? open : undefined}>${pieces(text, entities).map(piece)}</p>
    ${folded && html`<button type="button" class="link more" onClick=${open}>Read on</button>`}`;
}

function piece({ text, entity }) {
  if (entity?.type === "tag") return html`<a class="tag" dir="auto" href=${topicPath(entity.slug)}>${text}</a>`;
  if (entity?.type === "mention") return html`<span class="mention" dir="auto">${text}</span>`;
  // Only what is surely a web address becomes one: an entity is data, and javascript: is an address too.
  if (entity?.type === "link" && /^https?:\/\//i.test(entity.url)) {
    return html`<a class="link" dir="auto" href=${entity.url} rel="noopener noreferrer nofollow ugc" target="_blank">${text}</a>`;
  }
  return text;
}
