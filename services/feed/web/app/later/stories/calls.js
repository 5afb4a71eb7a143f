// Stories on their way, over HTTP: one's own, those that wait, and every step.

import { call, get, withQuery } from "../../api.js";
import { me } from "../../store.js";
import { follow } from "../../stream.js";

const path = (id) => `/v1/stories/${id}`;

// What is read is joined to one's own inbox, where each step of one's own stories is told: nothing lies in between.
const following = (path, show) => follow(`inbox:${me.value.id}`, async () => {
  const { data, asOf } = await get(path);
  show(data);
  return asOf;
});

const listPath = (review, before) => withQuery("/v1/stories", { list: review ? "review" : null, before });

/** `show` one's own stories, or with `review` those that wait. Gives how to stop; throws Problem. */
export const openList = (review, show) => following(listPath(review), show);

/** `show` a story with its words. Gives how to stop; throws Problem. */
export const openStory = (id, show) => following(path(id), show);

/** A page of one's own stories, or with `review` of those that wait. Throws Problem. */
export const list = async (review, before) => (await get(listPath(review, before))).data;

/** A story with its words. Throws Problem. */
export const read = async (id) => (await get(path(id))).data;

/** Keep a draft: a new one without `id`. Gives it as it now is. Throws Problem, with status 409 when it has changed. */
export async function save(id, version, fields, key) {
  const { data } = id ? await call("PATCH", path(id), { body: { ...fields, version } }) : await call("POST", "/v1/stories", { body: fields, key });
  return data;
}

/** submit, withdraw, publish or return; gives the story as it now is. Throws Problem. */
export const step = async (story, name, more = {}) => (await call("POST", `${path(story.id)}/${name}`, { body: { version: story.version, ...more } })).data;

export const remove = (id) => call("DELETE", path(id));

/** What these words look like, by the server's own hand. Throws Problem. */
export const preview = async (body) => (await call("POST", "/v1/stories/preview", { body: { body } })).data.html;
