import { device } from "./device.js";
import { identity } from "./ids.js";
import { eventQueue } from "./queue.js";
import { safely } from "./safely.js";
import { eventSender, LEASE_MS } from "./send.js";
import type { Consent, Details, Options, Problem } from "./types.js";
import { watch, type Page, type Watched } from "./view.js";

/** What runs in one page: its views, their queue and the sending. `options` may be changed. */
export function startPage(options: Options) {
  let who: ReturnType<typeof identity>;
  let stores = true;
  let unloaded = false;
  let beat: ReturnType<typeof setInterval> | undefined;
  const awake = new Set<Watched>();

  /** Calls the application, whose errors are not ours. */
  function tell<A>(callback: ((given: A) => void) | undefined, given: A): void {
    if (callback) safely(callback)(given);
  }

  function problem(kind: Problem["kind"], detail: string, eventIds: string[] = []): void {
    tell(options.onProblem ?? console.warn, { kind, detail, eventIds });
  }

  const queue = eventQueue(() => (stores ? localStorage : undefined), problem);
  const sender = eventSender(queue, {
    accepted: (ids) => tell(options.onAccepted, ids),
    problem,
  });

  const url = () => `${options.endpoint.replace(/\/+$/, "")}/v1/views?key=${options.key}`;
  const flushMs = () => (options.flushSeconds ?? 2) * 1000;

  const page: Page = {
    visible: () => !unloaded && document.visibilityState === "visible",
    context: () => ({ ...device(), ...who }),
    idleMs: () => (options.idleSeconds ?? 10) * 1000,
    wake(watched) {
      awake.add(watched);
      beat ??= setInterval(lookAtAll, 1000);
    },
    save(event) {
      if (!stores) return;
      sender.held.add(event.event_id);
      queue.put({ url: url(), due: Date.now() + LEASE_MS, event });
    },
    done(event) {
      queue.put({ url: url(), due: 0, event });
      sender.held.delete(event.event_id);
      tell(options.onView, event);
      sender.wake(flushMs());
    },
  };

  const lookAtAll = safely(() => {
    for (const watched of awake) {
      watched.look();
      // What was taken out of the document is let go, until it is put back and watched.
      if (watched.gone()) awake.delete(watched);
    }
    if (!awake.size) beat = clearInterval(beat) as undefined;
  });

  /** The page went out of sight, maybe for ever, or came back. */
  const onSight = safely((happened: Event) => {
    const { type } = happened;
    if (type !== "visibilitychange") unloaded = type === "pagehide";
    lookAtAll();
    if (page.visible()) sender.wake(flushMs());
    else sender.leave(unloaded);
  });

  function setConsent(consent: Consent | undefined): void {
    // A view belongs to one viewer with one will.
    awake.forEach((watched) => watched.close());
    const waiting = queue.entries(Date.now());
    const may = consent !== "denied";
    if (may !== stores) {
      // What was agreed to is still sent, but not from the store.
      for (const entry of waiting) queue.remove(entry.event.event_id);
      stores = may;
      waiting.forEach(queue.put);
    }
    options.consent = consent;
    who = identity(consent);
    lookAtAll();
  }

  setConsent(options.consent);
  addEventListener("visibilitychange", onSight);
  addEventListener("pagehide", onSight);
  addEventListener("pageshow", onSight);
  addEventListener("online", safely(sender.retry));
  // What an earlier page could not send.
  sender.wake(1000);

  return {
    options,
    problem,
    track(element: Element, details: Details): Watched {
      const watched = watch(element, details, page);
      page.wake(watched);
      return watched;
    },
    setConsent,
  };
}
