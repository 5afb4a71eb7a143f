// One post: who, when, what, how it was met, and what can be done about it.

import { editPlace, forget, has, load } from "../drafts.js";
import { seen, sweepPost } from "../fold.js";
import { remove } from "../posts.js";
import { postPath } from "../router.js";
import { change, me, state, writer } from "../store.js";
import { countLine } from "../text.js";
import { html, useComputed, useLayoutEffect, useRef, useState } from "../ui.js";
import { Body } from "./body.js";
import { Photos } from "./photos.js";
import { Confirm, Face, Menu, Stranded, Time } from "./pieces.js";
import { Reactions } from "./reactions.js";
import { Later, Skeleton, Trouble, useAction } from "./states.js";
import { Thread } from "./thread.js";

const edits = () => import("../later/edit.js");
const stories = () => import("../later/stories/story.js");
const SHAPE = html`<${Skeleton} count=${1} />`;

const FOLD = 180; // ms; see .folding in post.css

/** The post with this id, from the store. `alone`: on its own page, with its comments open and its title as h1. */
export function Post({ id, alone = false }) {
  const post = useComputed(() => state.value.posts[id]).value;
  const wish = useComputed(() => state.value.wishes[id]).value;
  const gone = useComputed(() => Boolean(state.value.gone[id])).value;
  const [talking, setTalking] = useState(() => alone || has(`post:${id}`));
  const [editing, setEditing] = useState(() => has(editPlace(id)));
  const [kept, setKept] = useState(true);
  const words = gone && kept ? wordsOn(id) : [];
  const box = useFolding(gone && !alone && !words.length, id);
  if (!post || (gone && alone && !words.length)) return null;
  if (gone && !kept) return html`<article ref=${box} class="post" />`;
  if (words.length) {
    const leave = () => {
      [editPlace(id), `post:${id}`].forEach(forget);
      setKept(false);
    };
    return html`<article ref=${box} class="post" aria-label="Words you were writing"><${Stranded} what="This post" words=${words} onleave=${leave} /></article>`;
  }
  const { mine, ...counts } = seen(post, wish);
  const comments = countLine(counts);
  return html`<article ref=${box} class="post" aria-labelledby=${`by-${id} at-${id}`} tabindex="-1" data-post=${id}>
    <${Byline} post=${post} onedit=${() => setEditing(true)} />
    ${editing && writer.value === post.author.id ? html`<${Later} from=${edits} shape=${SHAPE} post=${post} onclose=${() => setEditing(false)} />` : html`<${Content} post=${post} alone=${alone} />`}
    ${comments.length > 0 && html`<p class="counts">${comments.map((part) => html`<span key=${part}>${part}</span>`)}</p>`}
    <div class="acts">
      <${Reactions} entity=${post} mine=${mine} />
      ${!alone && html`<button type="button" class="act" aria-expanded=${String(talking)} onClick=${() => setTalking(!talking)}>${talking ? "Hide comments" : counts.comments ? "Read comments" : "Comment"}</button>`}
    </div>
    ${talking && html`<${Thread} postId=${id} />`}
  </article>`;
}

/** What the reader was writing on a post: changes of it, a comment. */
export const wordsOn = (id) => [editPlace(id), `post:${id}`].filter(has).map((place) => load(place).body);

function Byline({ post, onedit }) {
  const own = me.value?.id === post.author.id;
  const [asking, setAsking] = useState(false);
  const { busy, problem, run } = useAction();
  return html`<div class="by">
    <${Face} name=${post.author.display_name} />
    <div><b dir="auto" id=${`by-${post.id}`}>${post.author.display_name}</b>\u00a0· <span class="when"><a href=${postPath(post.id)}><${Time} at=${post.created_at} id=${`at-${post.id}`} /></a>${post.edited_at && html` · edited`}${post.kind === "story" && html` · story`}</span></div>
    ${own && html`<${Menu} label="Edit or delete this post">${(close) => html`
      <button type="button" onClick=${() => { close(); onedit(); }}>Edit</button>
      <button type="button" onClick=${() => { close(); setAsking(true); }}>Delete</button>`}<//>`}
    ${asking && html`<${Confirm} title="Delete this post?" yes="Delete it" busy=${busy} onclose=${() => setAsking(false)} onyes=${() => run(() => remove(post.id))}>
      <p>It goes away for everybody, with its comments. This can't be undone.</p>
      <${Trouble} problem=${problem}>We couldn't delete it. Try again in a moment.<//>
    <//>`}
  </div>`;
}

// A warning hides everything that was written until the reader asks; asking is theirs alone and is not remembered.
function Content({ post, alone }) {
  const [shown, setShown] = useState(false);
  const warned = Boolean(post.content_warning);
  const title = post.title && (alone ? html`<h1 class="title" dir="auto">${post.title}</h1>` : html`<h2 class="title" dir="auto"><a href=${postPath(post.id)}>${post.title}</a></h2>`);
  const open = !warned || shown;
  const story = post.kind === "story" && post.body; // one whose words were taken away is any post
  return html`
    ${alone && !(open && (post.title || story)) && html`<h1 class="unseen">A post by ${post.author.display_name}</h1>`}
    ${warned && html`<div class="warn">
      <p><span class="unseen">Content warning: </span>${post.content_warning}</p>
      <button type="button" aria-expanded=${String(shown)} onClick=${() => setShown(!shown)}>${shown ? "Hide" : "Show"}</button>
    </div>`}
    ${open && (story ? html`<${Later} from=${stories} shape=${SHAPE} post=${post} alone=${alone} />` : html`<div class="content">${title}<${Body} text=${post.body} entities=${post.entities} folds=${!alone} /><${Photos} media=${post.media} /></div>`)}`;
}

// A deleted post folds away; whoever was inside it is led to the next one rather than to nowhere.
function useFolding(folding, id) {
  const box = useRef(null);
  useLayoutEffect(() => {
    if (!folding || !box.current) return undefined;
    const element = box.current;
    if (element.contains(document.activeElement)) (element.nextElementSibling ?? document.querySelector("h1"))?.focus();
    element.style.height = `${element.offsetHeight}px`;
    element.offsetHeight; // the height is the transition's beginning only once it was laid out
    element.classList.add("folding");
    element.style.height = "0";
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const timer = setTimeout(() => change(sweepPost, id), still ? 0 : FOLD);
    return () => clearTimeout(timer);
  }, [folding]);
  return box;
}
