// One comment, and what can be done about it.

import { comment as answer, edit, remove } from "../comments.js";
import { seen } from "../fold.js";
import { member } from "../session.js";
import { me, state } from "../store.js";
import { plural } from "../text.js";
import { html, useComputed, useRef, useState } from "../ui.js";
import { Body } from "./body.js";
import { Confirm, Face, Menu, Time } from "./pieces.js";
import { Reactions } from "./reactions.js";
import { Trouble, useAction } from "./states.js";
import { Write } from "./thread.js";

export function Comment({ comment }) {
  const { id, post_id: postId, author } = comment;
  const wish = useComputed(() => state.value.wishes[id]).value;
  const [doing, setDoing] = useState("");
  const { busy, problem, run } = useAction();
  const begun = useRef(comment.version);
  if (comment.deleted) return html`<p class="deleted">This comment was taken away.</p>`;
  const { mine, reaction_total: total } = seen(comment, wish);
  const own = me.value?.id === author.id;
  const done = () => setDoing("");
  const change = () => {
    begun.current = comment.version;
    setDoing("edit");
  };
  // Changed somewhere else meanwhile: the words stay in the field, and the next try is against what is there now.
  const save = (body) => edit(id, begun.current, body).catch((failed) => {
    if (failed.status === 409) begun.current = state.value.comments[id].version;
    throw failed;
  });
  return html`<article class="comment" aria-labelledby=${`by-${id} at-${id}`} data-comment=${id}>
    <div class="by"><${Face} name=${author.display_name} /><div><b id=${`by-${id}`}>${author.display_name}</b> <span class="when"><${Time} at=${comment.created_at} id=${`at-${id}`} />${comment.edited_at && " · edited"}</span></div>
      ${own && html`<${Menu} label="Edit or delete this comment">${(close) => html`
        <button type="button" onClick=${() => { close(); change(); }}>Edit</button>
        <button type="button" onClick=${() => { close(); setDoing("delete"); }}>Delete</button>`}<//>`}</div>
    ${doing === "edit"
      ? html`<${Write} key="edit" place=${`comment:${id}`} words=${comment.body} label="Your words" button="Save changes" focus onclose=${done} onsend=${save} />`
      : html`<${Body} text=${comment.body} entities=${comment.entities} />`}
    ${total > 0 && html`<p class="counts"><span>${plural(total, "reaction")}</span></p>`}
    <div class="acts"><${Reactions} entity=${comment} mine=${mine} />
      <button type="button" class="act" aria-expanded=${String(doing === "answer")} onClick=${() => member("Sign in to answer.") && setDoing(doing === "answer" ? "" : "answer")}>Reply</button></div>
    ${doing === "answer" && html`<${Write} key="answer" place=${`reply:${id}`} label=${`Answer ${author.display_name}`} button="Reply" focus onclose=${done} onsend=${(body, key) => answer(postId, { body, parent: id }, key)} />`}
    ${doing === "delete" && html`<${Confirm} title="Delete this comment?" yes="Delete it" busy=${busy} onclose=${done} onyes=${() => run(() => remove(comment))}>
      <p>Your words go away for everybody. This can't be undone.</p>
      <${Trouble} problem=${problem}>We couldn't delete it. Try again in a moment.<//>
    <//>`}
  </article>`;
}
