// The pages that letters lead to, and the one that asks for one. A link changes nothing by being opened: programs that
// look at mail before people do open every link.

import { asking } from "../session.js";
import { config, me } from "../store.js";
import { html, useEffect, useState } from "../ui.js";
import { Field } from "../views/fields.js";
import { Trouble, useAction } from "../views/states.js";
import { styled, useArrived } from "./arrival.js";
import { askRecovery, confirmEmail, resetPassword } from "./calls.js";

await styled;

const VIEWS = { confirm: Confirm, recover: Recover, reset: Reset };
const token = () => location.hash.slice(1);
const used = () => history.replaceState(null, "", location.pathname);

export default function LetterPage({ view }) {
  const [{ link, turn }, set] = useState(() => ({ link: token(), turn: 0 }));
  useEffect(() => {
    const again = () => token() && set((before) => ({ link: token(), turn: before.turn + 1 })); // a link, in the same tab
    addEventListener("hashchange", again);
    return () => removeEventListener("hashchange", again);
  }, []);
  return html`<${VIEWS[view]} key=${`${view} ${turn}`} link=${link} />`;
}

function Page({ title, children }) {
  useArrived(title);
  return html`<h1 tabindex="-1">${title}</h1><section class="part" aria-label=${title}>${children}</section>`;
}

const SignInAgain = () => html`<div class="row"><button type="button" class="primary" onClick=${() => (asking.value = "")}>Sign in</button></div>`;
const Lost = ({ what }) => html`<p>This address is not whole: ${what} stands behind the # of the link in your letter. Copy all of it.</p>`;

function Confirm({ link }) {
  const [found, setFound] = useState(null);
  const { busy, problem, run } = useAction();
  const confirm = () => run(async () => {
    setFound(await confirmEmail(link));
    used();
  });
  if (!link && !found) return html`<${Page} title="Confirm your address"><${Lost} what="what confirms it" /><//>`;
  return html`<${Page} title="Confirm your address">
    ${found
    ? html`<p role="status"><b>${found.address}</b> is confirmed for @${found.handle}. Should you forget your password, a letter there brings you back in.</p>
      <div class="row"><a class="link" href=${me.value ? "/account" : "/"}>${me.value ? "Your account" : "To the topics"}</a></div>`
    : html`<p>Letters for your account will come to this address.</p>
      <${Trouble} problem=${problem}>We couldn't confirm it.<//>
      <div class="row"><button type="button" class="primary" disabled=${busy} onClick=${confirm}>Confirm my address</button></div>`}
  <//>`;
}

function Recover() {
  const [address, setAddress] = useState("");
  const [asked, setAsked] = useState(false);
  const { busy, problem, run } = useAction();
  const ask = async (event) => {
    event.preventDefault();
    if (await run(() => askRecovery(address.trim()))) setAsked(true);
  };
  const general = problem && !problem.of("address") ? problem : null;
  if (config.value && !config.value.mail) return html`<${Page} title="Forgot your password?"><p>This Chorus sends no mail. Ask whoever runs it.</p><//>`;
  if (asked) {
    return html`<${Page} title="Look for a letter"><p role="status">If <b>${address.trim()}</b> is confirmed for an account, a letter is on its way there. Its link works for an hour.</p>
      <p class="hint">Nothing after a few minutes? Look among the mail that was sorted out, or ask again.</p>
      <div class="row"><button type="button" class="quiet" onClick=${() => setAsked(false)}>Ask again</button></div><//>`;
  }
  return html`<${Page} title="Forgot your password?">
    <p>We send a letter to the address that you confirmed. Its link lets you choose a new password.</p>
    <form class="account" onSubmit=${ask}>
      <${Field} label="Your address" type="email" autocomplete="email" required value=${address} fault=${problem?.of("address")} oninput=${setAddress} />
      <${Trouble} problem=${general}>We couldn't ask for it.<//>
      <div class="row"><button class="primary" disabled=${busy}>Send me a letter</button></div>
    </form>
  <//>`;
}

function Reset({ link }) {
  const [password, setPassword] = useState("");
  const [isDone, setDone] = useState(false);
  const { busy, problem, run } = useAction();
  const reset = async (event) => {
    event.preventDefault();
    if (!(await run(() => resetPassword(link, password)))) return;
    used();
    setDone(true);
  };
  const general = problem && !problem.of("password") ? problem : null;
  if (isDone) {
    return html`<${Page} title="Your password is set"><p role="status">You were signed out everywhere. Sign in with your new password.</p><${SignInAgain} /><//>`;
  }
  if (!link) return html`<${Page} title="Choose a new password"><${Lost} what="what lets you in" /><//>`;
  return html`<${Page} title="Choose a new password">
    <form class="account" onSubmit=${reset}>
      <${Field} label="New password" type="password" autocomplete="new-password" required value=${password} fault=${problem?.of("password")} oninput=${setPassword} hint="At least 8 characters. A few words that don't belong together do well." />
      <${Trouble} problem=${general}>We couldn't set it.<//>
      ${general?.code === "link_ended" && html`<div class="row"><a class="link" href="/recover">Ask for a new letter</a></div>`}
      <div class="row"><button class="primary" disabled=${busy}>Set my password</button></div>
    </form>
  <//>`;
}
