/** What is known about a player at one moment. */
export interface Sample {
  /** Milliseconds of a clock that only goes forward. */
  now: number;
  /** Whether it plays and can be seen from now on, until the next sample. */
  running: boolean;
  /** Share of it that is visible from now on, 0–1. */
  share: number;
  /** Position in the media in seconds, NaN where there is no media. */
  position: number;
  /** Playback rate from now on. */
  rate: number;
}

/** How far wall time and media time may run apart before one waits for the other, ms. */
const SLACK = 300;
/** The longest time between two samples that counts without progress of media, ms. */
const GAP = 1500;

/**
 * Adds up the time watched between samples.
 *
 * It is wall time in which the media moved on: no more than the clock says, and no more than the
 * media moved at its rate. The two are compared over a whole stretch, not from sample to sample,
 * because a player reports its position with some jitter.
 */
export function watchClock() {
  let last: Sample | undefined;
  let watched = 0;
  let seen = 0;
  let wall = 0;
  let media = 0;

  return {
    sample(next: Sample): void {
      if (last?.running) {
        const elapsed = Math.max(0, next.now - last.now);
        const moved = ((next.position - last.position) * 1000) / last.rate;
        wall += elapsed;
        // Backwards is a seek or a loop, until which it played.
        media += moved >= 0 ? moved : Math.min(elapsed, GAP);
        const both = Math.min(wall, media);
        watched += both;
        seen += both * last.share;
        wall = Math.min(wall - both, SLACK);
        media = Math.min(media - both, SLACK);
      } else {
        wall = media = 0;
      }
      last = next;
    },
    /** Milliseconds, whole. */
    watchedMs: () => Math.floor(watched),
    /** Mean of the visible share, weighted by the time watched, 0–100 with one decimal. */
    visiblePct: () => Math.round((seen / watched) * 1000) / 10 || 0,
  };
}
