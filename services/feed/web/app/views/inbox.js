// The bell and what is behind it.

import { markRead, openInbox, showOlder } from "../inbox.js";
import { go, postPath } from "../router.js";
import { me, state } from "../store.js";
import { abbreviate } from "../text.js";
import { html, useComputed, useState } from "../ui.js";
import { Icon } from "./icons.js";
import { Dialog, Face, Time } from "./pieces.js";
import { Empty, Failed, Skeleton, Trouble, useAction, useLoad } from "./states.js";

const DID = {
  comment: "commented on your post",
  reply: "answered your comment",
  mention: "mentioned you",
  reaction: "reacted to what you wrote",
  story_published: "published your story",
  story_returned: "sent your story back with a note",
};

const pathOf = ({ kind, post_id: id }) => (kind === "story_returned" ? `/stories/${id}` : postPath(id));

/** For members: how many are unread, live, and the list on asking. */
export function Bell() {
  return me.value ? html`<${Ringing} key=${me.value.id} />` : null;
}

function Ringing() {
  const load = useLoad(openInbox, [me.value.id]);
  const unread = useComputed(() => state.value.inbox.unread).value;
  const [isOpen, setOpen] = useState(false);
  return html`
    <button type="button" class="bell" onClick=${() => setOpen(true)}>
      <${Icon} name="bell" /><span class="word" aria-hidden="true">Inbox</span><span class="unseen">${unread ? `Inbox, ${unread} unread` : "Inbox"}</span>${unread > 0 && html`<b aria-hidden="true">${unread > 99 ? "99+" : abbreviate(unread)}</b>`}
    </button>
    ${isOpen && html`<${Dialog} title="Inbox" kind="side" onclose=${() => setOpen(false)}><${List} load=${load} onclose=${() => setOpen(false)} /><//>`}`;
}

function List({ load, onclose }) {
  const inbox = useComputed(() => state.value.inbox).value;
  const { busy, problem, run } = useAction();
  if (!inbox.ready && load.status === "failed") return html`<${Failed} what="your inbox" problem=${load.problem} again=${load.again} />`;
  if (!inbox.ready) return html`<${Skeleton} kind="comment" count=${3} label="Loading your inbox" />`;
  if (!inbox.items.length) return html`<${Empty} title="Nothing yet.">When somebody answers you, it waits here. There is no hurry.<//>`;
  const open = (event, item) => {
    event.preventDefault();
    onclose();
    go(pathOf(item));
  };
  return html`
    ${inbox.unread > 0 && html`<button type="button" class="quiet" disabled=${busy} onClick=${() => run(() => markRead(inbox.items[0].id))}>Mark all as read</button>`}
    <${Trouble} problem=${problem}>That didn't work. Try again in a moment.<//>
    <ul class="inbox">${inbox.items.map((item) => html`<li key=${item.id}>
      <a href=${pathOf(item)} class=${item.read ? "" : "unread"} onClick=${(event) => open(event, item)}>
        <${Face} name=${item.actor.display_name} />
        <span><b dir="auto">${item.actor.display_name}</b> ${DID[item.kind] ?? "did something about your post"}<br /><small><${Time} at=${item.created_at} />${!item.read && html`<span class="unseen">, unread</span>`}</small></span>
      </a></li>`)}</ul>
    ${inbox.next && html`<button type="button" class="quiet" disabled=${busy} onClick=${() => run(showOlder)}>Show older</button>`}`;
}
