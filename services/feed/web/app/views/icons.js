// Pictures: drawn in the text's own colour, silent to screen readers, since words always stand beside them.

import { html } from "../ui.js";

const PATHS = {
  heart: "M12 20s-7.5-4.6-7.5-10.2A4.3 4.3 0 0 1 12 7.3a4.3 4.3 0 0 1 7.5 2.5C19.5 15.4 12 20 12 20Z",
  hug: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 16.4s-4-2.4-4-5.3A2.25 2.25 0 0 1 12 9.8a2.25 2.25 0 0 1 4 1.3c0 2.9-4 5.3-4 5.3Z",
  relate: "M9 17.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11ZM15 17.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11Z",
  strength: "M2.5 19 9 7.5l4.2 7.3L15.5 11l6 8Z",
  joy: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM8 14c1 2 2.5 3 4 3s3-1 4-3M9 9.5h.01M15 9.5h.01",
  dot: "M12 17a5 5 0 1 0 0-10 5 5 0 0 0 0 10Z",
  bell: "M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15L6 16Zm4 4.5a2.2 2.2 0 0 0 4 0",
  close: "M6 6l12 12M18 6 6 18",
  more: "M5.5 12h.01M12 12h.01M18.5 12h.01",
  photo: "M4 6h16v12H4zM4 15l4.5-4 4 3.5 3-2.5L20 16M15.5 9.5h.01",
};

const WORDS = { heart: "Heart", hug: "Hug", relate: "I relate", strength: "Strength", joy: "Joy" };

/** One picture; a name that nobody drew gets a dot. */
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${PATHS[name] ?? PATHS.dot} /></svg>`;
}

/** A reaction kind in words; kinds are a setting, so there may be ones that we have no words for. */
export function reactionWord(kind) {
  return WORDS[kind] ?? kind.charAt(0).toLocaleUpperCase() + kind.slice(1);
}
