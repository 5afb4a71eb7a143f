// Signing up and in, in one dialog: loaded when somebody is first asked to.

import { asking, signIn, signUp } from "../session.js";
import { config } from "../store.js";
import { html, useState } from "../ui.js";
import { Field } from "../views/fields.js";
import { Dialog } from "../views/pieces.js";
import { Trouble, useAction } from "../views/states.js";

export default function SignIn({ reason }) {
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
      <${Field} label="Password" ...${field("password")} type="password" hint=${isNew ? "At least 8 characters. A few words that don't belong together do well." : undefined} autocomplete=${isNew ? "new-password" : "current-password"} />
      <${Trouble} problem=${general}>${isNew ? "We couldn't make your account." : "We couldn't sign you in."}<//>
      <button class="primary wide" disabled=${busy}>${isNew ? "Make my account" : "Sign in"}</button>
    </form>
    <p class="switch">${isNew ? "You have an account?" : "New here?"} <button type="button" class="link" onClick=${() => setNew(!isNew)}>${isNew ? "Sign in" : "Make an account"}</button></p>
    ${!isNew && config.value?.mail && html`<p class="switch"><a class="link" href="/recover" onClick=${close}>Forgot your password?</a></p>`}
  <//>`;
}
