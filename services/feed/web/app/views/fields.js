// Fields of forms: a label, what is wrong with it, how much room is left.

import { lengthOf } from "../text.js";
import { html, useId } from "../ui.js";

const NEAR = 300; // characters left from which the number is worth a look

/** One line of text. `fault` is what the server said of it, in words; `hint` helps before. */
export function Field({ label, fault, hint, value, oninput, ...rest }) {
  const id = useId();
  const told = fault || hint;
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <input id=${id} value=${value} aria-invalid=${fault ? "true" : undefined} aria-describedby=${told ? `${id}-told` : undefined} onInput=${(event) => oninput(event.target.value)} ...${rest} />
    ${told && html`<small id=${`${id}-told`} class=${fault ? "fault" : "hint"}>${told}</small>`}
  </div>`;
}

/** How many characters are left, near the limit; how many too many, past it. */
export function Counter({ text, most }) {
  const left = most - lengthOf(text);
  if (left > NEAR) return null;
  return html`<p class=${left < 0 ? "counter over" : "counter"} role=${left < 0 ? "alert" : undefined}>${left < 0 ? `${-left} too many` : `${left} characters left`}</p>`;
}

/** A text area as tall as its words. */
export function grow(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}
