// A topic's page: its header, what's new in it, and a place to write.

import { go, topicPath } from "../router.js";
import { member } from "../session.js";
import { me, state, visit, writer } from "../store.js";
import { abbreviate, plural } from "../text.js";
import { feedKey, openFeed, openHeader, setMembership, showNew, showOlder } from "../topics.js";
import { html, useComputed, useEffect } from "../ui.js";
import { Compose } from "./compose.js";
import { Post } from "./post.js";
import { Empty, Failed, Skeleton, Trouble, useAction, useLoad } from "./states.js";

export function TopicPage({ slug, sort, kind }) {
  const onslug = (own) => go(topicPath(own, location.search), { instead: true });
  const { status, problem, again } = useLoad(() => openHeader(slug, onslug), [slug, visit.value]);
  const topic = useComputed(() => state.value.topics[slug]).value;
  useEffect(() => {
    document.title = `${topic?.name ?? slug} · Chorus`;
  }, [slug, topic?.name]);
  if (status === "failed" && problem.status === 404) {
    return html`<h1 tabindex="-1">#${slug}</h1><${Empty} title="There is no such topic yet.">Write a post with <b>#${slug}</b> in it, and it begins. <br /><a class="tag" href="/">See all topics</a><//>`;
  }
  return html`
    ${topic ? html`<${Header} topic=${topic} />`
    : status === "failed" ? html`<h1 tabindex="-1">#${slug}</h1><${Failed} what="this topic" problem=${problem} again=${again} />`
    : html`<h1 class="unseen" tabindex="-1">#${slug}</h1><${Skeleton} kind="header" count=${1} label="Loading the topic" />`}
    <${Orders} slug=${slug} sort=${sort} kind=${kind} />
    ${kind ? (me.value?.role ?? "member") !== "member" && html`<p class="begin"><a class="tag" href="/stories/new">Write a story</a></p>` : topic ? html`<${Compose} key=${writer.value} topic=${topic} />` : status === "loading" && html`<div class="compose" aria-hidden="true" />`}
    <${Feed} key=${feedKey(slug, { sort, kind })} slug=${slug} sort=${sort} kind=${kind} />`;
}

function Header({ topic }) {
  const { problem, run } = useAction();
  const toggle = () => member("Sign in to join.") && run(() => setMembership(topic.slug, !topic.joined));
  const facts = [[topic.people, "person", "people"], [topic.stories, "story", "stories"], [topic.posts, "post", "posts"]];
  return html`<section class="topic" aria-label="About this topic">
    <h1 tabindex="-1">${topic.name}</h1>
    ${topic.description && html`<p>${topic.description}</p>`}
    <div class="facts">
      <p>${facts.map(([n, one, many]) => html`<span key=${many}><strong>${abbreviate(n)}</strong> ${n === 1 ? one : many}</span> `)}</p>
      <button type="button" class=${topic.joined ? "quiet" : "primary"} onClick=${toggle}>${topic.joined ? "Leave this topic" : "Join the conversation"}</button>
    </div>
    <${Trouble} problem=${problem}>We couldn't save that. Try again in a moment.<//>
  </section>`;
}

function Orders({ slug, sort, kind }) {
  const told = useComputed(() => Boolean(state.value.topics[slug]?.stories)).value; // no stories, no place for them
  const orders = [["What's new", "", !sort && !kind], ["Hot", "?sort=hot", sort === "hot"], ["Stories", "?kind=story", kind === "story"]];
  return html`<nav class="tabs" aria-label="Order">
    ${orders.filter(([name, , here]) => name !== "Stories" || told || here).map(([name, query, here]) => html`<a key=${name} href=${topicPath(slug, query)} aria-current=${here ? "page" : undefined}>${name}</a>`)}
  </nav>`;
}

function Feed({ slug, sort, kind }) {
  const order = { sort, kind };
  const key = feedKey(slug, order);
  const { status, problem, again } = useLoad(() => openFeed(slug, order), [key, visit.value]);
  const feed = useComputed(() => state.value.feeds[key]).value;
  const older = useAction();
  if (!feed) {
    return status === "failed"
      ? html`<${Failed} what="the posts" problem=${problem} again=${again} />`
      : html`<${Skeleton} label="Loading posts" />`;
  }
  return html`
    <${Pill} count=${feed.waiting.length} onshow=${() => showNew(slug, order)} />
    ${feed.ids.length === 0 && !feed.waiting.length && html`<${Empty} title=${kind ? "No stories yet." : "Nothing here yet."}>${kind ? "When somebody tells one, it shows up here." : "Yours could be the first. It can be short."}<//>`}
    <div class="posts">${feed.ids.map((id) => html`<${Post} key=${id} id=${id} />`)}</div>
    <${Trouble} problem=${older.problem}>We couldn't load more.<//>
    ${feed.next && html`<button type="button" class="quiet older" disabled=${older.busy} onClick=${() => older.run(() => showOlder(slug, order))}>${older.busy ? "Loading" : "Show older posts"}</button>`}
    ${!feed.next && feed.ids.length > 5 && html`<p class="hint end">That's everything.</p>`}`;
}

// The region is there before the button comes, or screen readers would not hear of it.
function Pill({ count, onshow }) {
  const { busy, problem, run } = useAction();
  const show = async () => {
    if (!(await run(onshow))) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    requestAnimationFrame(() => {
      const first = document.querySelector(".posts .post");
      first?.focus({ preventScroll: true });
      first?.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
    });
  };
  return html`<div class="pills" role="status" aria-live="polite">
    ${count > 0 && html`<button type="button" class="pill" disabled=${busy} onClick=${show}>${problem ? "That didn't work. Try again" : plural(count, "new post")}</button>`}
  </div>`;
}
