// Writing a post. The words live in this browser until the server has them: a cut, an error or a closed tab loses none.

import { forget, has, keep, keyFor, load } from "../drafts.js";
import { publish } from "../posts.js";
import { member } from "../session.js";
import { config, me } from "../store.js";
import { lengthOf } from "../text.js";
import { html, useLayoutEffect, useRef, useState } from "../ui.js";
import { Choosing, usePhotos } from "./choosing.js";
import { Counter, Field, grow } from "./fields.js";
import { Face, useDiscard } from "./pieces.js";
import { Trouble, useAction } from "./states.js";

const EMPTY = { title: "", body: "", warning: "" };

/** `topic` is the header of where it goes, or undefined; `onpost(post)` is called when it is there. */
export function Compose({ topic, onpost }) {
  const place = `topic:${topic?.slug ?? ""}`;
  const [isOpen, setOpen] = useState(() => has(place));
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
  const { photos, setPhotos, uploaded } = usePhotos(place);
  const [warned, setWarned] = useState(Boolean(draft.warning));
  const { busy, problem, run } = useAction();
  const area = useRef(null);
  const most = config.value?.limits?.body ?? 5000;
  useLayoutEffect(() => {
    area.current.focus(); // before anything can be typed past it
    grow(area.current);
  }, []);
  // Read-only while it is on its way: what was typed meanwhile would be in no post.
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
      const media = await uploaded();
      const body = bodyOf(draft, media, topic, warned);
      const sent = keyFor(draft.sent, body);
      set({ sent });
      post = await publish(body, sent.key);
    });
    if (!went) return;
    forget(place);
    onclose();
    onpost?.(post);
  };
  const discard = useDiscard(() => {
    forget(place);
    onclose();
  });
  const ready = draft.body.trim() && lengthOf(draft.body) <= most && !busy;
  return html`<form class="compose open" aria-label="Write a post" onSubmit=${send}>
    <${Field} label="Title, if you like" value=${draft.title} maxlength="200" readonly=${busy} oninput=${(title) => set({ title })} />
    <label class="field"><span>What's on your mind?</span>
      <textarea ref=${area} rows="4" readonly=${busy} value=${draft.body} onInput=${(event) => { grow(event.target); set({ body: event.target.value }); }} /></label>
    <${Counter} text=${draft.body} most=${most} />
    <${Choosing} busy=${busy} photos=${photos} setPhotos=${(next) => { setPhotos(next); set({ photos: next.length }); }} most=${config.value?.limits?.media ?? 10} />
    ${warned && html`<${Field} label="What should people know before they read it?" hint="For example: low mood, food. It hides your post until somebody asks." value=${draft.warning} maxlength="200" readonly=${busy} oninput=${(warning) => set({ warning })} />`}
    <label class="check" inert=${busy}><input type="checkbox" checked=${warned} onChange=${(event) => setWarned(event.target.checked)} /> Content warning</label>
    <${Trouble} problem=${problem}>We couldn't save this. It's kept here: try again.<//>
    <div class="row end">
      <button class="quiet" type="button" disabled=${busy} onClick=${() => discard.ask(has(place))}>Discard</button>
      <button class="primary" disabled=${!ready}>${busy ? "Posting" : topic ? `Post to ${topic.name}` : "Post"}</button>
    </div>
    ${discard.question}
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
