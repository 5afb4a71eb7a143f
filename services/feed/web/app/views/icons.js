// Pictures: drawn in the text's own colour, silent to screen readers, since words always stand beside them.

import { html } from "../ui.js";

const PATHS = {
  heart: "M12 20s-7.5-4.6-7.5-10.2A4.3 4.3 0 0 1 12 7.3a4.3 4.3 0 0 1 7.5 2.5C19.5 15.4 12 20 12 20Z",
  hug: "M12 8.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM4 12.5c2.5 0 4-1.5 8-1.5s5.5 1.5 8 1.5M7 12.3V20m10-7.7V20M8.5 15.5c2 1.6 5 1.6 7 0",
  relate: "M8 12a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7Zm8 7a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM10.5 11l3 2",
  strength: "M12 3v18M5 10l7-7 7 7M7 16h10",
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
