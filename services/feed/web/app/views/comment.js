// One comment, and what can be done about it.

import { comment as answer, edit, refresh, remove } from "../comments.js";
import { forget, has, load } from "../drafts.js";
import { seen } from "../fold.js";
import { member } from "../session.js";
import { me, state, writer } from "../store.js";
import { plural } from "../text.js";
import { html, useComputed, useState } from "../ui.js";
import { Body } from "./body.js";
import { Conflict } from "./conflict.js";
import { Confirm, Face, Menu, Stranded, Time } from "./pieces.js";
import { Reactions } from "./reactions.js";
import { Trouble, useAction } from "./states.js";
import { PLACES, Write } from "./thread.js";

/** `to`: whom it answers, where its place does not show it. */
export function Comment({ comment, to }) {
  const { id, post_id: postId, author } = comment;
  const wish = useComputed(() => state.value.wishes[id]).value;
  const own = me.value?.id === author.id;
  const [doing, setDoing] = useState(() => PLACES(id).map((place, n) => has(place) && ["edit", "answer"][n]).find(Boolean) ?? "");
  const [theirs, setTheirs] = useState(null);
  const { busy, problem, run } = useAction();
  const done = () => {
    setDoing("");
    setTheirs(null);
  };
  if (comment.deleted) {
    const words = PLACES(id).filter(has).map((place) => load(place).body);
    return html`<p class="deleted">This comment was taken away.</p>
      ${words.length > 0 && html`<${Stranded} what="This comment" words=${words} onleave=${() => { PLACES(id).forEach(forget); setDoing("left"); }} />`}`;
  }
  const { mine, reaction_total: total } = seen(comment, wish);
  // Changed somewhere else meanwhile: both are shown, and saving again is against what is there now.
  const save = (body, _, version) => edit(id, theirs?.version ?? version, body).catch(async (failed) => {
    if (failed.status === 409) setTheirs(await refresh(id));
    throw failed;
  });
  const conflict = (body) => theirs && html`<${Conflict} what="comment" theirs=${[["Words", theirs.body]]} yours=${[["Words", body]]}
    onmine=${(event) => event.currentTarget.form.requestSubmit()} ontheirs=${() => { forget(PLACES(id)[0]); done(); }} />`;
  return html`<article class="comment" aria-labelledby=${`by-${id} at-${id}`} data-comment=${id}>
    <div class="by"><${Face} name=${author.display_name} /><div><b dir="auto" id=${`by-${id}`}>${author.display_name}</b>\u00a0· <span class="when"><${Time} at=${comment.created_at} id=${`at-${id}`} />${comment.edited_at && " · edited"}</span>${to && html` <span class="to">to <span dir="auto">${to}</span></span>`}</div>
      ${own && html`<${Menu} label="Edit or delete this comment">${(close) => html`
        <button type="button" onClick=${() => { close(); setDoing("edit"); }}>Edit</button>
        <button type="button" onClick=${() => { close(); setDoing("delete"); }}>Delete</button>`}<//>`}</div>
    ${doing === "edit" && writer.value === author.id
      ? html`<${Write} key="edit" place=${PLACES(id)[0]} words=${comment.body} version=${comment.version} label="Your words" button="Save changes" focus onclose=${done} onsend=${save} besides=${conflict} />`
      : html`<${Body} text=${comment.body} entities=${comment.entities} />`}
    ${total > 0 && html`<p class="counts"><span>${plural(total, "reaction")}</span></p>`}
    <div class="acts"><${Reactions} entity=${comment} mine=${mine} />
      <button type="button" class="act" aria-expanded=${String(doing === "answer")} onClick=${() => member("Sign in to answer.") && setDoing(doing === "answer" ? "" : "answer")}>Reply</button></div>
    ${doing === "answer" && html`<${Write} key=${writer.value} place=${PLACES(id)[1]} label=${`Answer ${author.display_name}`} button="Reply" focus onclose=${done} onsend=${(body, key) => answer(postId, { body, parent: id }, key)} />`}
    ${doing === "delete" && html`<${Confirm} title="Delete this comment?" yes="Delete it" busy=${busy} onclose=${done} onyes=${() => run(() => remove(comment))}>
      <p>Your words go away for everybody. This can't be undone.</p>
      <${Trouble} problem=${problem}>We couldn't delete it. Try again in a moment.<//>
    <//>`}
  </article>`;
}
