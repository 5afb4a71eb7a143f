// What a view shows when it can't show everything yet: loading, failed, empty. And the hook that tells which.

import { Problem } from "../api.js";
import { loseSession } from "../session.js";
import { me } from "../store.js";
import { html, useEffect, useRef, useState } from "../ui.js";

const AGAIN = 8000; // ms until a view that could not be reached is asked for again, by itself

/**
 * Call `open` (it gives how to stop, and throws Problem) now and whenever `deps` change; stop when the view goes.
 * Gives {status: "loading" | "ready" | "failed", problem, again()}.
 */
export function useLoad(open, deps) {
  const [now, setNow] = useState({ status: "loading" });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let over = false;
    let stop = null;
    let timer = 0;
    const attempt = () => open().then(
      (close) => {
        stop = close;
        if (over) stop?.();
        else setNow({ status: "ready" });
      },
      (problem) => {
        if (over) return;
        setNow({ status: "failed", problem });
        if (problem.status === undefined) throw problem; // a mistake of ours, for the console: no answer said this
        // Nobody should have to press a button because a server was away; who was told no is not asked again.
        if (problem.status === 0 || problem.status >= 500) timer = setTimeout(attempt, AGAIN * (0.5 + Math.random()));
      },
    );
    setNow({ status: "loading" });
    attempt();
    return () => {
      over = true;
      clearTimeout(timer);
      stop?.();
    };
  }, [...deps, turn]);
  return { ...now, again: () => setTurn(turn + 1) };
}

/** A view of a module that is loaded when it is first needed: `from` imports it; `shape` is shown until then. */
export function Later({ from, shape = null, ...given }) {
  const [View, setView] = useState(null);
  const { problem, again } = useLoad(() => from().then((it) => void setView(() => it.default), () => { throw new Problem({}); }), [from]);
  return View ? html`<${View} ...${given} />` : problem ? html`<${Failed} what="this" problem=${problem} again=${again} />` : shape;
}

/** Something to do once at a time: gives {busy, problem, run(act)}; run answers true when it went well. */
export function useAction() {
  const [{ busy, problem }, set] = useState({ busy: false, problem: null });
  const going = useRef(false);
  const run = async (act) => {
    if (going.current) return false;
    going.current = true;
    set({ busy: true, problem: null });
    let failed = null;
    try {
      await act();
    } catch (error) {
      if (error.status === undefined) throw error;
      if (error.status === 401 && me.value) loseSession();
      failed = error;
    } finally {
      going.current = false;
      set({ busy: false, problem: failed });
    }
    return !failed;
  };
  return { busy, problem, run };
}

/** The request's id, small: what to quote when asking for help. */
export function RequestId({ problem }) {
  return problem?.requestId ? html`<small class="request">Request ${problem.requestId}</small>` : null;
}

/** A view, or a part of one, that could not be loaded; offers a way on. */
export function Failed({ what, problem, again }) {
  const why = problem.status === 0 ? "We couldn't reach Chorus. Check your connection, or wait a moment." : problem.detail;
  return html`<section class="state" role="alert">
    <p><strong>We couldn't load ${what}.</strong> ${why}</p>
    <button class="quiet" type="button" onClick=${again}>Try again</button>
    <${RequestId} problem=${problem} />
  </section>`;
}

/** Why an action did not work, beside the control that was used. Keeps quiet when there is nothing to say. */
export function Trouble({ problem, children }) {
  if (!problem) return null;
  const faults = problem.errors.map(({ detail }) => detail).filter(Boolean);
  const wait = problem.status === 429 ? ` Please wait ${problem.retryAfter ? `${Math.ceil(problem.retryAfter)} s` : "a little"}.` : "";
  return html`<div class="trouble" role="alert">
    <p>${children} ${problem.status >= 400 && problem.status < 500 ? (faults.length ? faults.join(" ") : problem.detail) : ""}${wait}</p>
    <${RequestId} problem=${problem} />
  </div>`;
}

/** Nothing here yet, and what to do next. */
export function Empty({ title, children }) {
  return html`<section class="state"><p><strong>${title}</strong></p><p>${children}</p></section>`;
}

/** Grey shapes of about the size of what comes. */
export function Skeleton({ kind = "post", count = 3, label = "Loading" }) {
  return html`<div class="skeletons" role="status" aria-label=${label}>
    ${Array.from({ length: count }, (_, n) => html`<div key=${n} class=${`skeleton ${kind}`} aria-hidden="true"><i /><i /><i /><i /></div>`)}
  </div>`;
}
