// A story's words: HTML that the server rendered and sanitised, made into elements of ours one by one. What is not on the
// list becomes its text; nothing is ever put into the page as markup.

import { html } from "../../ui.js";

const TAGS = new Set("p br h2 h3 h4 h5 h6 strong em s a ul ol li blockquote pre code hr span".split(" "));

// The page's policy lets no plain string be parsed; this parses into a template, whose content is inert.
const policy = globalThis.trustedTypes?.createPolicy("chorus-story", { createHTML: (words) => words });

/** The words as elements. `words` is `html` as the server gave it. */
export function Prose({ words }) {
  const template = document.createElement("template");
  template.innerHTML = policy ? policy.createHTML(words) : words;
  return html`<div class="prose" dir="auto">${[...template.content.childNodes].map(element)}</div>`;
}

function element(node) {
  if (node.nodeType === Node.TEXT_NODE) return node.data;
  const within = [...node.childNodes].map(element);
  const tag = node.localName;
  if (!TAGS.has(tag)) return within;
  if (tag === "br" || tag === "hr") return html`<${tag} />`;
  return html`<${tag} ...${attributes(tag, node)}>${within}<//>`;
}

function attributes(tag, node) {
  const href = node.getAttribute("href") ?? "";
  if (tag === "a" && href.startsWith("/topics/")) return { class: "tag", href };
  if (tag === "a" && /^(https?:\/\/|mailto:)/i.test(href)) return { class: "link", href, target: "_blank", rel: "noopener noreferrer nofollow ugc" };
  if (tag === "span") return { class: "mention" };
  if (tag === "ol" && node.hasAttribute("start")) return { start: Number(node.getAttribute("start")) };
  return /^(p|h[2-6]|li|blockquote)$/.test(tag) ? { dir: "auto" } : {};
}
