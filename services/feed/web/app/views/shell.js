// The frame around every view: the top, the place itself, what stands beside it.

import { place } from "../router.js";
import { html, useEffect, useRef } from "../ui.js";
import { Account, SignIn } from "./account.js";
import { Badge } from "./badge.js";
import { Aside, HomePage } from "./home.js";
import { Bell } from "./inbox.js";
import { PostPage } from "./single.js";
import { Empty, Later } from "./states.js";
import { TopicPage } from "./topic.js";

const letters = () => import("../later/letters.js");
const LATER = { account: () => import("../later/account.js"), confirm: letters, recover: letters, reset: letters, stories: () => import("../later/stories/stories.js") };

export function Shell() {
  const { view, slug, id, sort, kind } = place.value;
  const wide = view !== "home" && view !== "stories";
  useArrival(`${view} ${slug ?? id ?? ""}`);
  return html`
    <a class="skip" href="#main">Skip to the posts</a>
    <header class="top"><div>
      <a class="brand" href="/">Chorus</a>
      <${Badge} /><${Bell} /><${Account} />
    </div></header>
    <div class=${wide ? "frame" : "frame one"}>
      <main id="main" tabindex="-1">
        ${view === "home" && html`<${HomePage} />`}
        ${view === "topic" && html`<${TopicPage} key=${slug} slug=${slug} sort=${sort} kind=${kind} />`}
        ${view === "post" && html`<${PostPage} key=${id} id=${id} />`}
        ${LATER[view] && html`<${Later} key=${view} from=${LATER[view]} view=${view} id=${id} />`}
        ${view === "lost" && html`<h1 tabindex="-1">There is nothing here</h1><${Empty} title="This address leads nowhere."><a class="tag" href="/">See all topics</a><//>`}
      </main>
      ${wide && html`<aside><${Aside} besides=${slug} /></aside>`}
    </div>
    <${SignIn} />`;
}

// After moving to another place, readers of every kind begin at its heading; not on the first load.
function useArrival(where) {
  const first = useRef(true);
  useEffect(() => {
    if (!first.current) (document.querySelector("main h1") ?? document.querySelector("main"))?.focus({ preventScroll: true });
    first.current = false;
  }, [where]);
}
