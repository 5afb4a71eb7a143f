// A story that is not its reader's to change: read as it will stand, and moved on by whoever may.

import { postPath } from "../../router.js";
import { html, useLayoutEffect, useRef, useState } from "../../ui.js";
import { Counter, grow } from "../../views/fields.js";
import { Confirm } from "../../views/pieces.js";
import { Trouble, useAction } from "../../views/states.js";
import { remove, step } from "./calls.js";
import { Prose } from "./prose.js";
import { pace } from "./story.js";

const NOTE = 2000; // characters of a note at most

/** `own`: the reader wrote it; `reviews`: they may publish it or send it back. */
export function Looking({ story, own, reviews, onmoved, ongone }) {
  const [doing, setDoing] = useState("");
  const { busy, problem, run } = useAction();
  const move = (name, more) => run(async () => onmoved(await step(story, name, more)));
  const waits = story.state === "review";
  return html`<article class="post story alone" aria-label="The story as it will stand">
    ${story.cover && html`<img class="cover" src=${story.cover.urls.medium} alt=${story.cover.alt ?? ""} width=${story.cover.width} height=${story.cover.height} />`}
    <h1 class="title" dir="auto" tabindex="-1">${story.title ?? "Without a title"}</h1>
    <p class="pace">by <span dir="auto">${story.author.display_name}</span> · ${pace(story.body)}</p>
    ${story.topics.length > 0 && html`<p class="hint">${story.topics.map((tag) => `#${tag}`).join(" ")}</p>`}
    ${story.content_warning && html`<div class="warn"><p><span class="unseen">Content warning: </span>${story.content_warning}</p></div>`}
    <${Prose} words=${story.html} />
    <${Trouble} problem=${problem}>We couldn't save that.<//>
    ${story.state === "published" && html`<div class="row end"><a class="primary" href=${postPath(story.post_id)}>Read it where it stands</a></div>`}
    ${waits && doing !== "return" && html`<div class="row end">
      ${own && html`<button type="button" class="quiet" onClick=${() => setDoing("delete")}>Delete it</button>
        <button type="button" class="quiet" disabled=${busy} onClick=${() => move("withdraw")}>Take it back</button>`}
      ${reviews && html`<button type="button" class="quiet" onClick=${() => setDoing("return")}>Send it back</button>
        <button type="button" class="primary" disabled=${busy} onClick=${() => move("publish")}>Publish it</button>`}
    </div>`}
    ${doing === "return" && html`<${Note} author=${story.author.display_name} busy=${busy} onsend=${(note) => move("return", { note })} onclose=${() => setDoing("")} />`}
    ${doing === "delete" && html`<${Confirm} title="Delete this story?" yes="Delete it" busy=${busy} onclose=${() => setDoing("")} onyes=${() => run(() => remove(story.id)).then((gone) => gone && ongone())}>
      <p>Its words and its cover go. This can't be undone.</p>
      <${Trouble} problem=${problem}>We couldn't delete it. Try again in a moment.<//>
    <//>`}
  </article>`;
}

function Note({ author, busy, onsend, onclose }) {
  const [note, setNote] = useState("");
  const area = useRef(null);
  useLayoutEffect(() => area.current.focus(), []);
  const send = (event) => {
    event.preventDefault();
    onsend(note);
  };
  return html`<form class="write" onSubmit=${send}>
    <label class="field"><span>What should ${author} know?</span>
      <textarea ref=${area} rows="3" dir="auto" value=${note} onInput=${(event) => { grow(event.target); setNote(event.target.value); }} /></label>
    <${Counter} text=${note} most=${NOTE} />
    <div class="row end"><button class="quiet" type="button" onClick=${onclose}>Cancel</button>
      <button class="primary" disabled=${busy || !note.trim()}>Send it back with this note</button></div>
  </form>`;
}
