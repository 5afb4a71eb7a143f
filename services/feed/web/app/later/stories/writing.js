// Writing a story: words in Markdown, a look at them by the server's own hand, a cover. What is not saved yet is kept in this
// browser; what somebody saved elsewhere is shown beside it.

import { forget, has, keep, keyFor, load } from "../../drafts.js";
import { member } from "../../session.js";
import { config } from "../../store.js";
import { lengthOf } from "../../text.js";
import { html, useLayoutEffect, useRef, useState } from "../../ui.js";
import { Choosing, usePhotos } from "../../views/choosing.js";
import { Conflict } from "../../views/conflict.js";
import { Counter, Field, grow } from "../../views/fields.js";
import { Icon } from "../../views/icons.js";
import { Confirm } from "../../views/pieces.js";
import { Trouble, useAction } from "../../views/states.js";
import { preview, read, remove, save, step } from "./calls.js";
import { Topics, tagOf } from "../edit.js";
import { Prose } from "./prose.js";

const FIELDS = ["title", "body", "content_warning", "topics", "cover"];

const begin = (story) => ({
  title: story?.title ?? "", body: story?.body ?? "", content_warning: story?.content_warning ?? "",
  topics: story?.topics ?? [], cover: story?.cover?.id ?? "", adding: "", version: story?.version,
});

