import { watchClock } from "./clock.js";
import { randomId } from "./ids.js";
import { safely } from "./safely.js";
import type { Details, ViewEvent } from "./types.js";
import { observeShare } from "./visibility.js";

/** What a view needs to know of its page. */
export interface Page {
  /** Whether the page can be seen. */
  visible: () => boolean;
  /** Ids, consent and what is known of the device, at this moment. */
  context: () => Pick<ViewEvent, "viewer_id" | "session_id" | "consent"> & Partial<ViewEvent>;
  idleMs: () => number;
  /** The element is being watched: it is worth a look once a second. */
  wake: (watched: Watched) => void;
  /** The view so far, in case the page dies. */
  save: (event: ViewEvent) => void;
  /** The view is over. */
  done: (event: ViewEvent) => void;
}

/** A tracked element. Its views follow one another; each has its own event. */
export interface Watched {
  /** Looks again at what the element does; called at every event and once a second. */
  look: () => void;
  /** Ends the view, if one is open, as of now. */
  close: () => void;
  /** The same, and no view follows. */
  stop: () => void;
  /** Whether its view is over, and it was stopped or the element has left the document. */
  gone: () => boolean;
}

const SAVE_MS = 5000;
/** Half of a post has to be seen; of a video any part, its share is reported. */
const POST_SHARE = 0.5;
/** The collector's bounds: a view that is longer is one that nobody watches. */
const MOST_LOOPS = 50;
const LONGEST_MS = 12 * 3_600_000;
const MEDIA_EVENTS =
  "playing pause waiting seeking seeked ended ratechange timeupdate volumechange";

/** Follows `element` and makes its views, until `stop` is called. */
export function watch(element: Element, details: Details, page: Page): Watched {
  const media = element instanceof HTMLMediaElement ? element : undefined;
  let share = 0;
  let view: ReturnType<typeof begin> | undefined;
  let wasMuted = true;

  const isMuted = () => !!media && (media.muted || !media.volume);
  const plays = () =>
    media
      ? share > 0 &&
        !media.paused &&
        !media.ended &&
        !media.seeking &&
        media.readyState > 2 &&
        media.playbackRate > 0
      : share >= POST_SHARE;

  function begin(now: number) {
    const event: ViewEvent = {
      schema: "view/1",
      event_id: randomId(),
      campaign_id: details.campaign,
      promoter_id: details.promoter,
      post_id: details.post,
      platform: details.platform ?? "web",
      occurred_at: Date.now(),
      watch_ms: 0,
      duration_ms: 0,
      visible_pct: 0,
      interactions: 0,
      attrs: details.attrs,
      ...page.context(),
    };
    if (media) {
      event.muted = true;
      event.autoplay = media.autoplay || navigator.userActivation?.isActive === false;
    }
    return { event, clock: watchClock(), began: now, ranAt: now, savedAt: now };
  }

  /** The event as of now; undefined where no time was watched. */
  function result(): ViewEvent | undefined {
    if (!view) return;
    const { event, clock } = view;
    const length = media && isFinite(media.duration) ? Math.round(media.duration * 1000) : 0;
    event.duration_ms = length || event.duration_ms;
    const watched = clock.watchedMs();
    event.watch_ms = length ? Math.min(watched, length * MOST_LOOPS) : watched;
    event.visible_pct = clock.visiblePct();
    return watched ? event : undefined;
  }

  function look(): void {
    const now = performance.now();
    const running = page.visible() && plays();
    if (running) view ??= begin(now);
    if (!view) return;
    if (media && !isMuted()) view.event.muted = false;
    const position = media ? media.currentTime : NaN;
    view.clock.sample({ now, running, share, position, rate: media?.playbackRate ?? 1 });
    if (running) {
      view.ranAt = now;
      page.wake(watched);
    }
    if (!page.visible() || now - view.ranAt >= page.idleMs() || now - view.began > LONGEST_MS) {
      close();
    } else if (now - view.savedAt >= SAVE_MS) {
      view.savedAt = now;
      const event = result();
      if (event) page.save(event);
    }
  }

  function close(): void {
    const event = result();
    view = undefined;
    if (event) page.done(event);
  }

  const interact = () => {
    if (view) view.event.interactions++;
  };
  const onMedia = safely((happened: Event) => {
    look();
    const muted = isMuted();
    // Going back to the start is what a loop does, too.
    const sought = happened.type === "seeked" && media!.currentTime > 0.3;
    if (sought || (happened.type === "volumechange" && wasMuted && !muted)) interact();
    wasMuted = muted;
  });
  const onClick = safely((happened: Event) => {
    if (happened.isTrusted) interact();
  });
  const ended = new AbortController();
  const { signal } = ended;
  wasMuted = isMuted();
  element.addEventListener("click", onClick, { signal });
  for (const type of media ? MEDIA_EVENTS.split(" ") : []) {
    media!.addEventListener(type, onMedia, { signal });
  }
  const unobserve = observeShare(
    element,
    safely((now: number) => {
      // What was watched until now was watched at the share until now.
      look();
      share = now;
      look();
    }),
  );

  const watched: Watched = {
    look,
    close() {
      look();
      close();
    },
    stop() {
      watched.close();
      ended.abort();
      unobserve();
      share = 0;
    },
    gone: () => !view && (signal.aborted || !element.isConnected),
  };
  return watched;
}
