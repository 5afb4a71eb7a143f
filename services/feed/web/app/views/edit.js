// Changing a post in its place. Somebody may have changed it first: then both are shown, and no words are lost.

import { forget, keep, load } from "../drafts.js";
import { edit, refresh } from "../posts.js";
import { config } from "../store.js";
import { html, useLayoutEffect, useRef, useState } from "../ui.js";
import { Counter, Field, grow } from "./fields.js";
import { Trouble, useAction } from "./states.js";

export function EditPost({ post, onclose }) {
  const place = `edit:${post.id}`;
  const [draft, setDraft] = useState(() => ({
    title: post.title ?? "", body: post.body, content_warning: post.content_warning ?? "", version: post.version, ...load(place),
  }));
  const [theirs, setTheirs] = useState(null);
  const { busy, problem, run } = useAction();
  const body = useRef(null);
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
  const save = async (event, version = draft.version) => {
    event.preventDefault();
    const fields = { title: draft.title.trim() || null, body: draft.body, content_warning: draft.content_warning.trim() || null };
    let changed = null;
    const went = await run(async () => {
      try {
        await edit(post.id, version, fields);
      } catch (problem) {
        if (problem.status !== 409) throw problem;
        changed = await refresh(post.id);
      }
    });
    setTheirs(changed);
    if (went && !changed) leave();
  };
  return html`<form class="edit" aria-label="Edit your post" onSubmit=${save}>
    <${Field} label="Title, if you like" value=${draft.title} maxlength="200" oninput=${(title) => set({ title })} />
    <label class="field"><span>Your words</span>
      <textarea ref=${body} required rows="4" value=${draft.body} onInput=${(event) => { grow(event.target); set({ body: event.target.value }); }} /></label>
    <${Counter} text=${draft.body} most=${config.value?.limits?.body ?? 5000} />
    <${Field} label="Content warning, if one is needed" value=${draft.content_warning} maxlength="200" oninput=${(content_warning) => set({ content_warning })} />
    ${theirs ? html`<${Conflict} theirs=${theirs} busy=${busy} onmine=${(event) => save(event, theirs.version)} ontheirs=${leave} />`
    : html`<${Trouble} problem=${problem}>We couldn't save this. It's kept here: try again.<//>
      <div class="row end"><button class="quiet" type="button" onClick=${leave}>Cancel</button><button class="primary" disabled=${busy}>Save changes</button></div>`}
  </form>`;
}

function Conflict({ theirs, busy, onmine, ontheirs }) {
  return html`<section class="trouble" role="alert">
    <p>This post was changed somewhere else while you were writing. Your words are kept above. It now reads:</p>
    <blockquote class="body">${theirs.body}</blockquote>
    <div class="row end"><button class="quiet" type="button" onClick=${ontheirs}>Keep that one</button><button class="primary" type="button" disabled=${busy} onClick=${onmine}>Save my words instead</button></div>
  </section>`;
}
