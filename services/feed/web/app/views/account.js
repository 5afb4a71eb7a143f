// Signing up and in, in one dialog; and the menu of whoever is signed in.

import { asking, signIn, signOut, signUp } from "../session.js";
import { me } from "../store.js";
import { html, useState } from "../ui.js";
import { Field } from "./fields.js";
import { Dialog, Face, Menu } from "./pieces.js";
import { Trouble, useAction } from "./states.js";

/** Rendered once; shows itself when somebody was asked to sign in. */
export function SignIn() {
  return asking.value === null ? null : html`<${Form} reason=${asking.value} />`;
}

function Form({ reason }) {
  const [isNew, setNew] = useState(false);
  const [values, setValues] = useState({ handle: "", display_name: "", password: "" });
  const { busy, problem, run } = useAction();
  const close = () => (asking.value = null);
  const send = async (event) => {
    event.preventDefault();
    const sent = { ...values, handle: values.handle.trim().toLowerCase() }; // a phone likes to begin with a capital
    if (await run(() => (isNew ? signUp(sent) : signIn(sent)))) close();
  };
  const field = (name) => ({ value: values[name], required: true, fault: problem?.of(name), oninput: (value) => setValues({ ...values, [name]: value }) });
  const general = problem && !problem.errors.length ? problem : null;
  return html`<${Dialog} title=${isNew ? "Make an account" : "Sign in"} kind="small" onclose=${close}>
    ${reason && html`<p class="lead">${reason}</p>`}
    <form class="account" onSubmit=${send}>
      <${Field} label="Handle" ...${field("handle")} hint=${isNew ? "What others write after @: a to z, digits and _." : undefined} autocomplete="username" autocapitalize="none" spellcheck="false" autofocus />
      ${isNew && html`<${Field} key="name" label="Name" ...${field("display_name")} hint="What others see beside your words." autocomplete="nickname" />`}
      <${Field} label="Password" ...${field("password")} type="password" hint=${isNew ? "At least 8 characters." : undefined} autocomplete=${isNew ? "new-password" : "current-password"} />
      <${Trouble} problem=${general}>${isNew ? "We couldn't make your account." : "We couldn't sign you in."}<//>
      <button class="primary wide" disabled=${busy}>${isNew ? "Make my account" : "Sign in"}</button>
    </form>
    <p class="switch">${isNew ? "You have an account?" : "New here?"} <button type="button" class="link" onClick=${() => setNew(!isNew)}>${isNew ? "Sign in" : "Make an account"}</button></p>
  <//>`;
}

/** At the top: a way in for guests, a way out for members. */
export function Account() {
  const { problem, run } = useAction();
  if (me.value === undefined) return html`<span class="face" aria-hidden="true" />`;
  if (!me.value) return html`<button type="button" class="primary" onClick=${() => (asking.value = "")}>Sign in</button>`;
  return html`<${Menu} label=${`Your account, ${me.value.display_name}`} face=${html`<${Face} name=${me.value.display_name} />`}>${(close) => html`
    <p><b dir="auto">${me.value.display_name}</b><br />@${me.value.handle}</p>
    <${Trouble} problem=${problem}>We couldn't sign you out. Try again in a moment.<//>
    <button type="button" onClick=${() => run(signOut).then((out) => out && close())}>Sign out</button>`}<//>`;
}
