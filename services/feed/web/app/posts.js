// Posts: reading one, writing, changing, taking away, reacting. Comments react the same way, so that lives here too.

import { call, get } from "./api.js";
import { addOwnPost, keepComments, keepPosts, removePost, wish } from "./fold.js";
import { notePresence } from "./session.js";
import { change, state } from "./store.js";
import { follow } from "./stream.js";

/** A post, kept live. Gives how to stop; throws Problem. */
export function openPost(id) {
  return follow(`post:${id}`, async () => {
    const { data, asOf } = await get(`/v1/posts/${id}`).catch((problem) => {
      if (problem.status === 404) change(removePost, id); // deleted while we were away
      throw problem;
    });
    notePresence([data]);
    change(keepPosts, [data], asOf);
    return asOf;
  });
}

/** Make a post; it is on the screen when this is done. `key`: see drafts.js. Throws Problem. */
export async function publish(body, key) {
  const { data, asOf } = await call("POST", "/v1/posts", { body, key });
  change(addOwnPost, data, asOf);
  return data;
}

/** Send one photo; gives its media. Throws Problem. */
export async function upload(file, alt) {
  const form = new FormData();
  form.append("file", file);
  form.append("alt", alt);
  return (await call("POST", "/v1/media", { form })).data;
}

/** Change a post that is still at `version`. Throws Problem, with status 409 when it is not. */
export async function edit(id, version, fields) {
  const { data, asOf } = await call("PATCH", `/v1/posts/${id}`, { body: { ...fields, version } });
  change(keepPosts, [data], asOf);
}

/** The post as the server has it now; for comparing after a 409. */
export async function refresh(id) {
  const { data, asOf } = await get(`/v1/posts/${id}`);
  change(keepPosts, [data], asOf);
  return data;
}

export async function remove(id) {
  await call("DELETE", `/v1/posts/${id}`).catch((problem) => {
    if (problem.status !== 404) throw problem; // gone is what was asked for
  });
  change(removePost, id);
}

/** Set one's reaction, or take it back with null: shown at once, taken back when it fails. Throws Problem. */
export async function react(entity, reaction) {
  const { id, post_id } = entity;
  const [path, keepAll] = post_id ? [`/v1/comments/${id}`, keepComments] : [`/v1/posts/${id}`, keepPosts];
  change(wish, id, reaction);
  const mine = state.value.wishes[id];
  try {
    let answer = await call(reaction ? "PUT" : "DELETE", `${path}/reaction`, { body: reaction ? { kind: reaction } : undefined });
    if (!answer.data && !post_id) answer = await get(path);
    const held = state.value.posts[id] ?? state.value.comments[id];
    const entities = answer.data?.counts ? [answer.data] : [{ ...held, mine: { reaction } }];
    if (held) change(keepAll, entities, answer.data?.counts ? answer.asOf : null);
  } finally {
    if (state.value.wishes[id] === mine) change(wish, id, undefined); // a later wish stands
  }
}
