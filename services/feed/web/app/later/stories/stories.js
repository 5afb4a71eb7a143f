// The pages of stories on their way: one's own, those that wait for a moderator, and one by itself.

import { go } from "../../router.js";
import { member } from "../../session.js";
import { me, visit } from "../../store.js";
import { notice } from "../../stream.js";
import { html, useEffect, useState } from "../../ui.js";
import { Face, Time } from "../../views/pieces.js";
import { Empty, Failed, Skeleton, Trouble, useAction, useLoad } from "../../views/states.js";
import { list, openList, openStory, read } from "./calls.js";
import { Looking } from "./review.js";
import { Writing } from "./writing.js";


const STATES = { draft: "Draft", review: "With the moderators", returned: "Sent back with a note", published: "Published" };
const WRITERS = ["author", "moderator", "admin"];
const REVIEWERS = ["moderator", "admin"];

/** `id`: a story's; "new", "review", or nothing for one's own. */
export default function StoriesPage({ id }) {
  useEffect(() => {
    document.title = "Stories · Chorus";
  }, []);
  if (me.value === undefined) return html`<${Skeleton} kind="line" count=${3} label="Loading stories" />`;
  if (!me.value) {
    return html`<h1 tabindex="-1">Stories</h1><${Empty} title="Sign in to see your stories."><button class="primary" type="button" onClick=${() => member("Sign in to see your stories.")}>Sign in</button><//>`;
  }
  if (id === "new" && WRITERS.includes(me.value.role)) return html`<h1 tabindex="-1">A new story</h1><${Writing} key="new" onsaved=${(story) => go(`/stories/${story.id}`, { instead: true })} />`;
  if (id && id !== "new" && id !== "review") return html`<${One} key=${id} id=${id} />`;
  const review = id === "review" && REVIEWERS.includes(me.value.role);
  return html`<h1 tabindex="-1">Stories</h1>
    ${REVIEWERS.includes(me.value.role) && html`<nav class="tabs" aria-label="Which stories">
      <a href="/stories" aria-current=${review ? undefined : "page"}>Yours</a><a href="/stories/review" aria-current=${review ? "page" : undefined}>To read</a></nav>`}
    ${!review && WRITERS.includes(me.value.role) && html`<p class="begin"><a class="primary" href="/stories/new">Write a story</a></p>`}
    <${List} key=${review} review=${review} />`;
}

function List({ review }) {
  const [page, setPage] = useState(null);
  const more = useAction();
  const { status, problem, again } = useLoad(() => openList(review, setPage), [visit.value]);
  useEffect(() => {
    notice("story.changed", () => list(review).then(setPage, () => {}));
  }, []);
  if (!page) return status === "failed" ? html`<${Failed} what="the stories" problem=${problem} again=${again} />` : html`<${Skeleton} kind="line" count=${3} label="Loading stories" />`;
  if (!page.items.length) {
    return review
      ? html`<${Empty} title="Nothing waits for you.">When an author hands a story in, it shows up here.<//>`
      : html`<${Empty} title="No stories of yours yet.">${WRITERS.includes(me.value.role) ? "Begin one: nobody sees it before you hand it in." : "Authors write them here. Ask whoever looks after this place to make you one."}<//>`;
  }
  const older = async () => {
    const next = await list(review, page.next);
    setPage({ ...next, items: [...page.items, ...next.items] });
  };
  return html`<section class="list"><ul>${page.items.map((story) => html`<li key=${story.id}><a href=${story.state === "published" ? `/posts/${story.post_id}` : `/stories/${story.id}`}>
      <b dir="auto">${story.title ?? "Without a title yet"}</b>
      <span class="about">${review ? html`by <span dir="auto">${story.author.display_name}</span>, handed in <${Time} at=${story.submitted_at} />` : html`${STATES[story.state]} · <${Time} at=${story.changed_at} />`}</span>
    </a></li>`)}</ul></section>
    <${Trouble} problem=${more.problem}>We couldn't load more.<//>
    ${page.next && html`<button type="button" class="quiet older" disabled=${more.busy} onClick=${() => more.run(older)}>Show more stories</button>`}`;
}

// An author changes a draft or one that came back; everything else is for reading, and for whoever may move it on.
function One({ id }) {
  const [story, setStory] = useState(null);
  const show = (now) => setStory((held) => (held && held.version >= now.version ? held : now));
  const { status, problem, again } = useLoad(() => openStory(id, show), [id, visit.value]);
  useEffect(() => {
    notice("story.changed", (event) => event.story_id === id && event.state !== "deleted" && read(id).then(show, () => {}));
  }, [id]);
  if (!story) {
    if (status !== "failed") return html`<h1 class="unseen" tabindex="-1">A story</h1><${Skeleton} count=${1} label="Loading the story" />`;
    return problem.status === 404
      ? html`<h1 tabindex="-1">This story is not here</h1><${Empty} title="It was taken away, or it is not yours to see."><br /><a class="tag" href="/stories">See your stories</a><//>`
      : html`<h1 tabindex="-1">A story</h1><${Failed} what="this story" problem=${problem} again=${again} />`;
  }
  const own = story.author.id === me.value.id;
  const writes = own && WRITERS.includes(me.value.role) && ["draft", "returned"].includes(story.state);
  return html`
    <p class="from"><a class="tag" href=${own ? "/stories" : "/stories/review"}>${own ? "Your stories" : "Stories to read"}</a></p>
    ${writes ? html`<h1 tabindex="-1">${story.state === "returned" ? "Your story came back" : "Your draft"}</h1>` : null}
    <${Steps} steps=${story.steps} state=${story.state} />
    ${writes
      ? html`<${Writing} key=${`${story.id} ${story.state}`} story=${story} onsaved=${setStory} ongone=${() => go("/stories")} />`
      : html`<${Looking} story=${story} own=${own} reviews=${REVIEWERS.includes(me.value.role)} onmoved=${setStory} ongone=${() => go("/stories")} />`}`;
}

const DID = { submitted: "handed it in", withdrawn: "took it back", returned: "sent it back", published: "published it", edited: "changed it" };

function Steps({ steps }) {
  if (!steps.length) return null;
  return html`<ol class="steps" aria-label="What happened so far">${steps.map((done) => html`<li key=${done.at}>
    <div class="by"><${Face} name=${done.by.display_name} /><div><b dir="auto">${done.by.display_name}</b> ${DID[done.step]}\u00a0· <span class="when"><${Time} at=${done.at} /></span></div></div>
    ${done.note && html`<blockquote class="body" dir="auto">${done.note}</blockquote>`}
  </li>`)}</ol>`;
}
