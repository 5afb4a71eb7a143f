// Who reads: signing up, in and out. The cookie is HttpOnly; all the page keeps is a note that somebody is signed in,
// so that a guest's page doesn't ask who they are and get a 401 in the console for it.

import { call, forgetTicket, get } from "./api.js";
import { forgetReader } from "./fold.js";
import { reopen } from "./stream.js";
import { change, me, visit, writer } from "./store.js";
import { batch, signal } from "./ui.js";

const NOTE = "chorus.signed-in";
const WRITER = "chorus.writer"; // stays when a session is lost, so that nobody's words go with it

// A browser that keeps nothing for us throws even when asked.
const recall = (name) => {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
};
const note = (name, value) => {
  try {
    if (value) localStorage.setItem(name, value);
    else localStorage.removeItem(name);
  } catch {
    /* then it is forgotten with the page */
  }
};

/** Why the sign-in dialog is open ("" for no particular reason), or null. */
export const asking = signal(null);

/** Ask the server who reads. Throws Problem only when it can't be reached. */
export async function whoami({ surely = false } = {}) {
  if (!surely && !recall(NOTE)) return become(null);
  try {
    const { data } = await get("/v1/me");
    become(data.account ?? data);
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    become(null);
  }
}

export async function signUp({ handle, display_name, password }) {
  await call("POST", "/v1/accounts", { body: { handle, display_name, password } });
  await signIn({ handle, password });
}

export async function signIn({ handle, password }) {
  const { data } = await call("POST", "/v1/sessions", { body: { handle, password, cookie: true } });
  become(data.account);
  whoami({ surely: true }).catch(() => {}); // with their role
}

export async function signOut() {
  try {
    await call("DELETE", "/v1/sessions/current");
  } catch (problem) {
    if (problem.status !== 401) throw problem; // gone already: then we are out
  }
  left();
}

/** Nobody is signed in here any more, by their own wish. */
export function left() {
  note(WRITER, null); // in every tab: what was being written is put away with its writer
  become(null);
}

/** The server no longer knows us: ask to sign in again. What is being written stays where it is. */
export function loseSession() {
  become(null);
  asking.value = "You were signed out. Sign in again; your words are kept here.";
}

/** True for a member; a guest is asked to sign in, with the reason, and gets false. */
export function member(reason = "") {
  if (me.value) return true;
  asking.value = reason;
  return false;
}

function become(account) {
  const before = me.value;
  note(NOTE, account && "1");
  if (account) note(WRITER, account.id);
  writer.value = account?.id ?? recall(WRITER);
  if (before === undefined || before?.id === account?.id) {
    me.value = account;
    return;
  }
  forgetTicket();
  batch(() => {
    me.value = account;
    change(forgetReader); // nothing that one person saw is left for the next
    visit.value += 1;
  });
  reopen();
}

/** Entities whose `mine` is not null were made for a member: then the note was lost, and we ask. */
export function notePresence(entities) {
  if (me.value === null && entities.some(({ mine }) => mine)) whoami({ surely: true }).catch(() => {});
}
