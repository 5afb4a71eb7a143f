// The one place that names the vendored libraries: Preact, htm, signals. Everything else imports from here.

import { Fragment, createPortal, h, render } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export { useEffect, useId, useLayoutEffect, useRef, useState } from "../vendor/hooks.js";
export { batch, computed, effect, signal, untracked, useComputed } from "../vendor/signals.js";
export { Fragment, createPortal, render };
export const html = htm.bind(h);
