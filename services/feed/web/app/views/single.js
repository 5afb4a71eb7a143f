// One post on a page of its own, with its comments.

import { openPost } from "../posts.js";
import { topicPath } from "../router.js";
import { state, visit } from "../store.js";
import { html, useComputed, useEffect } from "../ui.js";
import { Post, wordsOn } from "./post.js";
import { Empty, Failed, Skeleton, useLoad } from "./states.js";

export function PostPage({ id }) {
  const { status, problem, again } = useLoad(() => openPost(id), [id, visit.value]);
  const post = useComputed(() => state.value.posts[id]).value;
  const gone = useComputed(() => Boolean(state.value.gone[id])).value;
  useEffect(() => {
    const hidden = !post || gone || post.content_warning;
    document.title = `${(!hidden && post.title) || (post && !gone ? `A post by ${post.author.display_name}` : "A post")} · Chorus`;
  }, [post, gone]);
  if (gone || (status === "failed" && problem.status === 404)) {
    return html`<h1 tabindex="-1">This post is gone</h1>${post && wordsOn(id).length > 0 && html`<${Post} id=${id} alone />`}<${Empty} title="It was taken away, or it was never here."><br /><a class="tag" href="/">See all topics</a><//>`;
  }
  if (!post) {
    return status === "failed"
      ? html`<h1 tabindex="-1">A post</h1><${Failed} what="this post" problem=${problem} again=${again} />`
      : html`<h1 class="unseen" tabindex="-1">A post</h1><${Skeleton} count=${1} label="Loading the post" />`;
  }
  return html`
    ${post.topics.length > 0 && html`<nav class="from" aria-label="Topics of this post">${post.topics.slice(0, 5).map((slug) => html`<a key=${slug} class="tag" href=${topicPath(slug)}>#${state.value.topics[slug]?.name ?? slug}</a> `)}</nav>`}
    <${Post} id=${id} alone />`;
}
