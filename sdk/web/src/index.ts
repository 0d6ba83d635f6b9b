import { startPage } from "./page.js";
import { safely } from "./safely.js";
import type { Consent, Details, Handle, Options } from "./types.js";

export type {
  Consent,
  Details,
  Handle,
  Options,
  Platform,
  Problem,
  ViewEvent,
} from "./types.js";

const FIRST = "init comes first";
let page: ReturnType<typeof startPage> | undefined;
const tracked = new WeakMap<Element, { said: string; handle: Handle }>();

/**
 * Starts the SDK. Called again, it changes the options.
 *
 * Neither this nor anything else here throws: what is wrong with a call is said in the console.
 */
export function init(options: Options): void {
  safely(() => {
    const { key, endpoint, consent, ...rest } = options;
    // A secret key in a page would be a secret no longer.
    if (!/^vlpk_/.test(key)) throw Error("init wants a publishable key, vlpk_…");
    if (!page) page = startPage({ ...options });
    Object.assign(page.options, rest, { key, endpoint });
    if (consent && consent !== page.options.consent) page.setConsent(consent);
  })();
}

/**
 * Reports the views of an element, until `stop` is called: of a media element the time that it
 * plays, of any other the time that it can be seen. An element that is tracked already goes on as
 * it is; with other details, its view ends and the next ones have them.
 */
export function track(element: Element, details: Details): Handle {
  const found = safely(() => {
    if (!page) throw Error(FIRST);
    const said = JSON.stringify(details);
    const before = tracked.get(element);
    if (before?.said === said) return before.handle;
    before?.handle.stop();
    const watched = page.track(element, { ...details });
    const handle = {
      stop: safely(() => {
        watched.stop();
        if (tracked.get(element)?.handle === handle) tracked.delete(element);
      }),
    };
    tracked.set(element, { said, handle });
    return handle;
  })();
  return found ?? { stop() {} };
}

/**
 * What the viewer said. With `denied` nothing is stored, what was stored is removed, ids live only
 * as long as the page, and events say so; the collector's policy decides what becomes of them.
 */
export function setConsent(consent: Consent): void {
  safely(() => {
    if (!page) throw Error(FIRST);
    if (consent !== page.options.consent) page.setConsent(consent);
  })();
}
