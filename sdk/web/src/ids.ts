import { attempt } from "./safely.js";
import type { Consent } from "./types.js";

const NAME = "viewledger:id";

/** 16 random bytes as 22 characters of base64url. */
export function randomId(): string {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))))
    .replace(/[+/]/g, (sign) => (sign > "+" ? "_" : "-"))
    .slice(0, 22);
}

/** Who watches: random pseudonyms, which nothing of the browser or the person went into. */
export function identity(consent: Consent | undefined) {
  return {
    viewer_id: keptId("localStorage", consent),
    session_id: keptId("sessionStorage", consent),
    consent,
  };
}

/** The id that is kept there, or a new one, which is kept unless the viewer said no. */
function keptId(kind: "localStorage" | "sessionStorage", consent: Consent | undefined): string {
  const fresh = randomId();
  const kept = attempt(() => {
    const store = window[kind];
    if (consent === "denied") store.removeItem(NAME);
    else if (!store.getItem(NAME)) store.setItem(NAME, fresh);
    return store.getItem(NAME);
  });
  return kept || fresh;
}
