// Where the page is: the address, read into a place, and moving without loading anew.

import { signal } from "./ui.js";

/** {view: "home" | "topic" | "post" | "account" | "confirm" | "recover" | "reset" | "stories" | "lost", slug?, id?, sort?, kind?} */
export const place = signal(read(location));

function read({ pathname, search }) {
  const [, first, second, ...more] = pathname.split("/");
  const query = new URLSearchParams(search);
  if (pathname === "/") return { view: "home" };
  if (/^\/(account|confirm|recover|reset)$/.test(pathname)) return { view: first };
  if (more.length === 0 && second && first === "topics") {
    const kind = query.get("kind") === "story" ? "story" : undefined;
    return { view: "topic", slug: decoded(second), sort: query.get("sort") === "hot" ? "hot" : undefined, kind };
  }
  if (more.length === 0 && first === "posts" && /^\d{1,19}$/.test(second)) return { view: "post", id: second };
  if (more.length === 0 && first === "stories") return { view: "stories", id: second };
  return { view: "lost" };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const topicPath = (slug, query = "") => `/topics/${encodeURIComponent(slug)}${query}`;
export const postPath = (id) => `/posts/${id}`;

/** Go there. With `instead` the present entry of the history is replaced and nothing scrolls. */
export function go(path, { instead = false } = {}) {
  const before = place.value;
  history[instead ? "replaceState" : "pushState"](null, "", path);
  place.value = read(location);
  if (instead) return;
  const sameTopic = before.view === "topic" && before.slug === place.value.slug;
  if (!sameTopic) scrollTo(0, 0);
}

addEventListener("popstate", () => (place.value = read(location)));

// Links are plain links; a plain click on one of ours moves without loading.
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || event.defaultPrevented || link.target || link.origin !== location.origin) return;
  if (read(link).view === "lost" || link.hash) return;
  event.preventDefault();
  go(link.pathname + link.search);
});