/** A new story without `story`. `onsaved(story)` after each step that the server has; `ongone` after its deletion. */
export function Writing({ story, onsaved, ongone }) {
  const place = `story:${story?.id ?? ""}`;
  const [draft, setDraft] = useState(() => ({ ...begin(story), ...load(place) }));
  const { photos, setPhotos, uploaded } = usePhotos(place);
  const [looking, setLooking] = useState(null);
  const [theirs, setTheirs] = useState(null);
  const [deleting, setDeleting] = useState(false);
  const [saved, setSaved] = useState(false);
  const { busy, problem, run } = useAction();
  const area = useRef(null);
  const most = config.value?.limits?.story ?? 40_000;
  useLayoutEffect(() => area.current && grow(area.current), [looking]);
  const set = (part) => {
    const next = { ...draft, ...part };
    setDraft(next);
    setSaved(false);
    keep(place, next);
  };
  const topics = draft.adding.trim() ? [...new Set([...draft.topics, tagOf(draft.adding)])] : draft.topics;

  // The server has the words, or says who was first. Gives the story, or null when there is something to decide.
  const saving = async (version) => {
    const [cover] = await uploaded();
    const fields = {
      title: draft.title.trim() || null, body: draft.body, topics, cover: cover ?? (draft.cover || null),
      content_warning: draft.content_warning.trim() || null,
    };
    const sent = keyFor(draft.sent, fields);
    setDraft({ ...draft, sent });
    try {
      const now = await save(story?.id, version, fields, sent.key);
      forget(place);
      setPhotos([]);
      setTheirs(null);
      setDraft(begin(now));
      return now;
    } catch (failed) {
      if (failed.code !== "stale_version") throw failed;
      setTheirs(await read(story.id));
      return null;
    }
  };
  const keepIt = async (event, version = draft.version) => {
    event.preventDefault();
    if (!member("Sign in to save your words.")) return;
    await run(async () => {
      const now = await saving(version);
      if (now) onsaved(now);
      setSaved(Boolean(now));
    });
  };
  const handIn = () => member("Sign in to save your words.") && run(async () => {
    const now = await saving(draft.version);
    if (!now) return;
    onsaved(now);
    onsaved(await step(now, "submit"));
  });
  const look = () => run(async () => setLooking(await preview(draft.body)));
  const fits = lengthOf(draft.body) <= most && !busy;
  const touched = has(place) || photos.length > 0 || !story;
  return html`<form class="post edit story-form" aria-label="Your story" onSubmit=${keepIt}>
    <${Field} label="Title" value=${draft.title} maxlength="200" dir="auto" readonly=${busy} fault=${problem?.of("title")} oninput=${(title) => set({ title })} />
    <div class="ways" role="group" aria-label="Your words">
      <button type="button" class="act" aria-pressed=${String(looking === null)} onClick=${() => setLooking(null)}>Write</button>
      <button type="button" class="act" aria-pressed=${String(looking !== null)} disabled=${!fits} onClick=${look}>Look at it</button>
    </div>
    ${looking === null
      ? html`<label class="field"><span class="unseen">Your words, in Markdown</span>
          <textarea ref=${area} rows="12" dir="auto" readonly=${busy} placeholder="Your words" value=${draft.body} onInput=${(event) => { grow(event.target); set({ body: event.target.value }); }} /></label>
        <p class="hint">An empty line begins a paragraph. **bold**, *italic*, # heading, > quote, - list, [words](https://address).</p>`
      : html`<section class="look" aria-label="How it will look">${looking ? html`<${Prose} words=${looking} />` : html`<p class="hint">There are no words yet.</p>`}</section>`}
    <${Counter} text=${draft.body} most=${most} />
    <${Cover} busy=${busy} held=${story?.cover} draft=${draft} photos=${photos} setPhotos=${(next) => { setPhotos(next); set({}); }} drop=${() => set({ cover: "" })} />
    <${Topics} busy=${busy} topics=${draft.topics} adding=${draft.adding} set=${set} />
    <${Field} label="Content warning, if one is needed" value=${draft.content_warning} maxlength="200" readonly=${busy} oninput=${(content_warning) => set({ content_warning })} />
    ${theirs && html`<${Conflict} what="story" theirs=${sides({ ...theirs, cover: theirs.cover?.id })} yours=${sides({ ...draft, topics })} busy=${busy}
      onmine=${(event) => keepIt(event, theirs.version)} ontheirs=${() => { forget(place); setTheirs(null); setDraft(begin(theirs)); onsaved(theirs); }} />`}
    <${Trouble} problem=${problem}>We couldn't save this. It's kept here: try again.<//>
    <p class="unseen" role="status">${saved ? "Saved." : ""}</p>
    ${!theirs && html`<div class="row end">
      ${story && html`<button class="quiet" type="button" disabled=${busy} onClick=${() => setDeleting(true)}>Delete it</button>`}
      <button class="quiet" disabled=${!fits || !touched}>${saved && !touched ? "Saved" : "Save the draft"}</button>
      <button class="primary" type="button" disabled=${!fits || !draft.title.trim() || !draft.body.trim()} onClick=${handIn}>Hand it in</button>
    </div>`}
    ${deleting && html`<${Confirm} title="Delete this story?" yes="Delete it" busy=${busy} onclose=${() => setDeleting(false)}
      onyes=${() => run(() => remove(story.id)).then((gone) => { if (gone) { forget(place); ongone(); } })}>
      <p>Its words and its cover go. This can't be undone.</p>
      <${Trouble} problem=${problem}>We couldn't delete it. Try again in a moment.<//>
    <//>`}
  </form>`;
}

const sides = (words) => FIELDS.filter((name) => name !== "cover").map((name) => [LABELS[name], name === "topics" ? words.topics.map((tag) => `#${tag}`).join(" ") : words[name]]);
const LABELS = { title: "Title", body: "Words", content_warning: "Content warning", topics: "Topics" };

// One photo above the words; what it shows can't be said anew without sending it anew.
function Cover({ held, draft, photos, setPhotos, drop, busy }) {
  const kept = held && held.id === draft.cover && !photos.length;
  return html`<fieldset class="field" inert=${busy}><legend>Cover photo, if you like</legend>
    ${kept && html`<div class="chosen"><img src=${held.urls.small} alt="" width="80" height="80" /><p>${held.alt || "Without a description: send it again with one"}</p>
      <button class="round" type="button" aria-label="Remove the cover" onClick=${drop}><${Icon} name="close" /></button></div>`}
    <${Choosing} photos=${photos} setPhotos=${setPhotos} most=${1} beside=${kept ? 1 : 0} />
  </fieldset>`;
}
