// Choosing photos for a post, and saying what they show. They are sent with the post, and kept with its draft until then.

import { keepPhotos, loadPhotos } from "../drafts.js";
import { upload } from "../posts.js";
import { html, useEffect, useRef, useState } from "../ui.js";
import { Field } from "./fields.js";
import { Icon } from "./icons.js";

const HELD = 72_000_000; // ms: 20 hours; the server lets go after a day of what no post took up

/** The photos chosen for one draft: {photos, setPhotos, uploaded()}; the last gives their media ids and throws Problem. */
export function usePhotos(place) {
  const [photos, show] = useState([]);
  const previews = useRef([]);
  const previewed = (photo) => {
    previews.current.push(URL.createObjectURL(photo.file));
    return { ...photo, preview: previews.current.at(-1) };
  };
  useEffect(() => {
    loadPhotos(place).then((kept) => kept.length && show((now) => [...kept.map(previewed), ...now]));
    return () => previews.current.forEach((each) => URL.revokeObjectURL(each));
  }, []);
  const setPhotos = (next) => {
    const all = next.map((photo) => (photo.preview ? photo : previewed(photo)));
    show(all);
    keepPhotos(place, all);
  };
  // What was sent already is not sent again, unless its description changed or it lay here too long.
  const uploaded = async () => {
    for (const photo of photos) {
      if (photo.sent?.alt === photo.alt && Date.now() - photo.sent.at < HELD) continue;
      photo.sent = { alt: photo.alt, id: (await upload(photo.file, photo.alt)).id, at: Date.now() };
    }
    keepPhotos(place, photos);
    return photos.map(({ sent }) => sent.id);
  };
  return { photos, setPhotos, uploaded };
}

/** The photos chosen, each with a place for words, and a way to add more. `beside`: how many the post has already. */
export function Choosing({ photos, setPhotos, most, beside = 0, busy }) {
  const room = most - beside - photos.length;
  const choose = (event) => {
    const files = [...event.target.files].slice(0, room);
    setPhotos([...photos, ...files.map((file) => ({ file, alt: "" }))]);
    event.target.value = "";
  };
  const describe = (photo, alt) => setPhotos(photos.map((each) => (each === photo ? { ...each, alt } : each)));
  return html`<div class="choosing" inert=${busy}>
    ${photos.map((photo, n) => html`<div class="chosen" key=${photo.preview}>
      <img src=${photo.preview} alt="" width="80" height="80" />
      <${Field} label=${`What does photo ${beside + n + 1} show?`} hint="For people who can't see it." value=${photo.alt} maxlength="1000" oninput=${(alt) => describe(photo, alt)} />
      <button class="round" type="button" aria-label=${`Remove photo ${beside + n + 1}`} onClick=${() => setPhotos(photos.filter((each) => each !== photo))}><${Icon} name="close" /></button>
    </div>`)}
    ${room > 0 && html`<label class="act add"><${Icon} name="photo" />Add photos<input class="unseen" type="file" accept="image/*" multiple onChange=${choose} /></label>`}
  </div>`;
}
