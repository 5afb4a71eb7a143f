// The first page: the topics, one's own before the others.

import { go, postPath, topicPath } from "../router.js";
import { me, state, visit, writer } from "../store.js";
import { plural } from "../text.js";
import { listed, openTopics, readTopics, showMoreTopics } from "../topics.js";
import { html, useEffect } from "../ui.js";
import { Compose } from "./compose.js";
import { Empty, Failed, Skeleton, Trouble, useAction, useLoad } from "./states.js";

export function HomePage() {
  const { status, problem, again } = useLoad(openTopics, [visit.value]);
  useEffect(() => {
    document.title = "Chorus";
  }, []);
  return html`<h1 tabindex="-1">Topics</h1>
    <p class="lead">Places to talk, and to be quiet in company.</p>
    <${Compose} key=${writer.value} onpost=${(post) => go(postPath(post.id))} />
    <${Listing} status=${status} problem=${problem} again=${again} />`;
}

function Listing({ status, problem, again }) {
  const more = useAction();
  if (!listed.value && status === "failed") return html`<${Failed} what="the topics" problem=${problem} again=${again} />`;
  if (!listed.value) return html`<${Skeleton} kind="line" count=${6} label="Loading topics" />`;
  const { topics } = state.value;
  const own = me.value ? Object.values(topics).filter(({ joined }) => joined).sort((a, b) => a.name.localeCompare(b.name)) : [];
  const others = listed.value.slugs.map((slug) => topics[slug]).filter((topic) => topic && !own.includes(topic));
  if (!own.length && !others.length) return html`<${Empty} title="No topics yet.">Write a post with a #tag in it, and its topic begins.<//>`;
  return html`
    ${own.length > 0 && html`<${List} title="Your topics" topics=${own} />`}
    ${others.length > 0 && html`<${List} title=${own.length ? "More topics" : "All topics"} topics=${others} />`}
    <${Trouble} problem=${more.problem}>We couldn't load more.<//>
    ${listed.value.next && html`<button type="button" class="quiet older" disabled=${more.busy} onClick=${() => more.run(showMoreTopics)}>${more.busy ? "Loading" : "Show more topics"}</button>`}`;
}

function List({ title, topics }) {
  return html`<section class="list"><h2>${title}</h2><ul>
    ${topics.map((topic) => html`<li key=${topic.slug}><a href=${topicPath(topic.slug)}>
      <b dir="auto">${topic.name}</b>
      ${topic.description && html`<span class="about">${topic.description}</span>`}
      <span class="counts"><span>${plural(topic.people, "person", "people")}</span> <span>${plural(topic.posts, "post")}</span></span>
    </a></li>`)}
  </ul></section>`;
}

const ASIDE = 8;

/** Beside a page: a few topics with their people. Keeps quiet when they can't be had; it is not why anybody came. */
export function Aside({ besides }) {
  // Read, not followed: that would bring every event of theirs.
  useLoad(() => (listed.peek() ? Promise.resolve() : readTopics().then(() => null)), [visit.value]);
  const topics = (listed.value?.slugs ?? []).filter((slug) => slug !== besides).map((slug) => state.value.topics[slug]).filter(Boolean);
  if (!topics.length) return null;
  return html`<section aria-label="Other topics"><h2>Other topics</h2><ul>
    ${topics.slice(0, ASIDE).map((topic) => html`<li key=${topic.slug}><a dir="auto" href=${topicPath(topic.slug)}>${topic.name}</a> <span>${topic.people ? plural(topic.people, "person", "people") : topic.posts || !topic.stories ? plural(topic.posts, "post") : plural(topic.stories, "story", "stories")}</span></li>`)}
  </ul></section>`;
}
