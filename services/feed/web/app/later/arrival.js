// What every place that is loaded on demand does when it comes: its style is there, its name in the title, and whoever
// moved here begins at its heading.

import { useLayoutEffect } from "../ui.js";

/** The style sheet of what is loaded later is there: nothing is shown before it. */
export const styled = new Promise((done) => {
  const link = document.createElement("link");
  Object.assign(link, { rel: "stylesheet", href: new URL("../../styles/later.css", import.meta.url).href, onload: done, onerror: done });
  document.head.append(link);
});

/** The page is called `title`. Focus goes from the empty place to its heading, unless it has gone elsewhere meanwhile. */
export function useArrived(title) {
  useLayoutEffect(() => {
    document.title = `${title} · Chorus`;
    if (document.activeElement?.id === "main") document.querySelector("main h1")?.focus({ preventScroll: true });
  }, [title]);
}
