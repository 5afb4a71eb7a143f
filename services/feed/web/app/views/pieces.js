// Small pieces that many views share: a face, a time, a dialog, a menu.

import { fullTime, ago, initial } from "../text.js";
import { minute } from "../store.js";
import { html, useEffect, useId, useLayoutEffect, useRef, useState } from "../ui.js";
import { Icon } from "./icons.js";

/** The first letter of somebody's name, in a circle. */
export function Face({ name }) {
  return html`<span class="face" aria-hidden="true">${initial(name)}</span>`;
}

/** How long ago, kept true by the minute; the whole time on asking. */
export function Time({ at, id }) {
  return html`<time id=${id} dateTime=${at} title=${fullTime(at)}>${ago(at, minute.value)}</time>`;
}

/** A modal dialog while it is rendered; Escape, its button and the backdrop close it, and focus goes back. */
export function Dialog({ title, onclose, kind = "", children }) {
  const box = useRef(null);
  const name = useId();
  useLayoutEffect(() => {
    const before = document.activeElement;
    const dialog = box.current;
    dialog.showModal();
    return () => {
      dialog.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  const outside = (event) => event.target === box.current && onclose();
  const cancel = (event) => {
    event.preventDefault();
    onclose();
  };
  return html`<dialog ref=${box} class=${kind} aria-labelledby=${name} onCancel=${cancel} onMouseDown=${outside}>
    <div class="sheet">
      <div class="head"><h2 id=${name}>${title}</h2><button class="round" type="button" aria-label="Close" onClick=${onclose}><${Icon} name="close" /></button></div>
      ${children}
    </div>
  </dialog>`;
}

/** A button that opens a few more. `label` is its name; children get `close`. */
export function Menu({ label, face, children }) {
  const [isOpen, setOpen] = useState(false);
  const box = useRef(null);
  const button = useRef(null);
  useEffect(() => {
    if (!isOpen) return undefined;
    const away = (event) => box.current?.contains(event.target) || setOpen(false);
    addEventListener("pointerdown", away);
    addEventListener("focusin", away);
    return () => {
      removeEventListener("pointerdown", away);
      removeEventListener("focusin", away);
    };
  }, [isOpen]);
  const close = () => {
    setOpen(false);
    button.current?.focus();
  };
  const key = (event) => event.key === "Escape" && isOpen && close();
  return html`<div class="menu" ref=${box} onKeyDown=${key}>
    <button ref=${button} type="button" class="round" aria-label=${label} aria-expanded=${String(isOpen)} onClick=${() => setOpen(!isOpen)}>${face ?? html`<${Icon} name="more" />`}</button>
    ${isOpen && html`<div class="choices">${children(close)}</div>`}
  </div>`;
}

/** A question before something that can't be undone. */
export function Confirm({ title, yes, no = "Keep it", onyes, onclose, busy, children }) {
  return html`<${Dialog} title=${title} onclose=${onclose} kind="small">
    ${children}
    <div class="row end">
      <button class="quiet" type="button" onClick=${onclose}>${no}</button>
      <button class="danger" type="button" disabled=${busy} onClick=${onyes}>${yes}</button>
    </div>
  <//>`;
}

/** Throwing words away: `ask(any)` asks first when there are any; `question` is to be rendered. */
export function useDiscard(leave) {
  const [asking, setAsking] = useState(false);
  const question = asking && html`<${Confirm} title="Throw your words away?" yes="Throw them away" no="Keep writing" onclose=${() => setAsking(false)} onyes=${leave}>
    <p>They are not saved anywhere else.</p>
  <//>`;
  return { ask: (any) => (any ? setAsking(true) : leave()), question };
}

/** Words that have nowhere to go any more, until their writer throws them away. */
export function Stranded({ what, words, onleave }) {
  const discard = useDiscard(onleave);
  return html`<section class="trouble">
    <p>${what} was taken away while you were writing. Your words are kept here.</p>
    ${words.map((each) => html`<blockquote class="body" key=${each} dir="auto">${each}</blockquote>`)}
    <div class="row end"><button class="quiet" type="button" onClick=${() => discard.ask(true)}>Discard</button></div>
    ${discard.question}
  </section>`;
}
