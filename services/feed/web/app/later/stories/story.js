// A published story: its cover and first words in a list, the whole of it on its own page.

import { get } from "../../api.js";
import { postPath } from "../../router.js";
import { html, useState } from "../../ui.js";
import { Photos } from "../../views/photos.js";
import { Failed, Skeleton, useLoad } from "../../views/states.js";
import { Prose } from "./prose.js";
import { style } from "./style.js";

await style("stories.css");

const PACE = 220; // words a minute, read for pleasure
const GLIMPSE = 300; // characters of a story's beginning in a list

/** `alone`: on its own page, its title as h1. */
export default function Story({ post, alone }) {
  return alone ? html`<${Reading} post=${post} />` : html`<${Card} post=${post} />`;
}

function Card({ post }) {
  return html`<div class="story">
    <${Cover} photo=${post.media[0]} href=${postPath(post.id)} />
    <h2 class="title" dir="auto"><a href=${postPath(post.id)}>${post.title ?? "A story"}</a></h2>
    <p class="glimpse" dir="auto">${glimpse(post.body)}</p>
    <p class="onward"><a class="tag" href=${postPath(post.id)}>Read the story</a> <span>${pace(post.body)}</span></p>
  </div>`;
}

function Reading({ post }) {
  const { words, problem, again } = useWords(post);
  return html`<div class="story alone">
    <${Cover} photo=${post.media[0]} />
    <h1 class="title" dir="auto">${post.title ?? "A story"}</h1>
    <p class="pace">${pace(post.body)}</p>
    ${words !== null ? html`<${Prose} words=${words} />`
    : problem ? html`<${Failed} what="the words" problem=${problem} again=${again} />`
    : html`<${Skeleton} count=${1} label="Loading the words" />`}
    <${Photos} media=${post.media.slice(1)} />
  </div>`;
}

// Rendered words come with no event: after an edit they are asked for again, and what was there stays until they are here.
function useWords(post) {
  const [held, hold] = useState(null);
  const load = useLoad(async () => {
    const read = (await get(`/v1/posts/${post.id}/html`)).data;
    hold({ id: read.post_id, words: read.html });
  }, [post.id, post.version]);
  return { ...load, words: held?.id === post.id ? held.words : null };
}

function Cover({ photo, href }) {
  const [broken, setBroken] = useState(false);
  if (!photo) return null;
  if (broken) return html`<div class="cover missing"><p>This photo didn't load.${photo.alt ? ` It shows: ${photo.alt}` : ""}</p></div>`;
  const image = html`<img class="cover" src=${photo.urls.medium} alt=${href ? "" : photo.alt ?? "A photo without a description"} width=${photo.width} height=${photo.height} loading=${href ? "lazy" : "eager"} decoding="async" onError=${() => setBroken(true)} />`;
  return href ? html`<a href=${href} tabindex="-1" aria-hidden="true">${image}</a>` : image;
}

/** How long it takes to read. */
export const pace = (body) => `${Math.max(1, Math.round(body.split(/\s+/).length / PACE))} min to read`;

/** The beginning of a story as plain words: headings and marks left out, not meant to be exact. */
export function glimpse(body) {
  const plain = body
    .slice(0, 4 * GLIMPSE)
    .replace(/^(```|~~~)[\s\S]*?^\1/gm, " ")
    .replace(/^(#{1,6}\s.*|.*\n(=+|-{3,})\s*)$/gm, " ")
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/^\s*(>|[-*+]\s|\d+[.)]\s|[-=*_]{3,}\s*$)/gm, "")
    .replace(/(\*\*|__|~~|`|(?<!\w)[*_]|[*_](?!\w))/g, "")
    .replace(/\\([!-/:-@[-`{-~])/g, "$1")
    .replace(/\s+/g, " ")
    .trim();
  if (plain.length <= GLIMPSE) return plain;
  return `${plain.slice(0, GLIMPSE).replace(/\s+\S*$/, "")} …`;
}
