// One's own account: address, password, where one is signed in, and leaving. Each part fails and is done by itself.

import { asking, left } from "../session.js";
import { config, me, visit } from "../store.js";
import { notice } from "../stream.js";
import { html, useEffect, useState } from "../ui.js";
import { Field } from "../views/fields.js";
import { Dialog, Time } from "../views/pieces.js";
import { Empty, Failed, Skeleton, Trouble, useAction, useLoad } from "../views/states.js";
import { styled, useArrived } from "./arrival.js";
import { changePassword, deleteAccount, endOthers, endSession, readEmail, readSessions, setEmail } from "./calls.js";

await styled;

export default function AccountPage() {
  useArrived("Your account");
  if (me.value === undefined) return html`<h1 tabindex="-1">Your account</h1><${Skeleton} count=${2} label="Loading your account" />`;
  if (!me.value) {
    return html`<h1 tabindex="-1">Your account</h1><${Empty} title="You are not signed in."><br /><button type="button" class="primary" onClick=${() => (asking.value = "")}>Sign in</button><//>`;
  }
  return html`<h1 tabindex="-1">Your account</h1>
    <p class="lead"><b dir="auto">${me.value.display_name}</b> · @${me.value.handle}</p>
    <${Email} key=${`email ${me.value.id}`} />
    <${Password} key=${`password ${me.value.id}`} />
    <${Sessions} key=${`sessions ${me.value.id}`} />
    <${Leaving} key=${`leaving ${me.value.id}`} />`;
}

/** A form's fields by name: their values, what the server said of each, and what it said of none. */
function useForm(empty) {
  const [values, setValues] = useState(empty);
  const [done, setDone] = useState("");
  const { busy, problem, run } = useAction();
  const field = (name) => ({
    value: values[name],
    required: true,
    fault: problem?.of(name),
    oninput: (value) => {
      setDone("");
      setValues({ ...values, [name]: value });
    },
  });
  const named = problem?.errors.some((fault) => fault.field in empty);
  const send = (act, said) => async (event) => {
    event?.preventDefault();
    setDone("");
    if (!(await run(() => act(values)))) return;
    setValues(empty);
    setDone(said);
  };
  return { values, field, busy, done, send, problem: named ? null : problem };
}

function Part({ title, children }) {
  return html`<section class="part" aria-label=${title}><h2>${title}</h2>${children}</section>`;
}

const Done = ({ children }) => html`<p class="done" role="status">${children}</p>`;

function Email() {
  const [email, setEmailShown] = useState(null);
  const load = useLoad(() => readEmail().then((found) => void setEmailShown(found)), [visit.value]);
  const form = useForm({ address: "", password: "" });
  const title = "E-mail address";
  if (!email) {
    return html`<${Part} title=${title}>${load.status === "failed" ? html`<${Failed} what="your address" problem=${load.problem} again=${load.again} />` : html`<${Skeleton} kind="line" count=${1} label="Loading your address" />`}<//>`;
  }
  const mail = config.value?.mail;
  const give = form.send(async ({ address, password }) => setEmailShown(await setEmail(address.trim(), password)), "A letter is on its way. Follow its link within a day.");
  const remove = form.send(async ({ password }) => setEmailShown(await setEmail(null, password)), "Your address is gone.");
  return html`<${Part} title=${title}>
    <p class="hint">For one thing only: a letter with a way back in, should you forget your password. Nobody else sees it.</p>
    ${email.address && html`<p class="fact"><b>${email.address}</b> <span class="mark">confirmed</span></p>`}
    ${email.pending && html`<p class="fact"><b>${email.pending}</b> <span class="mark waits">waits for you to follow the link in its letter</span></p>`}
    ${!mail && html`<p class="trouble">This Chorus sends no mail, so an account can't be recovered. Keep your password in a safe place.</p>`}
    <form class="account" onSubmit=${give}>
      ${mail && html`<${Field} label=${email.address ? "Another address" : "Address"} ...${form.field("address")} type="email" autocomplete="email" />`}
      ${(mail || email.address || email.pending) && html`<${Field} label="Your password" ...${form.field("password")} type="password" autocomplete="current-password" />`}
      <${Trouble} problem=${form.problem}>We couldn't save that.<//>
      <div class="row">
        ${mail && html`<button class="primary" disabled=${form.busy}>Send me a letter</button>`}
        ${(email.address || email.pending) && html`<button type="button" class="quiet" disabled=${form.busy || !form.values.password} onClick=${remove}>Remove my address</button>`}
      </div>
      <${Done}>${form.done}<//>
    </form>
  <//>`;
}

