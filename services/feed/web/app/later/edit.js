// Changing a post in its place. Somebody may have changed it first: then both are shown, and no words are lost.

import { editPlace, forget, keep, load } from "../drafts.js";
import { edit, refresh } from "../posts.js";
import { member } from "../session.js";
import { config, state } from "../store.js";
import { lengthOf } from "../text.js";
import { html, useLayoutEffect, useRef, useState } from "../ui.js";
import { Choosing, usePhotos } from "../views/choosing.js";
import { Conflict } from "../views/conflict.js";
import { Counter, Field, grow } from "../views/fields.js";
import { Icon } from "../views/icons.js";
import { useDiscard } from "../views/pieces.js";
import { Trouble, useAction } from "../views/states.js";

// The topics that were asked for: tags in the words bring their own, and go with them.
const askedOf = ({ topics, entities }) => topics.filter((slug) => !entities.some((each) => each.type === "tag" && each.slug === slug));

const begin = (post) => ({
  title: post.title ?? "", body: post.body, content_warning: post.content_warning ?? "", version: post.version,
  topics: askedOf(post), media: post.media.map(({ id }) => id), adding: "",
});

const same = (a, b) => a.join() === b.join();

export default function EditPost({ post, onclose }) {
  const place = editPlace(post.id);
  const began = useRef(post); // what is not changed here is left as others make it
  const [draft, setDraft] = useState(() => ({ ...begin(post), ...load(place) }));
  const { photos, setPhotos, uploaded } = usePhotos(place);
  const [theirs, setTheirs] = useState(null);
  const { busy, problem, run } = useAction();
  const body = useRef(null);
  const story = post.kind === "story";
  const most = story ? config.value?.limits?.story ?? 40_000 : config.value?.limits?.body ?? 5000;
  useLayoutEffect(() => {
    body.current.focus();
    grow(body.current);
  }, []);
  const set = (part) => {
    const next = { ...draft, ...part };
    setDraft(next);
    keep(place, next);
  };
  const leave = () => {
    forget(place);
    onclose();
  };
  const discard = useDiscard(leave);
  const topics = draft.adding.trim() ? [...new Set([...draft.topics, tagOf(draft.adding)])] : draft.topics;
  const save = async (event, version = draft.version) => {
    event.preventDefault();
    if (!member("Sign in to save your words.")) return;
    let changed = null;
    const went = await run(async () => {
      const before = begin(began.current);
      const fields = { title: draft.title.trim() || null, body: draft.body, content_warning: draft.content_warning.trim() || null };
      if (!same(topics, before.topics)) fields.topics = topics;
      if (photos.length || !same(draft.media, before.media)) fields.media = [...draft.media, ...(await uploaded())];
      try {
        await edit(post.id, version, fields);
      } catch (failed) {
        if (failed.status !== 409) throw failed;
        changed = await refresh(post.id);
      }
    });
    if (went) setTheirs(changed);
    if (went && !changed) leave();
  };
  const untouched = JSON.stringify({ ...draft, version: 0 }) === JSON.stringify({ ...begin(began.current), version: 0 }) && !photos.length;
  const ready = draft.body.trim() && (draft.title.trim() || !story) && lengthOf(draft.body) <= most && !busy;
  return html`<form class="edit" aria-label="Edit your post" onSubmit=${save}>
    <${Field} label=${story ? "Title" : "Title, if you like"} value=${draft.title} maxlength="200" readonly=${busy} oninput=${(title) => set({ title })} />
    <label class="field"><span>Your words</span>
      <textarea ref=${body} required rows="4" dir="auto" readonly=${busy} value=${draft.body} onInput=${(event) => { grow(event.target); set({ body: event.target.value }); }} /></label>
    <${Counter} text=${draft.body} most=${most} />
    <${Topics} busy=${busy} topics=${draft.topics} adding=${draft.adding} set=${set} />
    <${Kept} busy=${busy} media=${post.media.filter(({ id }) => draft.media.includes(id))} drop=${(gone) => set({ media: draft.media.filter((id) => id !== gone) })} />
    <${Choosing} busy=${busy} photos=${photos} setPhotos=${(next) => { setPhotos(next); set({}); }} beside=${draft.media.length} most=${config.value?.limits?.media ?? 10} />
    <${Field} label="Content warning, if one is needed" value=${draft.content_warning} maxlength="200" readonly=${busy} oninput=${(content_warning) => set({ content_warning })} />
    ${theirs && html`<${Conflict} what="post" theirs=${sides(theirs, askedOf(theirs))} yours=${sides(draft, topics)} busy=${busy} onmine=${(event) => save(event, theirs.version)} ontheirs=${leave} />`}
    <${Trouble} problem=${problem}>We couldn't save this. It's kept here: try again.<//>
    ${!theirs && html`<div class="row end"><button class="quiet" type="button" disabled=${busy} onClick=${() => discard.ask(!untouched)}>Cancel</button><button class="primary" disabled=${!ready}>Save changes</button></div>`}
    ${discard.question}
  </form>`;
}

const sides = ({ title, body, content_warning }, topics) =>
  [["Title", title], ["Words", body], ["Content warning", content_warning], ["Topics", topics.map((slug) => `#${slug}`).join(" ")]];

export const tagOf = (words) => words.trim().replace(/^#+/, "").replace(/\s+/g, "-");

export function Topics({ topics, adding, set, busy }) {
  const add = () => adding.trim() && set({ topics: [...new Set([...topics, tagOf(adding)])], adding: "" });
  const key = (event) => {
    if (event.key !== "Enter" || event.isComposing || !adding.trim()) return;
    event.preventDefault(); // not the form yet
    add();
  };
  return html`<fieldset class="field topics" inert=${busy}><legend>Topics</legend>
    ${topics.length > 0 && html`<ul class="chips">${topics.map((slug) => html`<li key=${slug}>
      <span>${state.value.topics[slug]?.name ?? slug}</span>
      <button class="round" type="button" aria-label=${`Take it out of ${slug}`} onClick=${() => set({ topics: topics.filter((each) => each !== slug) })}><${Icon} name="close" /></button>
    </li>`)}</ul>`}
    <div class="row adding" onKeyDown=${key}><${Field} label="Add a topic" value=${adding} maxlength="100" oninput=${(words) => set({ adding: words })} />
      <button class="quiet" type="button" disabled=${!adding.trim()} onClick=${add}>Add</button></div>
    <small>Tags in your words are topics already.</small>
  </fieldset>`;
}

// The photos that the post has; what they show can't be said anew without sending them anew.
function Kept({ media, drop, busy }) {
  if (!media.length) return null;
  return html`<ul class="choosing" inert=${busy}>${media.map((photo, n) => html`<li class="chosen" key=${photo.id}>
    <img src=${photo.urls.small} alt="" width="80" height="80" />
    <p>Photo ${n + 1}<br /><small>${photo.alt || "Without a description"}</small></p>
    <button class="round" type="button" aria-label=${`Remove photo ${n + 1}`} onClick=${() => drop(photo.id)}><${Icon} name="close" /></button>
  </li>`)}</ul>`;
}
