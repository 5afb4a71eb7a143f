// Writing a post. The words live in this browser until the server has them: a cut, an error or a closed tab loses none.

import { forget, keep, keyFor, load } from "../drafts.js";
import { publish, upload } from "../posts.js";
import { member } from "../session.js";
import { config, me } from "../store.js";
import { lengthOf } from "../text.js";
import { html, useLayoutEffect, useRef, useState } from "../ui.js";
import { Counter, Field, grow } from "./fields.js";
import { Icon } from "./icons.js";
import { Face } from "./pieces.js";
import { Trouble, useAction } from "./states.js";

const EMPTY = { title: "", body: "", warning: "" };

/** `topic` is the header of where it goes, or undefined; `onpost(post)` is called when it is there. */
export function Compose({ topic, onpost }) {
  const place = `topic:${topic?.slug ?? ""}`;
  const kept = useRef(load(place));
  const [isOpen, setOpen] = useState(Boolean(kept.current.body));
  const opener = useRef(null);
  const close = () => {
    setOpen(false);
    setTimeout(() => opener.current?.focus());
  };
  if (isOpen) return html`<${Form} topic=${topic} place=${place} onpost=${onpost} onclose=${close} />`;
  return html`<button ref=${opener} type="button" class="compose" onClick=${() => member("Sign in to write a post.") && setOpen(true)}>
    ${me.value && html`<${Face} name=${me.value.display_name} />`}<span>What's on your mind?</span>
  </button>`;
}

function Form({ topic, place, onpost, onclose }) {
  const [draft, setDraft] = useState(() => ({ ...EMPTY, ...load(place) }));
  const [photos, setPhotos] = useState([]);
  const [warned, setWarned] = useState(Boolean(draft.warning));
  const { busy, problem, run } = useAction();
  const area = useRef(null);
  const most = config.value?.limits?.body ?? 5000;
  useLayoutEffect(() => {
    area.current.focus(); // before anything can be typed past it
    grow(area.current);
  }, []);
  const set = (part) => {
    const next = { ...draft, ...part };
    setDraft(next);
    keep(place, next);
  };
  const send = async (event) => {
    event.preventDefault();
    if (!member("Sign in to write a post.")) return;
    let post;
    const went = await run(async () => {
      const media = await uploaded(photos, setPhotos);
      const body = bodyOf(draft, media, topic, warned);
      const sent = keyFor(draft.sent, body);
      set({ sent });
      post = await publish(body, sent.key);
    });
    if (!went) return;
    forget(place);
    photos.forEach(({ preview }) => URL.revokeObjectURL(preview));
    onclose();
    onpost?.(post);
  };
  const leave = () => {
    forget(place);
    onclose();
  };
  const ready = draft.body.trim() && lengthOf(draft.body) <= most && !busy;
  return html`<form class="compose open" aria-label="Write a post" onSubmit=${send}>
    <${Field} label="Title, if you like" value=${draft.title} maxlength="200" oninput=${(title) => set({ title })} />
    <label class="field"><span>What's on your mind?</span>
      <textarea ref=${area} rows="4" value=${draft.body} onInput=${(event) => { grow(event.target); set({ body: event.target.value }); }} /></label>
    <${Counter} text=${draft.body} most=${most} />
    <${Choosing} photos=${photos} setPhotos=${setPhotos} most=${config.value?.limits?.media ?? 10} />
    ${warned && html`<${Field} label="What should people know before they read it?" hint="For example: low mood, food. It hides your post until somebody asks." value=${draft.warning} maxlength="200" oninput=${(warning) => set({ warning })} />`}
    <label class="check"><input type="checkbox" checked=${warned} onChange=${(event) => setWarned(event.target.checked)} /> Content warning</label>
    <${Trouble} problem=${problem}>We couldn't save this. It's kept here: try again.<//>
    <div class="row end">
      <button class="quiet" type="button" onClick=${leave}>Discard</button>
      <button class="primary" disabled=${!ready}>${busy ? "Posting" : topic ? `Post to ${topic.name}` : "Post"}</button>
    </div>
  </form>`;
}

function bodyOf(draft, media, topic, warned) {
  const body = { body: draft.body };
  if (draft.title.trim()) body.title = draft.title.trim();
  if (topic) body.topics = [topic.slug];
  if (media.length) body.media = media;
  if (warned && draft.warning.trim()) body.content_warning = draft.warning.trim();
  return body;
}

// What was sent already is not sent again, unless its description changed.
async function uploaded(photos, setPhotos) {
  const ids = [];
  for (const photo of photos) {
    if (photo.sent?.alt !== photo.alt) photo.sent = { alt: photo.alt, id: (await upload(photo.file, photo.alt)).id };
    ids.push(photo.sent.id);
  }
  setPhotos([...photos]);
  return ids;
}

function Choosing({ photos, setPhotos, most }) {
  const choose = (event) => {
    const files = [...event.target.files].slice(0, most - photos.length);
    setPhotos([...photos, ...files.map((file) => ({ file, alt: "", preview: URL.createObjectURL(file) }))]);
    event.target.value = "";
  };
  const drop = (photo) => {
    URL.revokeObjectURL(photo.preview);
    setPhotos(photos.filter((each) => each !== photo));
  };
  const describe = (photo, alt) => setPhotos(photos.map((each) => (each === photo ? { ...each, alt } : each)));
  return html`<div class="choosing">
    ${photos.map((photo, n) => html`<div class="chosen" key=${photo.preview}>
      <img src=${photo.preview} alt="" width="80" height="80" />
      <${Field} label=${`What does photo ${n + 1} show?`} hint="For people who can't see it." value=${photo.alt} maxlength="1000" oninput=${(alt) => describe(photo, alt)} />
      <button class="round" type="button" aria-label=${`Remove photo ${n + 1}`} onClick=${() => drop(photo)}><${Icon} name="close" /></button>
    </div>`)}
    ${photos.length < most && html`<label class="act add"><${Icon} name="photo" />Add photos<input class="unseen" type="file" accept="image/*" multiple onChange=${choose} /></label>`}
  </div>`;
}
