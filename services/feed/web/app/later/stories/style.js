// A style sheet of views that are loaded later: nothing of them is shown before it is here.

/** Resolves when styles/later/NAME applies, or could not be had. */
export function style(name) {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL(`../../../styles/later/${name}`, import.meta.url);
  return new Promise((done) => {
    link.onload = link.onerror = done;
    document.head.append(link);
  });
}
