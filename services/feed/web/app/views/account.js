// At the top: a way in, or the menu of whoever is signed in.

import { asking, signOut } from "../session.js";
import { me } from "../store.js";
import { html } from "../ui.js";
import { Face, Menu } from "./pieces.js";
import { Later, Trouble, useAction } from "./states.js";

const dialog = () => import("../later/signin.js");

/** Rendered once; shows itself when somebody was asked to sign in. */
export const SignIn = () => asking.value !== null && html`<${Later} from=${dialog} reason=${asking.value} />`;

/** At the top: a way in for guests, a way out for members. */
export function Account() {
  const { problem, run } = useAction();
  if (me.value === undefined) return html`<span class="face" aria-hidden="true" />`;
  if (!me.value) return html`<button type="button" class="primary" onClick=${() => (asking.value = "")}>Sign in</button>`;
  return html`<${Menu} label=${`Your account, ${me.value.display_name}`} face=${html`<${Face} name=${me.value.display_name} />`}>${(close) => html`
    <p><b dir="auto">${me.value.display_name}</b><br />@${me.value.handle}</p>
    ${(me.value.role ?? "member") !== "member" && html`<a href="/stories" onClick=${close}>Stories</a>`}
    <${Trouble} problem=${problem}>We couldn't sign you out. Try again in a moment.<//>
    <a href="/account" onClick=${close}>Your account</a>
    <button type="button" onClick=${() => run(signOut).then((out) => out && close())}>Sign out</button>`}<//>`;
}
