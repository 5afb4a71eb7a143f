// Choosing a reaction: one calm gesture, words beside pictures. It sets a state, so pressing twice does no harm.

import { react } from "../posts.js";
import { member } from "../session.js";
import { config } from "../store.js";
import { html, useId, useRef, useState } from "../ui.js";
import { Icon, reactionWord } from "./icons.js";
import { Trouble, useAction } from "./states.js";

/** The button, and the choice it opens. `mine` is the reader's reaction as it should look now, or null. */
export function Reactions({ entity, mine }) {
  const [isOpen, setOpen] = useState(false);
  const { problem, run } = useAction();
  const button = useRef(null);
  const group = useId();
  const kinds = config.value?.reaction_kinds ?? [];
  const choose = (kind) => {
    setOpen(false);
    button.current?.focus();
    if (kind !== mine) run(() => react(entity, kind));
  };
  const open = () => member("Sign in to react.") && setOpen(!isOpen);
  const key = (event) => {
    if (event.key !== "Escape" || !isOpen) return;
    setOpen(false);
    button.current?.focus();
  };
  return html`<div class="react" onKeyDown=${key}>
    <button ref=${button} type="button" class="act" aria-pressed=${String(Boolean(mine))} aria-expanded=${String(isOpen)} aria-controls=${group} onClick=${open}>
      <${Icon} name=${mine ?? "heart"} />${mine ? reactionWord(mine) : "React"}
    </button>
    <div id=${group} class="kinds" role="group" aria-label="Choose a reaction" hidden=${!isOpen}>
      ${kinds.map((kind) => html`<button key=${kind} type="button" class="act" aria-pressed=${String(kind === mine)} onClick=${() => choose(kind)}>
        <${Icon} name=${kind} />${reactionWord(kind)}
      </button>`)}
      ${mine && html`<button type="button" class="act" onClick=${() => choose(null)}>Take it back</button>`}
    </div>
    <${Trouble} problem=${problem}>We couldn't save your reaction.<//>
  </div>`;
}
