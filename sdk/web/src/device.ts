import type { ViewEvent } from "./types.js";

/** What the browser says about itself; no more than `view/1` has fields for. */
export function device(): Partial<ViewEvent> {
  return {
    screen: `${screen.width}x${screen.height}`,
    language: navigator.language,
    tz_offset_min: -new Date().getTimezoneOffset(),
    referrer: withoutQuery(document.referrer),
  };
}

/** Origin and path of a URL: a query may hold names, addresses and tokens. */
export function withoutQuery(url: string): string | undefined {
  return url.split(/[?#]/)[0]!.slice(0, 2048) || undefined;
}