function Password() {
  const form = useForm({ current: "", password: "" });
  const change = form.send(({ current, password }) => changePassword(current, password), "Your password is changed. Everywhere else you are signed out.");
  return html`<${Part} title="Password">
    <form class="account" onSubmit=${change}>
      <input class="unseen" type="text" autocomplete="username" value=${me.value.handle} tabindex="-1" aria-hidden="true" readonly />
      <${Field} label="Present password" ...${form.field("current")} type="password" autocomplete="current-password" />
      <${Field} label="New password" ...${form.field("password")} type="password" hint="At least 8 characters. A few words that don't belong together do well." autocomplete="new-password" />
      <${Trouble} problem=${form.problem}>We couldn't change it.<//>
      <div class="row"><button class="primary" disabled=${form.busy}>Change my password</button></div>
      <${Done}>${form.done}<//>
    </form>
  <//>`;
}

function Sessions() {
  const [page, setPage] = useState(null);
  const { busy, problem, run } = useAction();
  const read = () => readSessions().then((found) => void setPage(found));
  const load = useLoad(read, [visit.value]);
  useEffect(() => {
    notice("session.revoked", () => read().catch(() => {}));
    return () => notice("session.revoked", () => {});
  }, []);
  if (!page) {
    return html`<${Part} title="Where you are signed in">${load.status === "failed" ? html`<${Failed} what="your sessions" problem=${load.problem} again=${load.again} />` : html`<${Skeleton} kind="line" count=${2} label="Loading where you are signed in" />`}<//>`;
  }
  const without = (gone) => setPage({ ...page, items: page.items.filter((each) => !gone(each)) });
  const more = async () => {
    const next = await readSessions(page.next);
    setPage({ items: [...page.items, ...next.items], next: next.next });
  };
  return html`<${Part} title="Where you are signed in">
    <ul class="sessions">${page.items.map((each) => html`<li key=${each.id}>
      <div><b>${each.device ?? "Something without a name"}</b>${each.current && html` <span class="mark">this one</span>`}<br />
        <small>${each.kind === "token" ? "A program. " : ""}Signed in <${Time} at=${each.created_at} />${!each.current && html`, last used about <${Time} at=${each.seen_at} />`}</small></div>
      ${!each.current && html`<button type="button" class="quiet" disabled=${busy} aria-label=${`Sign out ${each.device ?? "it"}`} onClick=${() => run(() => endSession(each.id)).then((ended) => ended && without(({ id }) => id === each.id))}>Sign out</button>`}
    </li>`)}</ul>
    <${Trouble} problem=${problem}>That didn't work. Try again in a moment.<//>
    <div class="row">
      ${page.next && html`<button type="button" class="quiet" disabled=${busy} onClick=${() => run(more)}>Show more</button>`}
      ${(page.items.length > 1 || page.next) && html`<button type="button" class="quiet" disabled=${busy} onClick=${() => run(endOthers).then((ended) => ended && setPage({ items: page.items.filter(({ current }) => current), next: null }))}>Sign out everywhere else</button>`}
    </div>
  <//>`;
}

function Leaving() {
  const [isOpen, setOpen] = useState(false);
  return html`<${Part} title="Delete your account">
    <p class="hint">For good. You decide whether your words go with you.</p>
    <div class="row"><button type="button" class="quiet" onClick=${() => setOpen(true)}>Delete my account</button></div>
    ${isOpen && html`<${LeavingDialog} onclose=${() => setOpen(false)} />`}
  <//>`;
}

const CHOICES = [
  ["remove", "Remove my words", "Posts, comments, photos and reactions go. Where somebody answered you, their words stay."],
  ["keep", "Leave my words", "They stay for those who find them helpful, by a deleted member."],
];

function LeavingDialog({ onclose }) {
  const [words, setWords] = useState("remove");
  const form = useForm({ password: "" });
  const leave = form.send(async ({ password }) => {
    await deleteAccount(password, words);
    left();
  }, "");
  return html`<${Dialog} title="Delete your account" kind="small" onclose=${onclose}>
    <p>Your name, your address and every session go at once, and this can't be undone. Nobody can take your handle for half a year.</p>
    <form class="account" onSubmit=${leave}>
      <fieldset class="ways"><legend>What becomes of your words?</legend>
        ${CHOICES.map(([value, name, about]) => html`<label key=${value} class="way"><input type="radio" name="words" value=${value} checked=${words === value} onChange=${() => setWords(value)} /><span><b>${name}</b><br /><small>${about}</small></span></label>`)}
      </fieldset>
      <${Field} label="Your password" ...${form.field("password")} type="password" autocomplete="current-password" />
      <${Trouble} problem=${form.problem}>We couldn't delete your account.<//>
      <div class="row end"><button class="quiet" type="button" onClick=${onclose}>Stay</button><button class="danger" disabled=${form.busy}>Delete my account</button></div>
    </form>
  <//>`;
}
