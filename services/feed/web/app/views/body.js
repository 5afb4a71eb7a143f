// A body's words, with its tags, mentions and links; nothing in them is rewritten.

import { topicPath } from "../router.js";
import { pieces } from "../text.js";
import { html } from "../ui.js";

/** The text as it was written; entities come from the server, by code points. */
export function Body({ text, entities }) {
  return html`<p class="body" dir="auto">${pieces(text, entities).map(piece)}</p>`;
}

function piece({ text, entity }) {
  if (entity?.type === "tag") return html`<a class="tag" href=${topicPath(entity.slug)}>${text}</a>`;
  if (entity?.type === "mention") return html`<span class="mention">${text}</span>`;
  // Only what is surely a web address becomes one: an entity is data, and javascript: is an address too.
  if (entity?.type === "link" && /^https?:\/\//i.test(entity.url)) {
    return html`<a class="link" href=${entity.url} rel="noopener noreferrer nofollow ugc" target="_blank">${text}</a>`;
  }
  return text;
}
