// A post's comments: oldest first, answers under what they answer, one's own to change or take away.

import { comment, openThread, showMore, threaded } from "../comments.js";
import { forget, has, keep, keyFor, load } from "../drafts.js";
import { member } from "../session.js";
import { config, state, visit, writer } from "../store.js";
import { lengthOf } from "../text.js";
import { html, useComputed, useLayoutEffect, useRef, useState } from "../ui.js";
import { Comment } from "./comment.js";
import { Counter, grow } from "./fields.js";
import { useDiscard } from "./pieces.js";
import { Failed, Skeleton, Trouble, useAction, useLoad } from "./states.js";

/** Where words about a comment are kept: its changes, and an answer to it. */
export const PLACES = (id) => [`comment:${id}`, `reply:${id}`];

const DEEP = 4;

export function Thread({ postId }) {
  const { status, problem, again } = useLoad(() => openThread(postId), [postId, visit.value]);
  const thread = useComputed(() => state.value.threads[postId]).value;
  const comments = useComputed(() => state.value.comments).value;
  const more = useAction();
  if (!thread && status === "failed") return html`<${Failed} what="the comments" problem=${problem} again=${again} />`;
  if (!thread) return html`<${Skeleton} kind="comment" count=${2} label="Loading comments" />`;
  const nodes = threaded(thread.ids.map((id) => comments[id]), ({ id }) => PLACES(id).some(has));
  return html`<section class="thread" aria-label="Comments">
    ${nodes.length === 0 && !thread.next && html`<p class="hint">Nobody has answered yet. A few words are enough.</p>`}
    <${Answers} nodes=${nodes} />
    ${thread.next && html`<button class="quiet" type="button" disabled=${more.busy} onClick=${() => more.run(() => showMore(postId))}>Show more comments</button>`}
    <${Trouble} problem=${more.problem}>We couldn't load more.<//>
    <${Write} key=${writer.value} place=${`post:${postId}`} label="Write a comment" button="Comment" onsend=${(body, key) => comment(postId, { body }, key)} />
  </section>`;
}

// Past DEEP there is no room to step in: then words say who is answered.
function Answers({ nodes, depth = 0, to }) {
  if (!nodes.length) return null;
  return html`<ol class=${depth && depth < DEEP ? "answers inner" : "answers"}>
    ${nodes.map(({ comment: each, replies }) => html`<li key=${each.id}>
      <${Comment} comment=${each} to=${depth < DEEP ? undefined : to} />
      <${Answers} nodes=${replies} depth=${depth + 1} to=${each.author.display_name} />
    </li>`)}
  </ol>`;
}

/**
 * A small form for words: keeps them until `onsend(words, key, version)` has gone well; `version` is of what they change.
 * `onclose` when there is a way out; what `besides(words)` gives, if anything, stands in place of its buttons.
 */
export function Write({ place, words = "", version, label, button, onsend, onclose, besides, focus = false }) {
  const [draft, setDraft] = useState(() => ({ body: words, version, ...load(place) }));
  const { busy, problem, run } = useAction();
  const area = useRef(null);
  const most = config.value?.limits?.comment ?? 5000;
  useLayoutEffect(() => {
    grow(area.current);
    if (focus) area.current.focus();
  }, []);
  const set = (next) => {
    setDraft(next);
    keep(place, next.body === words ? {} : next);
  };
  const discard = useDiscard(() => {
    forget(place);
    onclose();
  });
  const send = async (event) => {
    event.preventDefault();
    if (!member("Sign in to answer.")) return;
    const sent = keyFor(draft.sent, draft.body);
    set({ ...draft, sent });
    if (!(await run(() => onsend(draft.body, sent.key, draft.version)))) return;
    forget(place);
    if (onclose) return void onclose();
    setDraft({ body: "" });
    area.current.style.height = "auto";
  };
  const instead = besides?.(draft.body);
  const ready = draft.body.trim() && lengthOf(draft.body) <= most && !busy;
  return html`<form class="write" onSubmit=${send}>
    <label class="field"><span class="unseen">${label}</span>
      <textarea ref=${area} rows="1" dir="auto" readonly=${busy} placeholder=${label} value=${draft.body} onInput=${(event) => { grow(event.target); set({ ...draft, body: event.target.value }); }} /></label>
    <${Counter} text=${draft.body} most=${most} />
    ${instead}
    <${Trouble} problem=${instead ? null : problem}>We couldn't save this. It's kept here: try again.<//>
    ${!instead && (draft.body || onclose) && html`<div class="row end">
      ${onclose && html`<button class="quiet" type="button" disabled=${busy} onClick=${() => discard.ask(draft.body !== words && draft.body.trim())}>Cancel</button>`}
      <button class="primary" disabled=${!ready}>${button}</button>
    </div>`}
    ${discard.question}
  </form>`;
}
